"""A step in which the parties meet and do nothing else.

Computes  nothing.
Reveals   that every party has come so far.
Cost      one round of empty messages.
"""

from secretflow.component.core import Component, Context, DistDataType, Field, Output, register

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.report import ReportBuilder


@register(domain="flow", version="1.0.0", name="barrier")
class Barrier(Component):
    """Wait until every party is here. Measures what a step costs by itself, and proves that all parties are up."""

    report: Output = Field.output(desc="How many parties met", types=[DistDataType.REPORT])

    def evaluate(self, ctx: Context) -> None:
        met = publish({party: run_on(party, lambda: True) for party in ctx.parties})
        ReportBuilder("barrier").values("metrics", {"parties": len(met)}).write(self.report)
