"""`packed_he` at the parties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from veilflow.components.devices.pyu import publish, run_on, send_to
from veilflow.components.privacy.packing import Slots, pack, unpack
from veilflow.components.privacy.secagg import packed_he
from veilflow.components.privacy.secagg.declare import (
    BLINDED,
    CIPHERTEXT_BYTES,
    CIPHERTEXTS,
    OPENED_BLINDED,
    OPENED_BYTES,
    PUBLIC_KEY,
)
from veilflow.components.privacy.secagg.settings import SumSettings


class PackedHeBackend:
    """A fresh key per step at the keeper; the coordinator adds."""

    def __init__(self, ctx: Any, settings: SumSettings, clients: tuple[str, ...], coordinator: str, bound: int) -> None:
        self._coordinator, self._keeper = coordinator, settings.key_keeper(clients, coordinator)
        self._bits, self._me = settings.key_bits, ctx.self_party
        self._slots = Slots(bound, len(clients), packed_he.capacity(self._bits))
        self._encrypted = self._kept = 0
        self._kit, public = run_on(self._keeper, packed_he.new_key, self._bits, returns=2)
        self._public: bytes = publish(public, PUBLIC_KEY)

    def prepare(self, parts: Mapping[str, Any]) -> Mapping[str, Any]:
        """Each client's ciphertexts at the coordinator; of the coordinator and the keeper their own packed vectors."""
        alone = (self._coordinator, self._keeper)
        return {p: self._keep(p, part) if p in alone else self._encrypt(p, part) for p, part in parts.items()}

    def sum(self, prepared: Mapping[str, Any], length: int, round: int) -> Any:
        """The total at the coordinator."""
        del round  # every ciphertext has randomness of its own
        coordinator, keeper = self._coordinator, self._keeper
        public, bits, slots, added = self._public, self._bits, self._slots, len(prepared)
        sent = [one for party, one in prepared.items() if party not in (coordinator, keeper)]
        assert sent, "`SumSettings.needed` asks for a client besides these two"

        def add(own: list[int] | None, *ciphertexts: bytes) -> tuple[bytes, list[int]]:
            return packed_he.add_blinded(public, ciphertexts, own)

        blinded, blind = run_on(coordinator, add, prepared.get(coordinator), *sent, returns=2)
        received = send_to(keeper, blinded, BLINDED)
        opened = run_on(keeper, packed_he.open_blinded, self._kit, received, prepared.get(keeper), bits)

        def total(raw: bytes, mine: list[int]) -> np.ndarray:
            return unpack(packed_he.unblind(public, raw, mine, bits), slots, length, added)

        return run_on(coordinator, total, send_to(coordinator, opened, OPENED_BLINDED), blind)

    def facts(self) -> dict[str, Any]:
        """How many vectors this process encrypted or added itself, how wide a value is, who holds the key."""
        return {
            "schema": "zpaillier",
            "key_bits": self._bits,
            "slot_bits": self._slots.width,
            "keeper": self._keeper,
            "encrypted_here": self._encrypted,
            "kept_here": self._kept,
        }

    def sizes(self, length: int) -> dict[str, int]:
        """Bytes of a vector's ciphertexts, at most, and of an opened one."""
        count = self._slots.plaintexts(length)
        return {
            CIPHERTEXT_BYTES: packed_he.ciphertext_bytes(count, self._bits),
            OPENED_BYTES: packed_he.opened_bytes(count, self._bits),
        }

    def _encrypt(self, party: str, part: Any) -> Any:
        public, slots = self._public, self._slots

        def encrypt(vector: np.ndarray) -> bytes:
            self._encrypted += 1  # runs at `party` only: each process counts its own
            return packed_he.encrypt(public, pack(vector, slots))

        return send_to(self._coordinator, run_on(party, encrypt, part), CIPHERTEXTS)

    def _keep(self, party: str, part: Any) -> Any:
        """The packed vector of a party that adds it by itself."""
        slots = self._slots

        def keep(vector: np.ndarray) -> list[int]:
            self._kept += 1  # runs at `party` only
            return pack(vector, slots)

        return run_on(party, keep, part)
