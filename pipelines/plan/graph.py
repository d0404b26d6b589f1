"""A plan as a Mermaid flow chart, which GitHub and most editors draw."""

from veilflow.pipelines.plan.disclosures import who
from veilflow.pipelines.plan.plan import Plan, Step


def to_mermaid(plan: Plan) -> str:
    """The text of a flow chart: a box per step with its component and parties, an arrow per artifact.

    The same pipeline always gives the same text.
    """
    ids = {step.name: f"s{index}" for index, step in enumerate(plan.steps, start=1)}
    lines = ["flowchart TD"]
    lines += [f'    {ids[step.name]}["{_label(step)}"]' for step in plan.steps]
    for step in plan.steps:
        for wire in step.wires:
            if wire.source is not None:
                lines.append(f"    {ids[wire.source.node]} -->|{wire.source.output}| {ids[step.name]}")
    return "\n".join(lines) + "\n"


def _label(step: Step) -> str:
    # Names hold letters, digits and underscores only, so nothing needs escaping.
    return f"<b>{step.name}</b><br/>{step.definition.key}<br/><i>{who(step, step.takes_part)}</i>"
