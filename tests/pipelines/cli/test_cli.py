"""The command line: what is printed, and the exit codes."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from veilflow.pipelines.cli.errors import InvalidPipeline, PartyFailure, Refused
from veilflow.pipelines.cli.program import VERBS, program

GOOD = """\
version: 1
name: demo
description: Statistics of a joined table.
parties: [hospital, insurer, coordinator]
nodes:
  left: {uses: io/data_source, with: {party: hospital, uri: a.csv}}
  right: {uses: io/data_source, with: {party: insurer, uri: b.csv}}
  align:
    uses: data_prep/psi
    needs: {input_ds1: left.output_ds, input_ds2: right.output_ds}
    with: {input_ds1_keys: [id], input_ds2_keys: [id]}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call the program in an empty folder that holds good.yaml and bad.yaml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VEILFLOW_DEBUG", raising=False)
    Path("good.yaml").write_text(GOOD)
    Path("bad.yaml").write_text(GOOD.replace("input_ds2_keys: [id]", "input_ds2_kyes: [id]"))

    def call(*args: str) -> Result:
        return CliRunner().invoke(program, list(args))

    return call


def test_check_says_ok(run):
    result = run("check", "good.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "good.yaml: ok, 3 steps, 3 parties (hospital, insurer, coordinator)\n"


def test_settings_that_protect_little_are_warned_of_and_not_refused(run):
    demo = str(Path(__file__).resolve().parents[3] / "configs" / "pipelines" / "hospital_insurer.yaml")
    assert "warning" not in run("check", demo).stderr
    for setting, said in (
        ("train.noise=0", "no noise is added"),
        ("train.epsilon=20", "epsilon 20 for one person's label"),
    ):
        result = run("check", demo, "--set", setting)
        assert result.exit_code == 0
        assert f"{demo}: warning: train: {said}" in result.stderr
        assert f"train: {said}" in run("plan", demo, "--set", setting).stdout


@pytest.mark.parametrize("verb", ["check", "plan", "graph"])
def test_an_invalid_pipeline_ends_with_3_and_all_its_problems(run, verb):
    result = run(verb, "bad.yaml", "--set", "left.uri=3")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == (
        "Error: bad.yaml: 3 problems\n"
        "  line 11: nodes -> align -> with -> input_ds2_kyes: unknown parameter; did you mean 'input_ds2_keys'?\n"
        "  line 11: nodes -> align -> with: parameter 'input_ds2_keys' is missing: a list of columns\n"
        "  --set left.uri=3: nodes -> left -> with -> uri: expected text, got the number 3; "
        'put it in quotes: "3"\n'
    )


def test_set_changes_a_parameter(run):
    assert run("check", "bad.yaml", "--set", "align.input_ds2_keys=[id]").exit_code == 3
    assert run("check", "good.yaml", "--set", "align.sort_result=false", "--set", "left.uri=x").exit_code == 0


def test_plan_prints_steps_and_disclosures_without_colours_or_cuts(run):
    result = run("plan", "good.yaml")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:9] == [
        "demo: Statistics of a joined table.",
        "Parties: hospital, insurer, coordinator",
        "",
        "Steps",
        "   step   component             takes part  needs",
        "1  left   io/data_source:1.0.0  everybody",
        "2  right  io/data_source:1.0.0  everybody",
        "3  align  data_prep/psi:1.0.0   everybody   left.output_ds, right.output_ds",
        "",
    ]
    assert lines[9:11] == [
        "What each party learns",
        "Public to all: this file, column names and types, row counts of tables, reports and metrics.",
    ]
    assert len(lines) == 15
    assert "\x1b" not in result.stdout
    assert all(line == line.rstrip() for line in lines)


def test_graph_prints_mermaid_only(run):
    result = run("graph", "good.yaml")
    assert result.exit_code == 0
    assert result.stdout.startswith("flowchart TD\n")
    assert result.stdout.endswith("s2 -->|output_ds| s3\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["check"], "Missing argument 'FILE'."),
        (["check", "absent.yaml"], "Invalid value for 'FILE': File 'absent.yaml' does not exist."),
        (["chek", "good.yaml"], "no command 'chek'; did you mean 'check'?"),
        (
            ["frobnicate"],
            "no command 'frobnicate'; there are run, check, plan, graph, components, doctor, certs, bench",
        ),
        (["components", "unoin"], "no component 'unoin'; did you mean 'data_prep/union'?"),
        (["components", "quantum/x"], "no component 'quantum/x'; `veilflow components` lists those installed"),
        (
            ["components", "data_prep/psi:3.0.0"],
            "'data_prep/psi' is installed in version 1.0.0, which does not serve 3.0.0",
        ),
    ],
)
def test_wrong_usage_ends_with_2_and_one_message(run, args, message):
    result = run(*args)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {message}"


def test_help_names_every_verb_and_exit_code(run):
    text = " ".join(run("--help").stdout.split())
    for verb, (_, line) in VERBS.items():
        assert f"{verb} {line}" in text
    assert "0 ok, 1 a bug, 2 wrong usage, 3 an invalid pipeline, 4 a party failed, 5 refused by a policy" in text


def test_version(run):
    assert run("--version").stdout == "veilflow 0.1.0\n"


def _raising(error: BaseException) -> click.Command:
    def fail() -> None:
        raise error

    return click.Command("check", callback=fail)


@pytest.mark.parametrize(
    ("error", "code"),
    [(InvalidPipeline("x"), 3), (PartyFailure("x"), 4), (Refused("x"), 5), (click.UsageError("x"), 2)],
)
def test_every_kind_of_end_has_its_code(run, monkeypatch, error, code):
    monkeypatch.setattr("veilflow.pipelines.cli.check.check", _raising(error))
    result = run("check")
    assert result.exit_code == code
    assert result.stderr.splitlines()[-1] == "Error: x"


def test_a_bug_ends_with_1_one_line_and_a_log(run, monkeypatch, tmp_path):
    monkeypatch.setattr("veilflow.pipelines.cli.check.check", _raising(ZeroDivisionError("first\nsecond")))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run("check")
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert first == "Error: a bug in VeilFlow: ZeroDivisionError: first"
    (log,) = tmp_path.glob("veilflow-*.log")
    assert second == f"The traceback is in {log}; --debug prints it here."
    assert "Traceback (most recent call last)" in log.read_text()


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_the_traceback(run, monkeypatch, how):
    monkeypatch.setattr("veilflow.pipelines.cli.check.check", _raising(ZeroDivisionError("x")))
    if how == "variable":
        monkeypatch.setenv("VEILFLOW_DEBUG", "1")
    result = run(*(["--debug"] if how == "option" else []), "check")
    assert isinstance(result.exception, ZeroDivisionError)
    assert result.exit_code == 1


def test_a_reader_that_goes_away_is_no_bug(run, monkeypatch):
    monkeypatch.setattr("veilflow.pipelines.cli.check.check", _raising(BrokenPipeError("x")))
    assert "bug" not in run("check").stderr


def test_an_interrupted_command_is_no_bug(run, monkeypatch):
    monkeypatch.setattr("veilflow.pipelines.cli.check.check", _raising(KeyboardInterrupt()))
    result = run("check")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].startswith("Interrupted; ")
