"""Run a function at one party, publish a value to all, move a value to one.

Every function that runs at a party is guarded: our own `ComponentError` goes on (its text is fit for peers; what it
holds for its owner alone goes to the log here), what the machine refuses (a full disk) becomes one with a constant
text, and anything else becomes an `InternalError` with a reference into that party's log. SecretFlow sends exceptions
to the peers as they are, cell values included, so nothing unguarded may run on a PYU.

A failure travels as a value, `Failed`, through everything that depends on it until it is published; then every party
raises it, at the same place. SecretFlow's own way is to interrupt the failing party's main thread from another thread:
under `comp_eval` it then hung in 1 of 5 failures, in a lock it held already.
"""

import functools
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import secretflow.distributed as sfd
from secretflow.device import PYU, PYUObject
from secretflow.distributed.fed.global_context import get_global_context

from veilflow.components.devices.labels import PUBLISHED, SENT, sending
from veilflow.components.errors import ComponentError, InternalError
from veilflow.components.machine import refusal

log = logging.getLogger("veilflow")


@dataclass(frozen=True)
class Failed:
    """Stands where a value would, had its function not failed."""

    party: str
    """Where it failed."""
    text: str
    """Of a `ComponentError`; empty for an `InternalError`."""
    reference: str = ""

    @staticmethod
    def of(error: ComponentError | InternalError, party: str) -> "Failed":
        """What becomes of ``error``, caught at ``party``."""
        if isinstance(error, InternalError):
            return Failed(error.party, "", error.reference)
        return Failed(error.party or party, str(error))

    def error(self) -> ComponentError | InternalError:
        """The error again."""
        if self.reference:
            return InternalError(self.party, self.reference)
        error = ComponentError(self.text)
        error.party = self.party
        return error


def guarded(party: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn``, with every exception turned into one whose text may travel; raises what its arguments failed of."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            _raise_failures((args, kwargs))
            return fn(*args, **kwargs)
        except InternalError:
            raise
        except ComponentError as error:
            if error.own:
                log.warning("%s %s", error, error.own)
                raise ComponentError(f"{error} More about it is in {party}'s own log.") from None
            raise
        except BaseException as error:
            # This party's own log: its operator must be able to find the cause, and the text may quote a cell.
            reference, refused = secrets.token_hex(4), refusal(error)
            log.exception("internal error %s in %s", reference, getattr(fn, "__qualname__", fn))
        if refused is not None:
            raise ComponentError(f"{refused}. {party}'s own log says where.")
        raise InternalError(party, reference)

    return call


def run_on(party: str, fn: Callable[..., Any], *args: Any, returns: int = 1) -> Any:
    """Call ``fn(*args)`` at ``party`` only; all parties must make this call, in the same order.

    Args:
        party: where ``fn`` runs.
        fn: a plain function on local values.
        args: plain values, or device objects that live at ``party``.
        returns: how many results ``fn`` returns; with more than 1 a list of device objects comes back.

    Returns:
        A `PYUObject` at ``party`` (or a list of them). Nothing leaves the party. Where ``fn`` fails, or one of its
        arguments did, that is what the object holds; `publish` raises it.
    """
    call = guarded(party, fn)

    @functools.wraps(fn)
    def attempt(*found: Any) -> Any:
        try:
            return call(*found)
        except (ComponentError, InternalError) as error:
            failed = Failed.of(error, party)
        return failed if returns == 1 else (failed,) * returns

    return PYU(party)(attempt, num_returns=returns)(*args)


def publish(values: Any, what: str = PUBLISHED) -> Any:
    """The values behind a tree of device objects, at *every* party.

    For values that are public by the step's claims: counts, digests, metrics. Anything meant for one party goes through
    `send_to`.

    Args:
        what: the label in the step's `Claims.sends`.

    Raises:
        ComponentError, InternalError: at every party, where one of the values failed to be computed.
    """
    with sending(what):
        found = sfd.get(_data(values))
    _finish_sending()
    _raise_failures(found)
    return found


def known(copies: Mapping[str, PYUObject], what: str = PUBLISHED) -> Any:
    """A public value that every party has a copy of already: read from the own copy, without a message.

    Args:
        copies: one value at several parties, worked out by each from an object that was sent to all of them: a failure
            in that object is then raised at all, as `publish` does. Where a party of the run has no copy, the first one
            is published instead, so it must be fit for everybody.

    Raises:
        ComponentError, InternalError: where the value failed to be computed.
    """
    context = get_global_context()
    if not set(context.get_addresses()) <= set(copies):
        return publish(next(iter(copies.values())), what)
    found = copies[context.get_party()].data.get_object()
    _raise_failures(found)
    return found


def _finish_sending() -> None:
    """Wait until what this party has to send is on its way.

    When a step ends with an error, SecretFlow drops what is still in the queue, and the peers would wait for that. It
    has no public way to ask; the queue of its link has one worker.
    """
    queue = getattr(get_global_context(), "_send_executor", None)
    if queue is not None:
        queue.submit(lambda: None).result()


def send_to(party: str, value: PYUObject, what: str = SENT) -> PYUObject:
    """``value`` at ``party``: opened to that one party, to nobody else; ``what`` is its label in `Claims.sends`."""
    # SecretFlow's own `.to` only notes the wish and sends where the value is first used, under that place's label.
    with sending(what):
        return PYU(party)(_same)(value.to(PYU(party)))


def _same(value: Any) -> Any:
    return value


def _raise_failures(values: Any) -> None:
    if isinstance(values, Failed):
        raise values.error()
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, (list, tuple)):
        return
    for value in values:
        _raise_failures(value)


def _data(values: Any) -> Any:
    if isinstance(values, PYUObject):
        return values.data
    if isinstance(values, dict):
        return {key: _data(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_data(value) for value in values]
    return values
