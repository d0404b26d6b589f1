"""Work at one party that needs nothing of the others, which a run may begin before its step's turn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Reading(Protocol):
    """A component that begins with reading a file at one party."""

    def reading(self, ctx: Any) -> Callable[[], Any]:
        """The reading, as a function on local things only: no device, nothing sent. Its result is kept for the step."""


@dataclass(frozen=True)
class Done:
    """What came out of work that was begun early."""

    value: Any


def begun(ctx: Any, work: Callable[[], Any]) -> Callable[[], Any]:
    """``work``; where the run has begun it at this party already, a function that waits for that.

    Either way the result, or what was raised, appears in the step itself.
    """
    waiting: Callable[[], Done | None] | None = getattr(ctx, "early", None)
    if waiting is None:
        return work

    def wait() -> Any:
        found = waiting()
        return work() if found is None else found.value

    return wait
