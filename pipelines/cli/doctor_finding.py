"""What one check of `veilflow doctor` found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from veilflow.pipelines.plan.tables import PlainTable

_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "wrong": ("WRONG", "bold red")}


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    name: str
    state: Literal["ok", "note", "wrong"]
    """``note``: it works, but not well."""
    detail: str
    fix: str = ""


def render(findings: Sequence[Finding]) -> PlainTable:
    """A table of all findings, each fix below what it mends."""
    table = PlainTable("", "check", "found", kept=("", "check"))
    table.show_header = False
    for finding in findings:
        mark = Text(*_MARKS[finding.state])
        found = Text(finding.detail)
        if finding.fix and finding.state != "ok":
            found.append(f"\nFix: {finding.fix}")
        table.add_row(mark, finding.name, found)
    return table
