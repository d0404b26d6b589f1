"""`plan --wire` shows what the egress check will hold the run to."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from veilflow.pipelines.cli.program import program
from veilflow.pipelines.plan import make_plan
from veilflow.pipelines.spec import load

PIPELINES = sorted((Path(__file__).parents[3] / "configs" / "pipelines").glob("*.yaml"))


def _wire(*arguments: str) -> str:
    found = CliRunner(env={"COLUMNS": "200"}).invoke(program, ["plan", *arguments, "--wire"])
    assert found.exit_code == 0, found.output
    return found.output.split("What may leave each party")[1]


def test_lines_name_route_shape_and_number():
    file = next(path for path in PIPELINES if path.name == "hospital_insurer.yaml")
    said = _wire(str(file), "--set", "train.release=per_example")
    (line,) = [line for line in said.splitlines() if " gradient " in line]
    assert " ".join(line.split()) == "hospital hospital, insurer gradient float32 array batch x ? steps objects"


@pytest.mark.parametrize("file", PIPELINES, ids=lambda file: file.name)
def test_every_step_of_a_shipped_pipeline_says_what_it_sends(file):
    silent = [step.name for step in make_plan(load(file)).steps if not step.sends or step.sends[0].kind == "anything"]
    assert not silent, "a step without `sends` could send nothing, or anything"
