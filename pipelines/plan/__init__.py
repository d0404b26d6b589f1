"""The plan: steps in order, who takes part in each, and what each party learns from it. Light, like `spec`."""

from veilflow.pipelines.plan.disclosures import render_disclosures
from veilflow.pipelines.plan.graph import to_mermaid
from veilflow.pipelines.plan.plan import Plan, Step, make_plan
from veilflow.pipelines.plan.steps import render_steps

__all__ = ["Plan", "Step", "make_plan", "render_disclosures", "render_steps", "to_mermaid"]
