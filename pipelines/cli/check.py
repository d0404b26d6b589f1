"""`veilflow check FILE`."""

from pathlib import Path

import click

from veilflow.pipelines.cli.errors import Refused
from veilflow.pipelines.cli.options import pipeline_file, policy_files, set_values
from veilflow.pipelines.cli.say import say


@click.command()
@pipeline_file
@set_values
@policy_files
def check(file: Path, overrides: tuple[str, ...], policy_paths: tuple[Path, ...]) -> None:
    """Check FILE without starting anything, against policies too if some are given.

    Every problem is listed with its line; settings that protect little are warned of. Nothing is read but the files
    themselves.
    """
    from veilflow.pipelines.plan import make_plan
    from veilflow.pipelines.spec import load

    pipeline = load(file, overrides)
    plan = make_plan(pipeline)
    for warning in plan.warnings():
        say(f"{file}: warning: {warning}", err=True)
    allowed = ""
    if policy_paths:
        from veilflow.pipelines.policy import judge_all, load_policies, refusal

        verdicts = judge_all(load_policies(policy_paths), plan)
        if refused := refusal(verdicts):
            raise Refused(f"{file}: {refused}")
        allowed = f", allowed by {', '.join(verdict.policy.name for verdict in verdicts)}"
    steps = f"{len(pipeline.nodes)} step{'' if len(pipeline.nodes) == 1 else 's'}"
    say(f"{file}: ok, {steps}, {len(pipeline.parties)} parties ({', '.join(pipeline.parties)}){allowed}")
