"""A secretly trained model at rest: public facts, and per party of the SPU its shares (see `split.bundle.merge`)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.training.user_modules import Module
from veilflow.components.vertical.secret.network import Spec
from veilflow.components.vertical.split.model import Dense

MODEL_KIND = "sf.model.vf_secret_model"
VERSION = 1

Column = tuple[str, str]
"""(owner, name)"""


@dataclass(frozen=True)
class Facts:
    """What everybody knows of a stored model."""

    spec: Spec
    features: tuple[Column, ...]
    """In the order of the first layer's inputs."""
    label: Column
    settings: Mapping[str, Any]
    opened_to: tuple[str, ...]
    """Who holds the parameters in the clear."""
    table: str
    """Identity of the table it was trained on."""
    split: str
    """The public seed of the rows held out."""
    identity: str
    """Random name of this training run; the parts of one model carry the same one."""

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "spec": asdict(self.spec),
            "features": [list(column) for column in self.features],
            "label": list(self.label),
            "settings": dict(self.settings),
            "opened_to": list(self.opened_to),
            "table": self.table,
            "split": self.split,
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
        spec = document["spec"]
        return Facts(
            spec=Module(**spec) if "path" in spec else Dense(tuple(spec["layers"]), spec["activation"]),
            features=tuple((owner, name) for owner, name in document["features"]),
            label=(document["label"][0], document["label"][1]),
            settings=document["settings"],
            opened_to=tuple(document["opened_to"]),
            table=document["table"],
            split=document["split"],
            identity=document["identity"],
        )
