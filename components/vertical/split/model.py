"""What a split model looks like, as public settings: bottoms at their owners, one top model for all.

A declaration is plain data (it comes from YAML and goes into the bundle as JSON); nothing here knows an array.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module

BOTTOM_ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "identity")
"""Bottoms run in the clear, so any elementwise function will do."""

TOP_ACTIVATIONS = ("relu", "quadratic", "identity")
"""The top model may run in an SPU: relu costs a secret comparison per unit, quadratic a multiplication."""

MAX_UNITS = 4096


@dataclass(frozen=True)
class Dense:
    """Dense layers with bias, each followed by ``activation``; the last one's output is the embedding.

    For the top model ``layers`` are the hidden ones; a single output unit follows.
    """

    layers: tuple[int, ...]
    activation: str


Bottom = Dense | Module


@dataclass(frozen=True)
class SplitModel:
    """One bottom per party with features, and the top model over their embeddings (side by side, in this order)."""

    bottoms: Mapping[str, Bottom]
    top: Dense

    def to_json(self) -> dict[str, Any]:
        """A JSON-able description, the inverse of `from_json`."""
        return {"bottoms": {party: asdict(each) for party, each in self.bottoms.items()}, "top": asdict(self.top)}

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> "SplitModel":
        """Read what `to_json` wrote."""
        bottoms = {party: _bottom(each) for party, each in document["bottoms"].items()}
        return SplitModel(bottoms, _dense(document["top"]))


def dense_bottom(layers: Sequence[int], activation: str) -> Dense:
    """A checked bottom.

    Raises:
        ComponentError: no layer, a size out of range, or an unknown activation.
    """
    if not layers:
        raise ComponentError("a bottom needs at least one layer; its last size is the width of the embedding.")
    return _checked("bottom", layers, activation, BOTTOM_ACTIVATIONS)


def dense_top(layers: Sequence[int], activation: str) -> Dense:
    """A checked top model; without hidden layers it is a logistic regression on the embeddings."""
    return _checked("top", layers, activation, TOP_ACTIVATIONS)


def parse_by_party(entries: Sequence[str], parties: Sequence[str]) -> dict[str, Dense]:
    """Exceptions written as ``party:32-16`` or ``party:32-16:tanh``.

    Raises:
        ComponentError: an entry of another form, or for a party without features.
    """
    found: dict[str, Dense] = {}
    for entry in entries:
        party, _, rest = entry.partition(":")
        sizes, _, activation = rest.partition(":")
        layers = [part.strip() for part in sizes.split("-")]
        if not all(part.isdigit() for part in layers):
            raise ComponentError(f"'{entry}' is not of the form party:32-16 or party:32-16:relu.")
        if party not in parties:
            raise ComponentError(f"'{entry}': {party} holds no features; these do: {', '.join(parties)}.")
        found[party] = dense_bottom([int(part) for part in layers], activation or "relu")
    return found


def _checked(what: str, layers: Sequence[int], activation: str, allowed: Sequence[str]) -> Dense:
    wrong = [size for size in layers if not 1 <= size <= MAX_UNITS]
    if wrong:
        raise ComponentError(f"{what} layers have sizes {', '.join(map(str, wrong))}; each must be 1 to {MAX_UNITS}.")
    if activation not in allowed:
        raise ComponentError(f"unknown {what} activation '{activation}'; there is: {', '.join(allowed)}.")
    return Dense(tuple(int(size) for size in layers), activation)


def _dense(document: Mapping[str, Any]) -> Dense:
    return Dense(tuple(document["layers"]), document["activation"])


def _bottom(document: Mapping[str, Any]) -> Bottom:
    return Module(document["path"], document["arguments"]) if "path" in document else _dense(document)
