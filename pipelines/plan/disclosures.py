"""The disclosure table: per step, what each party learns that it did not know before."""

from rich.table import Table
from rich.text import Text

from veilflow.components.claims import Disclosure
from veilflow.pipelines.plan.plan import Plan, Step
from veilflow.pipelines.plan.tables import PlainTable

PUBLIC = "Public to all: this file, column names and types, row counts of tables, reports and metrics."


def render_disclosures(plan: Plan) -> Table:
    """A rich table with one row per step, who learns, and thing learned."""
    table = PlainTable("step", "who learns", "what", "about", kept=("step",))
    for step in plan.steps:
        rows = [_row(step, disclosure) for disclosure in step.discloses]
        if not rows:
            rows = [("nobody", Text("nothing new", style="dim"), "")]
        for index, row in enumerate(rows):
            table.add_row(Text(step.name, style="cyan") if index == 0 else "", *row)
    return table


def _row(step: Step, disclosure: Disclosure) -> tuple[str, Text, str]:
    what = Text(disclosure.what)
    if disclosure.note:
        what.append(f" ({disclosure.note})", style="dim")
    about = tuple(party for party in step.view.parties if party in disclosure.about)
    return who(step, step.learners(disclosure)), what, who(step, about)


def who(step: Step, parties: tuple[str, ...]) -> str:
    """``everybody``, or the parties by name."""
    return "everybody" if parties == step.view.parties else ", ".join(parties)
