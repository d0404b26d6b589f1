"""`pairwise_masks` at the parties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.privacy.bits import packed_size
from veilflow.components.privacy.secagg.declare import MASKED, MASKED_BYTES, PUBLIC_KEY
from veilflow.components.privacy.secagg.pairwise_masks import agree, mask, new_key, open_sum, ring


class MasksBackend:
    """Fresh keys per step, agreed between the clients when this is made."""

    def __init__(self, ctx: Any, clients: tuple[str, ...], coordinator: str, bound: int) -> None:
        self._coordinator, self._bound, self._width = coordinator, bound, ring(bound, len(clients))
        self._me, self._masked = ctx.self_party, 0
        private, public = {}, {}
        for party in clients:
            private[party], public[party] = run_on(party, new_key, returns=2)
        keys = publish(public, PUBLIC_KEY)
        self._secrets = {party: run_on(party, agree, private[party], party, keys) for party in clients}

    def prepare(self, parts: Mapping[str, Any]) -> Mapping[str, Any]:
        """A mask depends on who is in the round: nothing yet."""
        return parts

    def sum(self, parts: Mapping[str, Any], length: int, round: int) -> Any:
        """The total at the coordinator."""
        roster, coordinator, bound, width = tuple(parts), self._coordinator, self._bound, self._width
        hidden = [self._hide(party, parts[party], roster, round) for party in roster]
        sent = [
            vector if party == coordinator else send_to(coordinator, vector, MASKED)
            for party, vector in zip(roster, hidden, strict=True)
        ]

        def opened(*vectors: bytes) -> np.ndarray:
            return open_sum(dict(zip(roster, vectors, strict=True)), roster, bound, width, length)

        return run_on(coordinator, opened, *sent)

    def facts(self) -> dict[str, Any]:
        """How many vectors this process masked, and the ring."""
        return {"ring_bits": self._width, "masked_here": self._masked}

    def sizes(self, length: int) -> dict[str, int]:
        """Bytes of a masked vector."""
        return {MASKED_BYTES: packed_size(length, self._width)}

    def _hide(self, party: str, part: Any, roster: tuple[str, ...], round: int) -> Any:
        width = self._width

        def hide(vector: np.ndarray, secrets: Mapping[str, bytes]) -> bytes:
            self._masked += 1  # runs at `party` only: each process counts its own
            return mask(vector, party, secrets, roster, round, width)

        return run_on(party, hide, part, self._secrets[party])
