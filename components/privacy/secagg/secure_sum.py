"""One interface over four ways to add the clients' vectors at the coordinator.

    secure = SecureSum(ctx, SumSettings("masks"), clients, coordinator, bound)
    total = secure.sum({"bank_a": vector_a, ...}, weights={"bank_a": 3, ...}, round=0)    # int64 (d,), coordinator
    secure.present                                                                        # who is in that total
    secure.receipts()                                                                     # once, after the last round

Who is in a round every client knows before it masks or encrypts for it, and never from the coordinator's word:

    - A client stays out by bringing None instead of a vector; it says so itself, to everybody, before anything that
      depends on its vector leaves it or anyone else.
    - Where the caller gives ``length``, the round is everybody named in ``vectors``: public, and worked out by each
      client's own process. Nobody can stay out, so nobody says anything, which saves a message from each client to each
      other party. A client that fails voids the round.

What is added is then complete by construction. A client whose process dies after that voids the round: nothing was
opened. See `pairwise_masks` for what that means for its masks.

Nothing here protects against what the sum itself says: noise goes into the vectors (`privacy.release`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from veilflow.components.devices.events import receipt, sizes
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.privacy.secagg.integers import present, require_room, weighted
from veilflow.components.privacy.secagg.settings import MASKS, MEDIAN, PACKED_HE, PLAIN, SPU, SumSettings, TooFewClients


class Backend(Protocol):
    """What `SecureSum` needs of a backend."""

    def prepare(self, parts: Mapping[str, Any]) -> Mapping[str, Any]:
        """int64 vectors at their clients -> what each makes of its own, whoever else is in the round."""

    def sum(self, prepared: Mapping[str, Any], length: int, round: int) -> Any:
        """What `prepare` returned, or some clients' part of it -> the sum of these at the coordinator."""

    def facts(self) -> dict[str, Any]:
        """What this process did, in public figures."""

    def sizes(self, length: int) -> dict[str, int]:
        """What the names in `declare.sends` stand for where vectors have ``length`` coordinates."""


