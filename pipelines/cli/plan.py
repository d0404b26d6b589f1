"""`veilflow plan FILE`."""

from functools import partial
from pathlib import Path

import click
from rich.text import Text

from veilflow.pipelines.cli.errors import Refused
from veilflow.pipelines.cli.options import pipeline_file, policy_files, set_values
from veilflow.pipelines.cli.output import show


@click.command()
@pipeline_file
@set_values
@policy_files
@click.option("--wire", is_flag=True, help="Also show which objects may leave a party; a run refuses all others.")
def plan(file: Path, overrides: tuple[str, ...], policy_paths: tuple[Path, ...], wire: bool) -> None:
    """Show the steps of FILE in order, who takes part, and what each party learns.

    With --policy every line says whether it is allowed.

    Nothing runs, and nothing is read but the file itself.
    """
    from veilflow.pipelines.plan import make_plan, render_disclosures, render_steps
    from veilflow.pipelines.plan.disclosures import PUBLIC
    from veilflow.pipelines.plan.sends import NOTE, render_sends
    from veilflow.pipelines.policy import judge_all, load_policies, refusal
    from veilflow.pipelines.policy.words import mark, rulings
    from veilflow.pipelines.spec import load
    from veilflow.pipelines.spec.account import account

    found = make_plan(load(file, overrides))
    verdicts = judge_all(load_policies(policy_paths), found)
    pipeline = found.pipeline
    title = Text(pipeline.name, style="bold")
    if pipeline.description:
        title.append(f": {pipeline.description.strip()}", style="not bold")
    show(title, f"Parties: {', '.join(pipeline.parties)}", "")
    show(Text("Steps", style="bold underline"), render_steps(found), "")
    marks = partial(mark, verdicts) if verdicts else None
    show(Text("What each party learns", style="bold underline"), PUBLIC, render_disclosures(found, marks))
    if totals := account((step.name, step.discloses) for step in found.steps):
        show("", Text("What all steps together tell with noise", style="bold underline"), *map(str, totals))
    if warnings := found.warnings():
        show("", Text("Warnings", style="bold underline"), *warnings)
    if wire:
        show("", Text("What may leave each party", style="bold underline"), NOTE, render_sends(found))
    if verdicts:
        show("", Text("Policies", style="bold underline"), *rulings(verdicts))
    if refused := refusal(verdicts):
        raise Refused(f"{file}: {refused}")
