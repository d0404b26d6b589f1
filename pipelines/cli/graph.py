"""`veilflow graph FILE`."""

from pathlib import Path

import click

from veilflow.pipelines.cli.options import pipeline_file, set_values
from veilflow.pipelines.cli.say import say


@click.command()
@pipeline_file
@set_values
def graph(file: Path, overrides: tuple[str, ...]) -> None:
    """Print FILE as a Mermaid flow chart.

    Paste it into a ```mermaid block on GitHub, or into mermaid.live.
    """
    from veilflow.pipelines.plan import make_plan, to_mermaid
    from veilflow.pipelines.spec import load

    say(to_mermaid(make_plan(load(file, overrides))), newline=False)
