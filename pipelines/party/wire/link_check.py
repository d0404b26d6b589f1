"""Who is at the other end of a link that a library drives: SPU's and PSI's.

Computes     for a fresh yacl link, that the process at every rank holds the signing key of the party expected there.
Adversary    a member whose certificate is good, and who connects under another member's rank.
Reveals      nothing.
Not covered  a member that takes a connection over later: yacl has no signature per message. SPU protocols are
             semi-honest anyway, and TLS keeps everybody else out.
Assumes      pinned signing keys; a fresh job.
Cost         two small rounds per link.
Reference    a challenge and response, as in ISO/IEC 9798-3.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

from veilflow.pipelines.party.wire.errors import WireRefused
from veilflow.pipelines.party.wire.identity import Identity

_PURPOSE = "link"
Check = Callable[[Any, Sequence[str], str], None]
"""``check(link, parties in rank order, name)``: raises `WireRefused` where a rank is not who it should be."""


def checker(identity: Identity, job: str) -> Check:
    """The check of this party in this job."""

    def check(link: Any, parties: Sequence[str], name: str) -> None:
        nonces = link.all_gather(secrets.token_hex(16))
        statement = "\0".join([job, name, *parties, *nonces])
        signatures = link.all_gather(identity.sign(_PURPOSE, f"{statement}\0{identity.party}".encode()).hex())
        for party, signature in zip(parties, signatures, strict=True):
            if party != identity.party:
                identity.require(party, _PURPOSE, f"{statement}\0{party}".encode(), _from_hex(signature))

    return check


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise WireRefused("a link's greeting is malformed.") from None


def install(check: Check) -> None:
    """Check every link of SecretFlow's SPU actors before it computes anything."""
    from secretflow.device.device import spu

    original = getattr(spu.SPURuntime.__init__, "veilflow_original", spu.SPURuntime.__init__)

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        parties = [node["party"] for node in self.cluster_def["nodes"]]
        check(self.link, parties, "spu " + " ".join(parties))

    init.veilflow_original = original  # type: ignore[attr-defined]
    spu.SPURuntime.__init__ = init
