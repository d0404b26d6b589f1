"""`spu_sum` and `spu_median` at the parties, on the step's own SPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import run_on
from veilflow.components.devices.secret import SecretMachine, SecretProgram
from veilflow.components.privacy.secagg.spu_median import as_sum, middle, require_fit
from veilflow.components.privacy.secagg.spu_sum import join, limbs, split, variables

_TOTAL = "secagg/total"


class SpuBackend:
    """Uses the SPU that `Context.make_spu` returns; the device layer refuses one that does not keep secrets."""

    def __init__(self, ctx: Any, clients: tuple[str, ...], coordinator: str, bound: int, median: bool = False) -> None:
        self._machine = SecretMachine(ctx.make_spu())
        self._coordinator, self._limbs = coordinator, limbs(bound, len(clients))
        self._shared, self._median = 0, median
        if median:
            require_fit(bound)
            self._limbs = 1

    def prepare(self, parts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Shares are part of the SPU's program: nothing yet."""
        return parts

    def sum(self, parts: Mapping[str, Any], length: int, round: int) -> Any:
        """The total at the coordinator."""
        del length, round
        names = variables(tuple(parts))
        feeds = [self._share(party, part, names[party]) for party, part in parts.items()]
        what, fn = ("median", middle) if self._median else ("sum", _add)
        program = SecretProgram(f"{what} of {len(parts)}", fn, tuple(names.values()), (_TOTAL,))
        opened = self._machine.open_to(self._coordinator, program, feeds=feeds)
        count, median = len(parts), self._median

        def total(found: Mapping[str, Any]) -> np.ndarray:
            values = np.asarray(found[_TOTAL])
            return as_sum(values, count) if median else join(values)

        return run_on(self._coordinator, total, opened)

    def facts(self) -> dict[str, Any]:
        """How many vectors this process shared, and in how many limbs."""
        return {"limbs": self._limbs, "spu": list(self._machine.parties), "shared_here": self._shared}

    def sizes(self, length: int) -> dict[str, int]:
        """Bytes of a vector's shares are the SPU's own affair."""
        del length
        return {}

    def _share(self, party: str, part: Any, name: str) -> Any:
        share, count = self._machine.share_all(), self._limbs

        def shares(vector: np.ndarray) -> list[bytes]:
            self._shared += 1  # runs at `party` only: each process counts its own
            return share({name: split(vector, count)})

        return run_on(party, shares, part, returns=self._machine.world)


def _add(*limbs: Any) -> tuple[Any]:
    total = limbs[0]
    for each in limbs[1:]:
        total = total + each
    return (total,)
