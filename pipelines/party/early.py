"""A party's first file, read before its step's turn.

All parties walk the steps one after the other, so banks that each read a table would wait for one another. Reading
needs nothing of the others: every party begins with its own first file when the run begins. One file and no more, as
what was read waits in memory. A step that is in the cache already is not read again.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from veilflow.components.devices.early import Done
from veilflow.pipelines.plan import Plan, Step

KeyOf = Callable[[Step], str]
"""A step -> its key in the cache, which hashes the file."""
Begin = Callable[[Step, str], Callable[[], Any] | None]
"""A step and its key -> its reading, or None where there is nothing to read: another kind of component, or a finished
step."""


class Early:
    """What was begun, for the step that will ask for it.

    Args:
        party: who reads.
        plan: the steps to come.
        key_of, begin: called for one of them at most, in another thread.
    """

    def __init__(self, party: str, plan: Plan, key_of: KeyOf, begin: Begin) -> None:
        first = next((step for step in plan.steps if any(at == party for at, _ in step.reads)), None)
        self._node, self._key, self._found = "", Future[str](), Future[Done | None]()
        if first is not None and not first.needs:  # what a step takes from others is not there yet
            self._node = first.name
            work = (self._key, self._found, key_of, begin, first)
            threading.Thread(target=_work, args=work, name="early", daemon=True).start()

    def key(self, node: str) -> str | None:
        """The key of ``node`` with the file as it was when it was begun: what was read is stored under that one, also
        where the file has changed since. None where nothing was begun for this node."""
        return self._key.result() if node == self._node else None

    def take(self, node: str) -> Callable[[], Done | None] | None:
        """A function that waits for what was begun for ``node`` (None: it was not read after all), and raises what
        that raised; None where nothing was begun for this node."""
        if node != self._node:
            return None
        found, self._found = self._found, Future()  # what was read is not kept beyond its step
        self._node = ""
        return found.result


def _work(key: "Future[str]", found: "Future[Done | None]", key_of: KeyOf, begin: Begin, step: Step) -> None:
    try:
        key.set_result(key_of(step))
    except BaseException as error:  # raised where the step asks for its key
        key.set_exception(error)
        found.set_result(None)
        return
    try:
        work = begin(step, key.result())
    except Exception:  # settings that cannot be right: the step says so to everybody, at its turn
        work = None
    try:
        found.set_result(None if work is None else Done(work()))
    except BaseException as error:
        found.set_exception(error)
