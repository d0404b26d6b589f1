"""`veilflow check FILE`."""

from pathlib import Path

import click

from veilflow.pipelines.cli.options import pipeline_file, set_values


@click.command()
@pipeline_file
@set_values
def check(file: Path, overrides: tuple[str, ...]) -> None:
    """Check FILE without starting anything.

    Every problem is listed with its line. Nothing is read but the file itself.
    """
    from veilflow.pipelines.spec import load

    pipeline = load(file, overrides)
    steps = f"{len(pipeline.nodes)} step{'' if len(pipeline.nodes) == 1 else 's'}"
    click.echo(f"{file}: ok, {steps}, {len(pipeline.parties)} parties ({', '.join(pipeline.parties)})")
