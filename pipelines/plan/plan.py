"""A checked pipeline -> the steps that every party walks in the same order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from veilflow.components.claims import ALL, Artifact, Disclosure, NodeView, Protection, Send
from veilflow.pipelines import catalog as catalogs
from veilflow.pipelines.catalog import Catalog, Definition
from veilflow.pipelines.spec.edges import Wire, ordered, wires_of
from veilflow.pipelines.spec.flow import Flow, follow
from veilflow.pipelines.spec.model import Pipeline
from veilflow.pipelines.spec.params import flatten_params, with_defaults


@dataclass(frozen=True)
class Step:
    """One node of the plan."""

    definition: Definition
    given: Mapping[str, Any]
    """Parameters of the file, flat, without defaults: what `node_eval_param` takes."""
    wires: tuple[Wire, ...]
    """What it takes, in the order in which SecretFlow expects it; a wire without source is an optional input."""
    view: NodeView
    """The step as its claims see it."""
    outputs: Mapping[str, Artifact]
    """What it gives, per output name in the definition's order."""
    takes_part: tuple[str, ...]
    discloses: tuple[Disclosure, ...]
    reads: tuple[tuple[str, str], ...]
    """(party, address) of files outside the run that it reads."""
    cacheable: bool
    device: str | None
    """The SPU asked for in the file; None: whichever comes first."""
    protections: tuple[Protection, ...] = ()
    """What must leave a receipt."""
    sends: tuple[Send, ...] = ()
    """What may leave a party; the egress check refuses the rest."""
    warnings: tuple[str, ...] = ()
    """What the settings leave open, see `Claims.warnings`."""

    @property
    def name(self) -> str:
        return self.view.name

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameters, flat, defaults filled in."""
        return self.view.params

    @property
    def component_id(self) -> str:
        """``domain/name:version``."""
        return self.definition.id

    @property
    def output_names(self) -> tuple[str, ...]:
        """In the definition's order."""
        return tuple(self.outputs)

    @property
    def needs(self) -> dict[str, list[str]]:
        """Per input that is wired, its ``node.output`` references."""
        found: dict[str, list[str]] = {}
        for wire in self.wires:
            if wire.source is not None:
                found.setdefault(wire.input, []).append(str(wire.source))
        return found

    def input_refs(self) -> list[str | None]:
        """One ``node.output`` per artifact in SecretFlow's order; None for an optional input left out."""
        return [None if wire.source is None else str(wire.source) for wire in self.wires]

    def learners(self, disclosure: Disclosure) -> tuple[str, ...]:
        """Who learns what ``disclosure`` says, in pipeline order."""
        return tuple(party for party in self.view.parties if ALL in disclosure.to or party in disclosure.to)


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they run: after all they need, otherwise in file order."""

    pipeline: Pipeline
    steps: tuple[Step, ...]

    def warnings(self) -> list[str]:
        """What the steps' settings leave open: one line each, with the step's name."""
        return [f"{step.name}: {warning}" for step in self.steps for warning in step.warnings]

    def step(self, name: str) -> Step:
        """The step of that name.

        Raises:
            KeyError: there is none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)


def make_plan(pipeline: Pipeline, *, catalog: Catalog | None = None) -> Plan:
    """The plan of a pipeline that `load` accepted.

    Args:
        catalog: the one that `load` was given; by default that of this installation.
    """
    catalog = catalog or catalogs.load()
    flows: dict[str, Flow] = {}
    steps = []
    for name in ordered(pipeline.nodes):
        node = pipeline.nodes[name]
        definition = catalog.find(node.uses)
        assert definition is not None, f"load() accepted {node.uses}"
        given = flatten_params(definition, node.params)
        params = with_defaults(definition, given)
        wires = wires_of(node, definition)
        flows[name] = follow(name, definition, params, wires, pipeline.parties, flows)
        steps.append(_step(definition, given, wires, flows[name], node.device))
    return Plan(pipeline, tuple(steps))


def _step(
    definition: Definition, given: Mapping[str, Any], wires: tuple[Wire, ...], flow: Flow, device: str | None
) -> Step:
    claims, view = flow.claims, flow.view
    return Step(
        definition=definition,
        given=given,
        wires=wires,
        view=view,
        outputs=flow.outputs,
        takes_part=flow.takes_part,
        discloses=tuple(claims.discloses(view)),
        sends=tuple(claims.sends(view)),
        reads=tuple(claims.reads(view)),
        cacheable=claims.cacheable(view),
        device=device,
        protections=tuple(claims.protections(view)),
        warnings=tuple(claims.warnings(view)),
    )
