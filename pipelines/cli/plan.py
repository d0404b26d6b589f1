"""`veilflow plan FILE`."""

from pathlib import Path

import click
from rich.text import Text

from veilflow.pipelines.cli.options import pipeline_file, set_values
from veilflow.pipelines.cli.output import show


@click.command()
@pipeline_file
@set_values
def plan(file: Path, overrides: tuple[str, ...]) -> None:
    """Show the steps of FILE in order, who takes part, and what each party learns.

    Nothing runs, and nothing is read but the file itself.
    """
    from veilflow.pipelines.plan import make_plan, render_disclosures, render_steps
    from veilflow.pipelines.plan.disclosures import PUBLIC
    from veilflow.pipelines.spec import load

    found = make_plan(load(file, overrides))
    pipeline = found.pipeline
    title = Text(pipeline.name, style="bold")
    if pipeline.description:
        title.append(f": {pipeline.description.strip()}", style="not bold")
    show(title, f"Parties: {', '.join(pipeline.parties)}", "")
    show(Text("Steps", style="bold underline"), render_steps(found), "")
    show(Text("What each party learns", style="bold underline"), PUBLIC, render_disclosures(found))
