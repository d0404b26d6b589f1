"""What is known of every artifact before anything runs: the claims of each step, asked in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veilflow.components.claims import Artifact, Claims, NodeView, claims_for
from veilflow.pipelines.catalog import Definition
from veilflow.pipelines.spec.edges import Wire

_KINDS = {"table": "table", "rule": "rule", "model": "model", "report": "report"}


@dataclass(frozen=True)
class Flow:
    """A step with its claims, and what it gives."""

    view: NodeView
    claims: Claims
    takes_part: tuple[str, ...]
    outputs: Mapping[str, Artifact]
    """Per output of the definition, in its order."""


def follow(
    name: str,
    definition: Definition,
    params: Mapping[str, Any],
    wires: Sequence[Wire],
    parties: tuple[str, ...],
    earlier: Mapping[str, Flow],
) -> Flow:
    """Ask the claims of one step.

    Args:
        params: flat, with defaults.
        earlier: the flows of every node that ``wires`` come from.
    """
    inputs: dict[str, list[Artifact]] = {}
    for wire in wires:
        if wire.source is not None:
            artifact = earlier[wire.source.node].outputs[wire.source.output]
            inputs.setdefault(wire.input, []).append(artifact)
    view = NodeView(name, parties, params, {key: tuple(value) for key, value in inputs.items()})
    claims = claims_for(definition.id)
    takes_part = claims.takes_part(view)
    stated = claims.outputs(view)
    outputs = {out.name: stated.get(out.name) or _unstated(out.types, takes_part) for out in definition.outputs}
    return Flow(view, claims, takes_part, outputs)


def _unstated(types: Sequence[str], takes_part: tuple[str, ...]) -> Artifact:
    """What the DistData type alone tells: ``sf.table.individual`` is a table, ``sf.model.sgb`` a model."""
    kinds = {next((_KINDS[part] for part in kind.split(".") if part in _KINDS), "other") for kind in types}
    kind = kinds.pop() if len(kinds) == 1 else "other"
    return Artifact(kind, () if kind == "report" else takes_part)
