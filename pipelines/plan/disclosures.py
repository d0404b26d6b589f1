"""The disclosure table: per step, what each party learns that it did not know before."""

from collections.abc import Callable

from rich.table import Table
from rich.text import Text

from veilflow.components.claims import Disclosure
from veilflow.pipelines.plan.plan import Plan, Step
from veilflow.pipelines.plan.tables import PlainTable

PUBLIC = "Public to all: this file, column names and types, row counts of tables, reports and metrics."


Mark = Callable[[Step, Disclosure], Text]
"""What to write next to a line: what policies say of it."""


def render_disclosures(plan: Plan, mark: Mark | None = None) -> Table:
    """A rich table with one row per step, who learns, and thing learned; with ``mark``, kind and mark of each line."""
    more = () if mark is None else ("kind", "policy")
    table = PlainTable("step", "who learns", "what", "about", *more, kept=("step", "kind"))
    for step in plan.steps:
        rows: list[tuple[str | Text, ...]] = [_row(step, line, mark) for line in step.discloses]
        if not rows:
            rows = [("nobody", Text("nothing new", style="dim"), "", *("" for _ in more))]
        for index, row in enumerate(rows):
            table.add_row(Text(step.name, style="cyan") if index == 0 else "", *row)
    return table


def _row(step: Step, disclosure: Disclosure, mark: Mark | None) -> tuple[str | Text, ...]:
    what = Text(disclosure.what)
    if disclosure.note:
        what.append(f" ({disclosure.note})", style="dim")
    about = tuple(party for party in step.view.parties if party in disclosure.about)
    row = (who(step, step.learners(disclosure)), what, who(step, about))
    return row if mark is None else (*row, disclosure.kind, mark(step, disclosure))


def who(step: Step, parties: tuple[str, ...]) -> str:
    """``everybody``, or the parties by name."""
    return "everybody" if parties == step.view.parties else ", ".join(parties)