class SecureSum:
    """Sums over the rounds of one step; every party makes the same calls in the same order.

    Args:
        ctx: the step's context.
        settings: public; `SumSettings.check` is called.
        clients: all who may ever bring a vector.
        coordinator: who learns the sums. It may be one of the clients.
        bound: no ``weight * value`` is larger, in absolute value. Public.

    Raises:
        ComponentError: settings that do not protect; ``plain`` outside a simulation.
    """

    def __init__(self, ctx: Any, settings: SumSettings, clients: Sequence[str], coordinator: str, bound: int) -> None:
        settings.check(clients, coordinator)
        require_room(bound, len(clients))
        self.present: tuple[str, ...] = ()
        """The clients in the last total."""
        self.rounds = 0
        self._ctx, self._settings, self._bound = ctx, settings, bound
        self._clients, self._coordinator = tuple(clients), coordinator
        self._used: set[int] = set()
        self._begun: tuple[int, dict[str, Any], Mapping[str, Any]] | None = None
        self._backend = _backend(ctx, settings, self._clients, coordinator, bound)

    def begin(self, vectors: Mapping[str, Any], round: int, length: int) -> None:
        """Let clients do what does not depend on who else is in the round, while something else is waited for.

        Under ``packed_he`` they encrypt and send; ``sum`` of these vectors, or of some of them, goes on from there. A
        ciphertext whose client is left out then is dropped by the coordinator, and serves no other round.

        Args:
            vectors, round, length: as in `sum`, which must be called with the same objects.
        """
        if self._settings.backend == PACKED_HE:  # the others do nothing before they know the round
            prepared = self._prepared(self._weighted(vectors, None, length)[0], length)
            self._begun = round, dict(vectors), prepared

    def sum(
        self,
        vectors: Mapping[str, Any],
        weights: Mapping[str, int] | None = None,
        round: int | None = None,
        length: int | None = None,
    ) -> Any:
        """``sum_i weight_i * vector_i``, exactly; with ``combine: median`` the sum that would be, were each vector the
        entry-wise median (all weights are equal then).

        Args:
            vectors: client -> `PYUObject` there: int64 of shape ``(d,)``, or None to stay out.
            weights: client -> a public whole number of at least 1; None: all 1.
            round: its number, never used twice; None: the next.
            length: of every vector; then all of ``vectors`` are in the round. None: the clients say who is.

        Returns:
            `PYUObject` at the coordinator: int64 of shape ``(d,)``.

        Raises:
            TooFewClients: fewer clients brought a vector than `SumSettings.needed`. Nothing was opened, and without
                `begin` nothing sent.
            ComponentError: a vector that does not fit, at every party; where ``length`` is given, wherever the total
                (or what depends on it) is published.
        """
        if self._settings.combine == MEDIAN and len({(weights or {}).get(party, 1) for party in vectors}) > 1:
            raise ComponentError("secure sum: a median counts heads; weights that differ mean nothing to it.")
        number = self._next(round)
        prepared = self._taken_up(number, vectors, weights)
        if prepared is None:
            parts, length = self._agreed(vectors, weights, length)
            self._require_enough(number, parts)
            prepared = self._prepared(parts, length)
        assert length is not None, "`begin` was told it"
        self.present = tuple(prepared)
        total = self._backend.sum(prepared, length, number)
        self.rounds += 1
        return total

    def receipts(self) -> None:
        """Write this party's receipt of what it did; after the last total was used in something published."""
        settings = self._settings
        if settings.backend == PLAIN or self.rounds == 0:
            return
        facts = {
            "backend": settings.backend,
            "combine": settings.combine,
            "rounds": self.rounds,
            "minimum_clients": settings.minimum_clients,
        }
        receipt(self._ctx, "secure_sum", **facts, **self._backend.facts())

    def _taken_up(self, number: int, vectors: Mapping[str, Any], weights: Any) -> Mapping[str, Any] | None:
        """What `begin` prepared for this round; None where it was not called. It serves this round or none."""
        begun, self._begun = self._begun, None
        if begun is None or begun[0] != number:
            return None
        assert not weights
        assert all(vector is begun[1][party] for party, vector in vectors.items()), "other vectors than were begun"
        prepared = {party: begun[2][party] for party in self._named(vectors)}
        self._require_enough(number, prepared)
        return prepared

    def _agreed(self, vectors: Mapping[str, Any], weights: Any, length: int | None) -> tuple[dict[str, Any], int]:
        """The parts of those who are in the round, and their length; the clients say it where the caller does not."""
        parts, lengths = self._weighted(vectors, weights, length)
        if length is not None and self._settings.backend != SPU:
            return parts, length
        found = publish(lengths)  # comes back sorted by name; in an SPU's program no failure may get stuck
        there, length = present({party: found[party] for party in parts})
        return {party: parts[party] for party in there}, length

    def _weighted(self, vectors: Mapping[str, Any], weights: Any, length: int | None) -> tuple[dict[str, Any], Any]:
        """Client -> its checked and weighted vector, and -> that one's length, there."""
        parts, lengths = {}, {}
        for party in self._named(vectors):
            weight, bound = _whole(party, (weights or {}).get(party, 1)), self._bound
            parts[party], lengths[party] = run_on(party, weighted, vectors[party], weight, bound, length, returns=2)
        return parts, lengths

    def _prepared(self, parts: Mapping[str, Any], length: int) -> Mapping[str, Any]:
        sizes(self._ctx, **self._backend.sizes(length))
        return self._backend.prepare(parts)

    def _require_enough(self, number: int, present: Mapping[str, Any]) -> None:
        needed = self._settings.needed(tuple(present), self._coordinator)
        if len(present) < needed:
            raise TooFewClients(
                f"secure sum: round {number} has {len(present)} client(s) and needs {needed}. Wait for more clients or "
                "drop the round."
            )

    def _named(self, vectors: Mapping[str, Any]) -> list[str]:
        strangers = sorted(set(vectors) - set(self._clients))
        if strangers:
            raise ComponentError(f"secure sum: {', '.join(strangers)} is no client of this step.")
        return [party for party in self._clients if party in vectors]

    def _next(self, round: int | None) -> int:
        number = max(self._used, default=-1) + 1 if round is None else int(round)
        # The masks of a round used twice would cancel between the two, and show the difference of the vectors.
        if number in self._used or number < 0:
            raise ValueError(f"secure sum: round {number} was used before")
        self._used.add(number)
        return number


def _whole(party: str, weight: Any) -> int:
    if isinstance(weight, bool) or int(weight) != weight or weight < 1:
        raise ComponentError(f"secure sum: the weight of {party} must be a whole number of at least 1.")
    return int(weight)


def _backend(ctx: Any, settings: SumSettings, clients: tuple[str, ...], coordinator: str, bound: int) -> Backend:
    if settings.backend == MASKS:
        from veilflow.components.privacy.secagg.backends.masks import MasksBackend

        return MasksBackend(ctx, clients, coordinator, bound)
    if settings.backend == PACKED_HE:
        from veilflow.components.privacy.secagg.backends.he import PackedHeBackend

        return PackedHeBackend(ctx, settings, clients, coordinator, bound)
    if settings.backend == SPU:
        from veilflow.components.privacy.secagg.backends.spu import SpuBackend

        return SpuBackend(ctx, clients, coordinator, bound, settings.combine == MEDIAN)
    from veilflow.components.privacy.secagg.backends.plain import PlainBackend

    return PlainBackend(ctx, coordinator)
