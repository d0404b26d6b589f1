"""`plain` at the parties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import run_on, send_to
from veilflow.components.errors import ComponentError
from veilflow.components.privacy.secagg.declare import BARE
from veilflow.components.privacy.secagg.plain import add


class PlainBackend:
    """Sends every vector to the coordinator. Simulation only."""

    def __init__(self, ctx: Any, coordinator: str) -> None:
        if not getattr(ctx, "simulation", False):
            raise ComponentError(
                "secure sum: backend 'plain' shows the coordinator each client's vector and runs in simulation only. "
                "Use masks, packed_he or spu."
            )
        self._coordinator = coordinator

    def prepare(self, parts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Nothing to do."""
        return parts

    def sum(self, parts: Mapping[str, Any], length: int, round: int) -> Any:
        """The total at the coordinator."""
        del length, round
        names, coordinator = list(parts), self._coordinator
        sent = [parts[p] if p == coordinator else send_to(coordinator, parts[p], BARE) for p in names]

        def total(*vectors: np.ndarray) -> np.ndarray:
            return add(dict(zip(names, vectors, strict=True)))

        return run_on(coordinator, total, *sent)

    def facts(self) -> dict[str, Any]:
        """Nothing was protected."""
        return {}

    def sizes(self, length: int) -> dict[str, int]:
        """Nothing but the vector's length shapes what is sent."""
        del length
        return {}
