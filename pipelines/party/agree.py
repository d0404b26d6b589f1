"""Small values that all parties must agree on before they go on. Each call is one round over SecretFlow's link."""

import secrets
from collections.abc import Sequence
from typing import Any

from veilflow.components.devices.labels import RUNTIME
from veilflow.components.devices.pyu import publish, run_on
from veilflow.pipelines.party.failure import AgreementError
from veilflow.pipelines.party.wire.handshake import differences


def gather(parties: Sequence[str], value: Any) -> dict[str, Any]:
    """Every party's own ``value``, at every party. Public: counts, digests, ids."""
    found: dict[str, Any] = publish({party: run_on(party, lambda: value) for party in parties}, RUNTIME)
    return found


def draw_id(parties: Sequence[str]) -> str:
    """128 random bits from the first party, known to all."""
    drawn: str = publish(run_on(parties[0], secrets.token_hex, 16), RUNTIME)
    return drawn


def common_artifact(parties: Sequence[str], ids: Sequence[str]) -> str | None:
    """The newest artifact id that every party holds, or None."""
    held = gather(parties, list(ids))
    shared = set.intersection(*(set(found) for found in held.values()))
    ordered = [each for each in held[parties[0]] if each in shared]
    return ordered[-1] if ordered else None


def require_equal(parties: Sequence[str], facts: dict[str, str], what: str) -> None:
    """All parties' ``facts`` are the same, key by key.

    Raises:
        AgreementError: naming every fact that differs and who has which value.
    """
    differing = differences(gather(parties, facts))
    if differing:
        raise AgreementError(f"the parties' {what} differ. " + "; ".join(differing) + ".")
