"""What every backend agrees on: whole numbers, bounded, the same length at every client."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from veilflow.components.errors import ComponentError

ABSENT = -1
"""Stands for the length of a vector that a client does not bring to this round."""
LIMIT = 1 << 62
"""No total may reach this: int64 holds it with a bit to spare."""


def require_room(bound: int, clients: int) -> None:
    """Refuse a bound with which the sum of all clients' vectors could overflow.

    Raises:
        ComponentError: ``bound * clients`` does not fit.
    """
    if not 1 <= bound < LIMIT // clients:
        raise ComponentError(
            f"secure sum: {clients} clients with values up to {bound} do not fit into 64 bits. Use a coarser grid."
        )


def weighted(
    vector: np.ndarray | None, weight: int, bound: int, length: int | None = None
) -> tuple[np.ndarray | None, int]:
    """One client's part in a round: ``weight * vector``, and its length, or None and `ABSENT`.

    Args:
        vector: whole numbers, shape ``(d,)``; None where this client stays out of the round.
        weight: a public whole number of at least 1.
        bound: no weighted value may be larger, in absolute value.
        length: what the vector must have; None: any length, or no vector at all.

    Raises:
        ComponentError: another type or shape, or a value beyond the bound. The message holds no value.
    """
    if vector is None and length is None:
        return None, ABSENT
    if vector is None:
        raise ComponentError("secure sum: there is no vector, and nobody stays out of this round.")
    found = np.asarray(vector)
    if found.dtype != np.int64 or found.ndim != 1 or not found.size:
        raise ComponentError(
            f"secure sum: the vector has type {found.dtype} and shape {list(found.shape)}; "
            "it must be int64 of shape (d,). Quantise it first."
        )
    if length not in (None, found.size):
        raise ComponentError(f"secure sum: the vector has {found.size} values, {length} were agreed.")
    limit = bound // weight
    if int(found.max()) > limit or int(found.min()) < -limit:
        raise ComponentError(
            f"secure sum: a value exceeds the agreed bound of {bound} with weight {weight}. Clip the vector, use a "
            "coarser grid, or raise the bound."
        )
    return found * np.int64(weight), int(found.size)


def present(lengths: Mapping[str, int]) -> tuple[tuple[str, ...], int]:
    """Who takes part in a round, in the order given, and the length of their vectors.

    Raises:
        ComponentError: vectors of different lengths.
    """
    found = {party: length for party, length in lengths.items() if length != ABSENT}
    if len(set(found.values())) > 1:
        seen = ", ".join(f"{party} {length}" for party, length in found.items())
        raise ComponentError(f"secure sum: the vectors differ in length: {seen}. All clients need the same model.")
    return tuple(found), next(iter(found.values()), 0)
