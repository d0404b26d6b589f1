"""What a component says about itself before it runs: who takes part, what flows out, what each party learns.

Everything here is light: no SecretFlow, JAX or pandas, so that `veilflow check` and `plan` start at once. Each
capability has a `claims.py` next to its `component.py` that defines one `Claims` per component id and lists it in
``CLAIMS``; `claims_for` finds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

PEOPLE, COUNT, PADDING = "people", "count", "padding"
"""In `Artifact.hidden`."""

ALL = "*"
"""In `Disclosure.to` and `Send`: every party of the pipeline."""

KINDS = {
    "schema": "column names and types",
    "row_count": "how many rows or people a table has",
    "statistics": "counts, bounds or moments of columns",
    "membership": "which people another party has, too",
    "overlap_count": "how many people are common",
    "row_order": "which positions of a table are used where",
    "label": "labels of single rows",
    "features": "features, embeddings or gradients of single rows",
    "gradient_sum": "gradients summed over many rows",
    "model": "parameters of a model, or of a part of it",
    "score": "predictions for single rows",
    "metric": "losses, accuracies and other means over many rows",
    "other": "anything else; the line says what",
    "unknown": "the component makes no statement",
}
"""What a line of the disclosure table is about, in words that a policy file can use."""


@dataclass(frozen=True)
class Disclosure:
    """One line of the disclosure table: after this step, ``to`` know ``what`` about ``about``'s data."""

    to: tuple[str, ...]
    what: str
    about: tuple[str, ...] = ()
    note: str = ""
    kind: str = "other"
    """One of `KINDS`."""
    epsilon: float = 0.0
    """Of a line with noise: privacy loss of the step for one person's presence; 0: no noise."""


@dataclass(frozen=True)
class Send:
    """One kind of object that a step may send; the egress check refuses every object that fits none of them.

    A dimension of ``shape``, ``max_bytes`` and ``times`` may be the name of a size that the step makes known while it
    runs (`devices.events.sizes`), such as ``"batch"``; None leaves it open. The shape of ``bytes`` is their number.
    """

    what: str
    """How it is sent: ``published`` (`pyu.publish`), ``sent`` (`pyu.send_to`), or the label given there."""
    sender: tuple[str, ...] = (ALL,)
    to: tuple[str, ...] = (ALL,)
    kind: str = "document"
    """``document`` (numbers, text, and lists and dicts of these), ``array``, ``bytes``, ``device`` or ``anything``."""
    dtype: str | None = None
    shape: tuple[int | str | None, ...] | None = None
    max_items: int = 4096
    """Leaves of a document."""
    max_bytes: int | str = 1 << 20
    times: int | str | None = None
    """Objects per receiver in one step; None: as many as it takes."""


@dataclass(frozen=True)
class Protection:
    """A protection that the step's parameters switch on: without this receipt from each of ``at`` the run fails."""

    name: str
    at: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What the receipt must say, as far as the parameters fix it."""


@dataclass(frozen=True)
class Artifact:
    """What is known of an output before anything runs."""

    kind: str
    """``table``, ``secret_table`` (shares at an SPU's parties), ``rule``, ``common rule`` (the same at every party),
    ``model``, ``report`` or ``other``."""
    parties: tuple[str, ...] = ()
    """Who holds a part of it; empty for a report, which everybody has."""
    label_party: str | None = None
    """For tables and models: who holds the label, where that is known."""
    about: tuple[str, ...] = ()
    """For secret tables and what is made from them: whose people are in it; empty: those of ``parties``."""
    hidden: tuple[str, ...] = ()
    """For secret tables and what is made from them, what nobody but a coordinator knows: `PEOPLE` (who they are),
    `COUNT` (how many they are), `PADDING` (of any row, whether it is padding)."""

    bounded: bool = False
    """For secret tables: no value of a feature is beyond a bound that its holder keeps."""

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose data it is."""
        return self.about or self.parties


@dataclass(frozen=True)
class NodeView:
    """A step as its claims see it."""

    name: str
    parties: tuple[str, ...]
    """All parties of the pipeline, in file order."""
    params: Mapping[str, Any]
    """Attributes with defaults filled in, flat: ``a/b`` -> value; a union's key holds the name of the choice."""
    inputs: Mapping[str, Sequence[Artifact]] = field(default_factory=dict)
    """Per input name the artifacts wired to it (one, or several for a variable input)."""

    def one(self, name: str) -> Artifact | None:
        """The artifact at a single input, or None where nothing (or nothing known) is wired to it."""
        wired = self.inputs.get(name) or ()
        return wired[0] if wired else None


PUBLISHED = Send("published")
"""What nearly every step sends: public figures, to everybody."""


class Claims:
    """The defaults describe a component that computes locally at the parties its inputs live at."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        """Parties that compute in this step, in pipeline order."""
        at = {party for wired in node.inputs.values() for artifact in wired for party in artifact.parties}
        return tuple(party for party in node.parties if party in at) or node.parties

    def outputs(self, node: NodeView) -> dict[str, Artifact]:
        """Per output name what is known of it; outputs that are left out count as ``other`` at all who take part."""
        return {}

    def discloses(self, node: NodeView) -> list[Disclosure]:
        """What each party learns that it did not know before, apart from the pipeline file itself."""
        return []

    def sends(self, node: NodeView) -> list[Send]:
        """Every kind of object that leaves a party over SecretFlow's link. Links of SPU and PSI are not seen there."""
        return []

    def protections(self, node: NodeView) -> list[Protection]:
        """The protections that the parameters switch on."""
        return []

    def problems(self, node: NodeView) -> list[str]:
        """Reasons why this step cannot work, found without reading any data. One sentence each, with the fix."""
        return []

    def warnings(self, node: NodeView) -> list[str]:
        """What the settings give away or leave open although the step can work, one sentence each, with what to do.

        `check` and `plan` show them; nothing is refused.
        """
        return []

    def reads(self, node: NodeView) -> list[tuple[str, str]]:
        """(party, path or sample:// or generate:// address) of files outside the run that this step reads."""
        return []

    def cacheable(self, node: NodeView) -> bool:
        """False where running again may give another result that matters."""
        return True


class UnknownClaims(Claims):
    """For components that make no claims, SecretFlow's own among them: nothing is known, so everything is assumed."""

    def takes_part(self, node: NodeView) -> tuple[str, ...]:
        return node.parties

    def discloses(self, node: NodeView) -> list[Disclosure]:
        return [
            Disclosure(
                to=(ALL,),
                what="its report, row counts, and whatever it reveals",
                about=tuple({p for wired in node.inputs.values() for a in wired for p in a.parties}),
                note="the component makes no statement; SecretFlow's `reveal` sends to every party",
                kind="unknown",
            )
        ]

    def sends(self, node: NodeView) -> list[Send]:
        return [Send("anything", kind="anything")]

    def cacheable(self, node: NodeView) -> bool:
        return bool(node.inputs)


_MODULES = (
    "veilflow.components.data.claims",
    "veilflow.components.alignment.claims",
    "veilflow.components.vertical.claims",
    "veilflow.components.horizontal.claims",
    "veilflow.components.vertical.secret_claims",
    "veilflow.components.application.claims",
    "veilflow.components.flow.claims",
)


def claims_for(component_id: str) -> Claims:
    """Claims of ``domain/name:version`` (the version may be left out); `UnknownClaims` for strangers."""
    key = component_id.split(":", 1)[0]
    for module in _MODULES:
        found = import_module(module).CLAIMS.get(key)
        if isinstance(found, Claims):
            return found
    return UnknownClaims()
