"""Judging updates that may be wrong on purpose. Pure functions on updates that somebody is allowed to see.

With three clients a majority of honest ones is all there is: the coordinate median tolerates one liar, Krum would need
five clients. Nothing here sees through secure aggregation: updates are judged where they are disclosed (see the step's
disclosure table), or not at all.
"""

from collections.abc import Callable, Mapping

import numpy as np

_SHOWS = 16.0
"""An update shows on the grid from so many times the mean square of rounding's error on."""


def faults(
    updates: Mapping[str, np.ndarray],
    bounds: Mapping[str, float],
    least_cosine: float,
    reference: np.ndarray | None = None,
    rounding: Mapping[str, float] | None = None,
) -> dict[str, str]:
    """Clients whose update is not to be trusted, and why, in words without values.

    Args:
        bounds: L2 bound that each keeps if it is honest, rounding included; one part in a million is left for floats.
        least_cosine: against ``reference``; -1 asks nothing.
        reference: the update that the reference rows would make (Cao et al. 2021, FLTrust, arxiv.org/abs/2012.13995).
            None: the sum of the others' directions, where one liar among three blackens the other two.
        rounding: per client the mean square of the L2 error of rounding. On a grid so coarse that the others hardly
            show, an honest short update is rounded to zeros: nobody is blamed for them.
    """
    found = {}
    for client, update in updates.items():
        norm = float(np.linalg.norm(update.astype(np.float64)))
        if not np.isfinite(update).all():
            found[client] = "entries that are not finite"
        elif norm > bounds[client] * (1 + 1e-6):
            found[client] = "longer than the bound"
        elif norm == 0.0:
            others = [float(np.linalg.norm(each)) for name, each in updates.items() if name != client]
            if not rounding or float(np.median(others or [0.0])) ** 2 > _SHOWS * rounding[client]:
                found[client] = "all zeros"
        elif least_cosine > -1:
            if reference is None and cosine_to_others(updates, client) < least_cosine:
                found[client] = "against the direction of the others"
            elif reference is not None and cosine_to(update, reference) < least_cosine:
                found[client] = "against the direction of the reference rows"
    return found


def cosine_to(update: np.ndarray, reference: np.ndarray) -> float:
    """Cosine between an update and a reference, over the coordinates that the update has."""
    return float(_unit(update) @ _unit(np.where(update != 0, reference, 0.0)))


def cosine_to_others(updates: Mapping[str, np.ndarray], client: str) -> float:
    """Cosine between an update and the sum of the others' directions; 1 where there are no others."""
    others = [_unit(update) for name, update in updates.items() if name != client]
    if not others:
        return 1.0
    return float(_unit(updates[client]) @ _unit(np.sum(others, axis=0)))


def coordinate_median(updates: Mapping[str, np.ndarray]) -> np.ndarray:
    """Entry-wise median: with three clients one of them cannot move an entry beyond the other two."""
    median: np.ndarray = np.median(np.stack(list(updates.values())), axis=0)
    return median


def blame(
    updates: Mapping[str, np.ndarray], start: np.ndarray, loss: Callable[[np.ndarray], float]
) -> tuple[str, float]:
    """The client without whose update the loss is lowest, and that loss: whom to suspect of a bad round."""
    worst, lowest = "", float("inf")
    for client in updates:
        rest = [update for name, update in updates.items() if name != client]
        mean = np.mean(rest, axis=0) if rest else np.zeros_like(start)
        without = loss((start + mean).astype(np.float32))
        if without < lowest:
            worst, lowest = client, without
    return worst, lowest


def _unit(update: np.ndarray) -> np.ndarray:
    clean = np.nan_to_num(update.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    norm = float(np.linalg.norm(clean))
    unit: np.ndarray = clean / norm if norm > 0 else clean
    return unit
