"""Under which name an object leaves this party.

SecretFlow sends an object the moment its main thread names it as another party's argument, in `publish`, `send_to` or a
secret program. Those three set a label around it; the egress check refuses what leaves under no label or under one that
the step's claims do not list. An accidental `reveal` or `.to()` has none.
"""

from collections.abc import Iterator
from contextlib import contextmanager

PUBLISHED = "published"
SENT = "sent"
SHARES = "shares"
"""From an owner to the SPU's ranks, one share each."""
OPENED = "opened"
"""From the SPU's ranks to the party that may open a value."""
RUNTIME = "runtime"
"""VeilFlow's own agreements between steps."""

_current: list[str] = []


@contextmanager
def sending(what: str) -> Iterator[None]:
    """Everything sent inside leaves under the name ``what``. SecretFlow's main thread only."""
    _current.append(what)
    try:
        yield
    finally:
        _current.pop()


def current() -> str:
    """The innermost label; empty where there is none."""
    return _current[-1] if _current else ""
