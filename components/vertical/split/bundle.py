"""A trained split model at rest: public facts, and per party a document and arrays (see `devices.objects`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.vertical.split.model import SplitModel
from veilflow.components.vertical.split.roster import Roster

MODEL_KIND = "sf.model.vf_split"
"""Object type of the bundle."""

VERSION = 1


@dataclass(frozen=True)
class Facts:
    """What everybody knows of a stored model."""

    model: SplitModel
    roster: Roster
    release: str
    settings: Mapping[str, Any]
    rules: int
    """How many preprocessing rules the parts hold."""
    identity: str
    """Random name of this training run; the parts of one model carry the same one."""

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "model": self.model.to_json(),
            "features": {party: list(names) for party, names in self.roster.features.items()},
            "label_party": self.roster.label_party,
            "label": self.roster.label,
            "release": self.release,
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
        features = {party: tuple(names) for party, names in document["features"].items()}
        roster = Roster(features, document["label_party"], document["label"])
        model = SplitModel.from_json(document["model"])
        known = (document["release"], document["settings"], document["rules"], document["identity"])
        return Facts(model, roster, *known)
