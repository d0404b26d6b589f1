"""The parties of a run, in the form that protocols take them (`alignment.anonymous.interface.Parties`)."""

from collections.abc import Callable
from typing import Any

from veilflow.components.devices.labels import SENT
from veilflow.components.devices.pyu import publish, run_on, send_to


class DeviceParties:
    """SecretFlow's links; nothing but the three ways of `pyu`."""

    def run(self, party: str, fn: Callable[..., Any], *args: Any, returns: int = 1) -> Any:
        """``fn(*args)`` at ``party``; with ``returns=1`` a function that returns a tuple gives one value."""
        return run_on(party, fn, *args, returns=returns)

    def send(self, party: str, value: Any, what: str = SENT) -> Any:
        """``value``, opened to ``party`` alone; ``what`` is its label in the step's claims."""
        return send_to(party, value, what)

    def publish(self, values: Any) -> Any:
        """The values behind a tree of device objects, at every party."""
        return publish(values)
