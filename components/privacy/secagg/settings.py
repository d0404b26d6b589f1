"""Settings of a secure sum. Light: the plan reads them before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from veilflow.components.errors import ComponentError

MASKS, PACKED_HE, SPU, PLAIN = "masks", "packed_he", "spu", "plain"
BACKENDS = (MASKS, PACKED_HE, SPU, PLAIN)
SUM, MEDIAN = "mean", "median"
COMBINES = (SUM, MEDIAN)
"""What the coordinator gets of the vectors: their sum, or ``spu`` only their entry-wise median."""
MIN_KEY_BITS = 3072
"""Paillier at 128 bits of security (NIST SP 800-57); smaller keys are refused in every profile."""


class TooFewClients(ComponentError):
    """Fewer clients brought a vector than the round needs; nothing was sent, nothing opened."""


@dataclass(frozen=True)
class SumSettings:
    """Public settings of a secure sum."""

    backend: str = MASKS
    keeper: str = ""
    """``packed_he``: who holds the key. Empty: the first client that is not the coordinator."""
    key_bits: int = MIN_KEY_BITS
    minimum_clients: int = 2
    """Below this a round is void. With 2, a client that learns the sum learns the other one's vector."""

    combine: str = SUM

    def check(self, clients: Sequence[str], coordinator: str) -> None:
        """Refuse what cannot work or would not protect.

        Raises:
            ComponentError: an unknown backend, too few or doubled clients, a small key, a keeper that sees ciphertexts.
        """
        if self.backend not in BACKENDS:
            raise ComponentError(f"secure sum: no backend '{self.backend}'; choose one of {', '.join(BACKENDS)}.")
        if len(set(clients)) != len(clients):
            raise ComponentError(f"secure sum: a client is named twice in {', '.join(clients)}.")
        if not 2 <= self.minimum_clients <= len(clients):
            raise ComponentError(
                f"secure sum: minimum_clients is {self.minimum_clients}; it must be 2 to {len(clients)}, the number of "
                "clients: the sum of one client's vector is that vector."
            )
        if coordinator in clients and len(clients) < 3:
            raise ComponentError(
                f"secure sum: {coordinator} is one of two clients and would subtract its own vector from their sum. "
                "Name a coordinator that is no client, or add a client."
            )
        if self.combine not in COMBINES:
            raise ComponentError(f"secure sum: combine is '{self.combine}'; choose one of {', '.join(COMBINES)}.")
        if self.combine == MEDIAN and (self.backend != SPU or len(clients) < 3):
            raise ComponentError(
                "secure sum: combine: median needs backend: spu, which compares values that nobody sees, and at least "
                "3 clients, of whom one may lie."
            )
        if self.backend == PACKED_HE:
            self._check_key(clients, coordinator)

    def needed(self, present: Sequence[str], coordinator: str) -> int:
        """How many clients a round needs: 3 where the coordinator brings a vector and could subtract it, or where a
        median must outvote one of them."""
        return max(self.minimum_clients, 3 if coordinator in present or self.combine == MEDIAN else 2)

    def key_keeper(self, clients: Sequence[str], coordinator: str) -> str:
        """Who holds the decryption key of ``packed_he``."""
        return self.keeper or next(party for party in clients if party != coordinator)

    def _check_key(self, clients: Sequence[str], coordinator: str) -> None:
        if self.key_bits < MIN_KEY_BITS:
            raise ComponentError(
                f"secure sum: key_bits is {self.key_bits}; Paillier needs at least {MIN_KEY_BITS} for 128-bit security."
            )
        if self.key_keeper(clients, coordinator) == coordinator:
            raise ComponentError(
                f"secure sum: keeper is {coordinator}, who also adds the ciphertexts and could open each client's. "
                "Name another party."
            )
