"""Run a function at one party, publish a value to all, move a value to one.

Every function that runs at a party is guarded: our own `ComponentError` goes on (its text is fit for peers), anything
else becomes an `InternalError` with a reference into that party's log. SecretFlow sends exceptions to the peers as they
are, cell values included, so nothing unguarded may run on a PYU.
"""

import functools
import logging
import secrets
import traceback
from collections.abc import Callable
from typing import Any

import secretflow.distributed as sfd
from secretflow.device import PYU, PYUObject

from veilflow.components.errors import ComponentError, InternalError

log = logging.getLogger("veilflow")


def guarded(party: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    """``fn``, with every exception turned into one whose text may travel."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except (ComponentError, InternalError):
            raise
        except BaseException as error:
            reference = secrets.token_hex(4)
            _log(error, reference, getattr(fn, "__qualname__", repr(fn)))
        raise InternalError(party, reference)

    return call


def _log(error: BaseException, reference: str, name: str) -> None:
    """Where it happened and the kind of error. Its text often quotes a cell: that is written at level DEBUG only."""
    stack = "".join(traceback.format_tb(error.__traceback__))
    log.error("internal error %s in %s: %s\n%s", reference, name, type(error).__name__, stack)
    log.debug("internal error %s in full", reference, exc_info=error)


def run_on(party: str, fn: Callable[..., Any], *args: Any, returns: int = 1) -> Any:
    """Call ``fn(*args)`` at ``party`` only; all parties must make this call, in the same order.

    Args:
        party: where ``fn`` runs.
        fn: a plain function on local values.
        args: plain values, or device objects that live at ``party``.
        returns: how many results ``fn`` returns; with more than 1 a list of device objects comes back.

    Returns:
        A `PYUObject` at ``party`` (or a list of them). Nothing leaves the party.
    """
    return PYU(party)(guarded(party, fn), num_returns=returns)(*args)


def publish(values: Any) -> Any:
    """The values behind a tree of device objects, at *every* party.

    For values that are public by the step's claims: counts, digests, metrics. Anything meant for one party goes through
    `send_to`.
    """
    return sfd.get(_data(values))


def send_to(party: str, value: PYUObject) -> PYUObject:
    """``value`` at ``party``: opened to that one party, to nobody else."""
    return value.to(PYU(party))


def _data(values: Any) -> Any:
    if isinstance(values, PYUObject):
        return values.data
    if isinstance(values, dict):
        return {key: _data(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_data(value) for value in values]
    return values
