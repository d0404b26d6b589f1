"""Local training in a thread of its own, so that a round need not wait for the slowest client.

An `Errand` stays where it was begun. What may be said of it is whether it is done: that a client is late tells how fast
its machine is, and how many rows it has.
"""

import threading
from collections.abc import Callable
from typing import Any


class Errand:
    """Work that goes on while others go ahead.

    Args:
        work: called once, in a new thread.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._result: Any = None
        self._error: BaseException | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name="local-training", daemon=True).start()

    def ready(self, seconds: float) -> bool:
        """Whether the work is done, after waiting for it for at most ``seconds``."""
        return self._done.wait(seconds)

    def result(self) -> Any:
        """What ``work`` returned, after waiting for it; what it raised is raised here."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()
