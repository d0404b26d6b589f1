"""The steps of a plan as a table: order, component, who takes part."""

from rich.table import Table
from rich.text import Text

from veilflow.pipelines.plan.disclosures import who
from veilflow.pipelines.plan.plan import Plan
from veilflow.pipelines.plan.tables import PlainTable


def render_steps(plan: Plan) -> Table:
    """A rich table with one row per step, in the order in which they run."""
    table = PlainTable("", "step", "component", "takes part", "needs", kept=("", "step", "component"))
    table.columns[0].justify = "right"
    for number, step in enumerate(plan.steps, start=1):
        needs = ", ".join(reference for references in step.needs.values() for reference in references)
        name = Text(step.name, style="cyan")
        table.add_row(str(number), name, step.component_id, who(step, step.takes_part), needs)
    return table
