"""A trained horizontal model at rest: public facts, and at every party the whole model in an `.npz`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from veilflow.components.data.columns import Columns
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.settings import ModelSpec

MODEL_KIND = "sf.model.hf_fedavg"
"""Object type of the bundle."""

VERSION = 1


@dataclass(frozen=True)
class Facts:
    """What everybody knows of a stored model."""

    spec: ModelSpec
    columns: Columns
    """Of tables; without features where the rows are images."""
    shape: tuple[int, ...]
    """Of one row as the model takes it."""
    settings: Mapping[str, Any]
    rules: int
    identity: str

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "spec": self.spec.to_json(),
            "columns": self.columns.to_json(),
            "shape": list(self.shape),
            "settings": dict(self.settings),
            "rules": self.rules,
            "identity": self.identity,
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> "Facts":
        """Read what `to_json` wrote.

        Raises:
            ComponentError: another version of the format.
        """
        if document.get("version") != VERSION:
            raise ComponentError(
                f"the model has format {document.get('version')}, this VeilFlow reads {VERSION}; train it again."
            )
        held = document["columns"]
        texts = {name: tuple(values) for name, values in held["categories"].items()}
        columns = Columns(tuple(held["features"]), held["label"], texts)
        known = (document["settings"], document["rules"], document["identity"])
        return Facts(ModelSpec.from_json(document["spec"]), columns, tuple(document["shape"]), *known)
