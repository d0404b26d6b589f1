"""What went wrong, told twice: to this party's operator with its text, to the peers as a constant code.

SecretFlow wraps what fails: at the party itself `FedLocalError`, at the peers `FedRemoteError`.
"""

import logging
import secrets
from dataclasses import asdict, dataclass
from typing import Any

from secretflow.distributed.fed.exception import FedLocalError, FedRemoteError
from secretflow.distributed.fed.global_context import get_global_context
from secretflow.utils.errors import SFException

from veilflow.components.errors import ComponentError, InternalError
from veilflow.components.machine import refusal
from veilflow.pipelines.certs.private_files import KeyFileError
from veilflow.pipelines.cluster.ports import PortTaken
from veilflow.pipelines.party.connection import PeerAtFault, PeerGone
from veilflow.pipelines.party.wire.errors import EgressRefused, NotAlike, PeerStalled, WireRefused
from veilflow.pipelines.profile import ProfileError

log = logging.getLogger("veilflow")


_RULES = (EgressRefused, WireRefused, KeyFileError, ProfileError)


@dataclass(frozen=True)
class Failure:
    """One party's view of why its run stopped."""

    party: str
    """Where it went wrong."""
    node: str
    message: str
    kind: str
    """``component`` (data or settings), ``refused`` (a message, key or setting breaks a rule), ``remote`` (a peer
    failed), ``lost`` (a peer is gone), ``port`` (one cannot be listened on) or ``internal``."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class AgreementError(Exception):
    """The parties do not run the same thing; the message names the difference."""


def is_expected(error: BaseException, party: str) -> bool:
    """Whether ``error`` is one that we raise on purpose, or the machine's; anything else may be a library's way to lose
    a peer."""
    cause = _unwrap(error, party)[0]
    ours = (ComponentError, AgreementError, PortTaken, *_RULES, PeerAtFault, PeerGone, PeerStalled)
    return isinstance(cause, ours) or refusal(cause) is not None


def describe(error: BaseException, party: str, node: str) -> Failure:
    """Classify ``error``; anything unexpected goes to the log with a reference, not into the message."""
    cause, origin = _unwrap(error, party)
    if isinstance(cause, (ComponentError, AgreementError)):
        if isinstance(cause, ComponentError) and cause.own:
            log.warning("%s %s", cause, cause.own)
        return Failure(origin, node, str(cause), "component" if origin == party else "remote")
    if isinstance(cause, NotAlike) and cause.party:
        return Failure(cause.party, node, str(cause), "refused")
    if isinstance(cause, _RULES):
        return Failure(party, node, str(cause), "refused")
    if isinstance(cause, PeerAtFault):
        return Failure(cause.peer, node, cause.why, "lost" if cause.lost else "refused")
    if isinstance(cause, PortTaken):
        return Failure(party, node, f"{cause}; end what has it, or change the address", "port")
    if isinstance(cause, (PeerGone, PeerStalled)):
        return Failure(cause.peer, node, str(cause).removeprefix(f"{cause.peer} "), "lost")
    if isinstance(cause, InternalError):
        text = str(cause).removeprefix(f"{cause.party}: ")  # who it was is said beside it
        return Failure(cause.party, node, text, "internal" if cause.party == party else "remote")
    if origin != party:
        return Failure(origin, node, f"{origin} failed in this step; see {origin}'s own log", "remote")
    if isinstance(cause, SFException):
        return Failure(party, node, cause.message, "component")
    reference = secrets.token_hex(4)
    if refused := refusal(cause):
        log.error("step %s", node, exc_info=cause)
        return Failure(party, node, f"{refused}. {party}'s own log says where.", "component")
    log.error("internal error %s in step %s", reference, node, exc_info=cause)
    text = f"internal error ({type(cause).__name__}), reference {reference} in {party}'s own log"
    return Failure(party, node, text, "internal")


def _unwrap(error: BaseException, party: str) -> tuple[BaseException, str]:
    """The first cause, and the party it happened at."""
    context = get_global_context(assert_none=False)
    if isinstance(error, KeyboardInterrupt) and context is not None:
        # SecretFlow interrupts the main thread when it has sent a failure to a peer.
        error = context.get_local_exception() or context.get_remote_exception() or error
    origin = party
    while isinstance(error, (FedLocalError, FedRemoteError)):
        if isinstance(error, FedRemoteError):
            origin = error.party()
        cause = error.cause()
        if cause is None:
            break
        error = cause
    if isinstance(error, ComponentError) and error.party:
        origin = error.party
    return error, origin
