"""From a component's attributes to a checked model."""

import json
from dataclasses import dataclass

from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module
from veilflow.components.vertical.split.model import Bottom, SplitModel, dense_bottom, dense_top, parse_by_party
from veilflow.components.vertical.split.roster import Roster
from veilflow.components.vertical.split.settings import SUMMED


@dataclass(frozen=True)
class Declaration:
    """What the user wrote."""

    release: str
    layers: tuple[int, ...]
    activation: str
    by_party: tuple[str, ...]
    module: str
    arguments: str
    top_layers: tuple[int, ...]
    top_activation: str

    def check(self) -> None:
        """Everything that can be told without a table.

        Raises:
            ComponentError: see the message.
        """
        dense_bottom(self.layers, self.activation)
        dense_top(self.top_layers, self.top_activation)
        if not self.module:
            return
        if self.release == SUMMED:
            raise ComponentError(
                "bottom/module needs release: per_example. With release: summed the backward pass of the bottoms runs "
                "inside the SPU, which knows dense layers only (bottom/layers)."
            )
        if ":" not in self.module:
            raise ComponentError(f"bottom/module '{self.module}' is not of the form package.module:Class.")
        try:
            arguments = json.loads(self.arguments)
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            raise ComponentError("bottom/arguments must be a JSON object, such as '{\"width\": 16}'.")


def declare(declaration: Declaration, roster: Roster) -> SplitModel:
    """The model for these parties.

    Raises:
        ComponentError: a size, an activation or a party that does not fit.
    """
    declaration.check()
    usual: Bottom = dense_bottom(declaration.layers, declaration.activation)
    if declaration.module:
        usual = Module(declaration.module, json.dumps(json.loads(declaration.arguments), sort_keys=True))
    exceptions = parse_by_party(declaration.by_party, roster.bottoms)
    bottoms = {party: exceptions.get(party, usual) for party in roster.bottoms}
    return SplitModel(bottoms, dense_top(declaration.top_layers, declaration.top_activation))
