"""From a component's attributes to a checked declaration of the network."""

import json
from collections.abc import Sequence

from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module
from veilflow.components.vertical.split.model import Dense, dense_top


def declare(layers: Sequence[int], activation: str, module: str, arguments: str) -> Dense | Module:
    """The network as public, JSON-able data; light, so that `veilflow check` can use it.

    Raises:
        ComponentError: sizes, activation or module that do not fit.
    """
    if not module:
        return dense_top(layers, activation)
    if layers:
        raise ComponentError("give either layers or a module of your own, not both.")
    if ":" not in module:
        raise ComponentError(f"module '{module}' is not of the form package.module:Class.")
    try:
        parsed = json.loads(arguments or "{}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ComponentError("arguments must be a JSON object, such as '{\"width\": 16}'.")
    return Module(module, json.dumps(parsed, sort_keys=True))


def is_logistic(spec: Dense | Module) -> bool:
    """No hidden layer: the mean gradient is bounded by the rows, and need not be clipped."""
    return isinstance(spec, Dense) and not spec.layers
