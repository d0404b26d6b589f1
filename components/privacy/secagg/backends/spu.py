"""`spu_sum` at the parties, on the step's own SPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import run_on
from veilflow.components.devices.secret import SecretMachine, SecretProgram
from veilflow.components.privacy.secagg.spu_sum import join, limbs, split, variables

_TOTAL = "secagg/total"


class SpuBackend:
    """Uses the SPU that `Context.make_spu` returns; the device layer refuses one that does not keep secrets."""

    def __init__(self, ctx: Any, clients: tuple[str, ...], coordinator: str, bound: int) -> None:
        self._machine = SecretMachine(ctx.make_spu())
        self._coordinator, self._limbs = coordinator, limbs(bound, len(clients))
        self._shared = 0

    def sum(self, parts: Mapping[str, Any], length: int, round: int) -> Any:
        """The total at the coordinator."""
        del length, round
        names = variables(tuple(parts))
        feeds = [self._share(party, part, names[party]) for party, part in parts.items()]
        program = SecretProgram(f"sum of {len(parts)}", _add, tuple(names.values()), (_TOTAL,))
        opened = self._machine.open_to(self._coordinator, program, feeds=feeds)
        return run_on(self._coordinator, lambda found: join(np.asarray(found[_TOTAL])), opened)

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
