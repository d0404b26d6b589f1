"""A user's own Flax module, named in a pipeline file."""

import importlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from veilflow.components.errors import ComponentError

if TYPE_CHECKING:
    import flax.linen as nn


@dataclass(frozen=True)
class Module:
    """A user's own Flax module, importable where it runs: ``package.module:Class``.

    What it maps to what is for the training to say; it is imported only where it runs.
    """

    path: str
    arguments: str = "{}"
    """Constructor arguments as a JSON object."""


def load_module(spec: Module) -> "nn.Module":
    """Import and build a user's Flax module.

    Raises:
        ComponentError: no such module or class, not a Flax module, or arguments it does not take.
    """
    import flax.linen as nn  # heavy; the plan reads `Module` without it

    package, _, name = spec.path.partition(":")
    if not name:
        raise ComponentError(f"'{spec.path}' is not of the form package.module:Class, such as bank_models:Net.")
    try:
        found = getattr(importlib.import_module(package), name)
    except (ImportError, AttributeError) as problem:
        raise ComponentError(
            f"'{spec.path}' cannot be imported ({type(problem).__name__}); install it at every party that trains."
        ) from None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ComponentError(f"'{spec.path}' is not a flax.linen module; name a class that extends it.")
    try:
        return found(**json.loads(spec.arguments))
    except (TypeError, ValueError):
        raise ComponentError(
            f"'{spec.path}' does not take the arguments it was given; they must be a JSON object with its "
            "constructor's arguments by name."
        ) from None
