"""What reaches a terminal: no escape sequence of a file or a peer, and no crash whatever the terminal can show."""

import ast
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from veilflow.pipelines.cli.output import SafeConsole
from veilflow.pipelines.cli.program import program
from veilflow.pipelines.launch.processes import Event
from veilflow.pipelines.launch.progress import RunDisplay
from veilflow.pipelines.plan.tables import PlainTable
from veilflow.pipelines.visible import visible

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\u202eexe.\u2066\r\x08\x7f\u2028"
_FORBIDDEN = {chr(code) for code in (*range(0x0A), *range(0x0B, 0x20), *range(0x7F, 0xA0))}
_FORBIDDEN |= set("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def _obeyed(text: str) -> set[str]:
    return set(text) & _FORBIDDEN


@given(st.text())
def test_visible_text_holds_no_control_character_and_stays_as_it_is_a_second_time(text):
    shown = visible(text)
    assert not _obeyed(shown)
    shown.encode()  # no half of a character either
    assert visible(shown) == shown
    assert shown.count("\n") == text.count("\n")


def test_ordinary_text_of_any_language_is_left_alone():
    for text in ("plain\nlines", "深圳 医院", "✓ ö — é", "שלום", "e\u0301"):
        assert visible(text) == text


@pytest.fixture
def hostile_file(tmp_path):
    """A valid pipeline whose texts hold escape sequences, as YAML can write them."""
    code = HOSTILE.encode("unicode_escape").decode()
    file = tmp_path / "p.yaml"
    file.write_text(
        "version: 1\nname: trial\n"
        f'description: "{code}"\n'
        "parties: [hospital, insurer]\nnodes:\n"
        f'  patients: {{uses: data/read_table, with: {{party: hospital, path: "{code}.csv", id: ["{code}"]}}}}\n'
    )
    return file


OPTIONS = [[], ["--set", f"patients.{HOSTILE}=1"], ["--set", HOSTILE], [HOSTILE], ["-" + HOSTILE]]


@pytest.mark.parametrize("verb", ["check", "plan", "graph"])
@pytest.mark.parametrize(
    "option", [[], ["--set", f"patients.{HOSTILE}=1"], ["--set", HOSTILE], [HOSTILE], [f"--{HOSTILE}"]]
)
def test_no_verb_prints_a_control_character(hostile_file, verb, option):
    done = CliRunner().invoke(program, [verb, str(hostile_file), *option])
    assert done.output
    assert not _obeyed(done.output)


def test_unknown_names_in_a_file_are_shown_and_not_obeyed(hostile_file):
    code = HOSTILE.encode("unicode_escape").decode()
    hostile_file.write_text(
        hostile_file.read_text() + f'  "{code}": {{uses: "{code}", needs: {{"{code}": "{code}"}}}}\n'
    )
    done = CliRunner().invoke(program, ["check", str(hostile_file)])
    assert done.exit_code == 3
    assert "\\x1b]0;title" in done.output
    assert not _obeyed(done.output)


@pytest.mark.parametrize("error", [click.UsageError(HOSTILE), ValueError(HOSTILE), OSError(28, "x", HOSTILE)])
def test_errors_are_shown_and_not_obeyed(monkeypatch, error, tmp_path):
    def fail() -> None:
        raise error

    monkeypatch.delenv("VEILFLOW_DEBUG", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("veilflow.pipelines.cli.check.check", click.Command("check", callback=fail))
    done = CliRunner().invoke(program, ["check"])
    assert "\\x1b]0;title" in done.output
    assert not _obeyed(done.output)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_console_colours_but_does_not_obey_texts(terminal):
    table = PlainTable("name", HOSTILE)
    table.add_row(HOSTILE, Text(HOSTILE, style="red"))
    sink = StringIO()
    screen = SafeConsole(file=sink, force_terminal=terminal, color_system="standard" if terminal else None, width=300)
    screen.print(table, f"plain {HOSTILE}")
    assert ("\x1b[31m" in sink.getvalue()) == terminal
    assert "\x1b]0;" not in sink.getvalue()
    assert not _obeyed(sink.getvalue()) - {"\x1b"}


def test_what_parties_say_of_their_steps_is_shown_and_neither_obeyed_nor_taken_for_markup():
    sink = StringIO()
    screen = SafeConsole(file=sink, width=500, color_system=None, markup=False)
    said = f"[/red] {HOSTILE}"
    with RunDisplay(screen, 1, ["step"]) as display:
        display.on_event(Event("a", "waiting", {"text": said}))
        display.on_event(Event("a", "node_started", {"node": "step"}))
        display.on_event(Event("a", "restarting", {"message": said, "left": 0}))
        hint = [{"kind": "values", "name": "hint", "values": {"hint": said}}]
        body = {"node": "step", "status": "ran", "seconds": 1.0, "metrics": {said: said}, "report": hint}
        display.on_event(Event("a", "node_done", body))
    assert sink.getvalue().count("[/red] \\x1b") == 5
    assert "[dim]" not in sink.getvalue()
    assert not _obeyed(sink.getvalue())


def _at(terminal: str, folder: Path, *words: str) -> tuple[int, str]:
    """A command at a terminal of that encoding: its code, and what it printed."""
    environment = {**os.environ, "PYTHONIOENCODING": terminal}
    command = [sys.executable, "-m", "veilflow.pipelines.cli", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=120, check=False)
    return done.returncode, (done.stdout + done.stderr).decode(terminal)


FOREIGN = """
version: 1
name: trial
description: "\u2713 \u00e9"
parties: [hospital, insurer]
nodes:
  meet: {uses: flow/barrier}
  patients: {uses: data/read_table, with: {party: hospital, path: "\u2713\u00e9.csv", id: [person]}}
"""


@pytest.mark.parametrize("terminal", ["gbk", "ascii", "latin-1"])
def test_what_a_terminal_cannot_show_is_shown_as_its_code(tmp_path, terminal):
    (tmp_path / "p.yaml").write_text(FOREIGN)
    code, text = _at(terminal, tmp_path, "plan", "p.yaml")
    assert (code, "trial: \\u2713" in text) == (0, True)
    code, text = _at(terminal, tmp_path, "check", "p.yaml", "--set", "meet.\u2713=1")
    assert (code, "\\u2713" in text) == (3, True)


@pytest.mark.cluster
def test_a_run_at_such_a_terminal_is_no_bug(tmp_path):
    (tmp_path / "p.yaml").write_text(FOREIGN)
    code, text = _at("gbk", tmp_path, "run", "p.yaml", "--out", "out")
    assert code == 4
    assert " + meet" in text
    assert "hospital failed in step 'patients'" in text
    assert "bug" not in text


def test_the_program_prints_by_these_functions_only():
    """Whatever else wrote to the terminal would not be looked at."""
    found = []
    for path in [*(ROOT / "pipelines/cli").glob("*.py"), *(ROOT / "pipelines/launch").glob("*.py")]:
        if path.name in ("say.py", "output.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if name in ("print", "click.echo", "click.secho", "Console", "sys.stdout.write", "sys.stderr.write"):
                    found.append(f"{path.name}: {name}")
    assert found == []
