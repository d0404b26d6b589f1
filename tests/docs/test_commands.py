"""Every command that a text of this project names is one: found by itself, parsed by the real program, run where quick.

Texts: Markdown, comments of YAML files, and every string of the package's code, error messages and docstrings included.
A *line* is a command to type as it stands; a *mention* is one in running text, between backticks, often without all
that it needs. Long runs take part with VEILFLOW_FULL=1.
"""

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from veilflow.pipelines.catalog import load as load_catalog
from veilflow.pipelines.cli.program import VERBS, program
from veilflow.pipelines.cluster.config import load_cluster
from veilflow.pipelines.launch.setups import party_setup
from veilflow.pipelines.plan import make_plan
from veilflow.pipelines.policy import load_policy
from veilflow.pipelines.spec import load

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
_FOLDERS = ("components", "datasets", "pipelines")
_PROGRAM = rf"veilflow (?:{'|'.join(VERBS)})\b"
_WORDS = r"""(?:"[^"]*"|'[^']*'|[^;&|#"'])*"""
_LINE = re.compile(rf"(?:^|[;&|] *|\bdo +)((?:\.venv/bin/)?veilflow {_WORDS})(?:\|\| test \$\? -eq (\d))?")
_SPAN = re.compile(r"`((?:\.venv/bin/)?veilflow [^`]+)`")
_ELSEWHERE = {"--enable_plugins", "--all", "--file", "--require-hashes", "--no-deps", "--privileged"}
"""Options of other programs that our texts name."""


@dataclass(frozen=True)
class Command:
    """A command as a text names it."""

    place: str
    text: str
    is_line: bool
    code: int = 0
    """How a line should end."""
    fence: bool = False
    """In a block of Markdown that the tests of that page run."""

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)[1:]

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"[:90]


def markdown(text: str, place: str) -> Iterator[Command]:
    """Commands of a page: in blocks, in indented lines, between backticks."""
    fence, running = "", []
    for number, line in _logical(text.splitlines()):
        if line.startswith("```"):
            fence = "" if fence else line[3:].strip() or "text"
        elif fence in ("bash", "sh", "text", "console") or line.startswith("    "):
            for found in _LINE.finditer(line.strip()):
                yield Command(f"{place}:{number}", found[1].strip(), True, int(found[2] or 0), bool(fence))
        elif not fence:
            running.append((number, line))
    yield from _mentions(running, place)


def comments(text: str, place: str) -> Iterator[Command]:
    """Commands in the comments of a YAML file."""
    lines = [line.partition("#")[2] if "#" in line else "" for line in text.splitlines()]
    logical = list(_logical(lines))
    for number, line in logical:
        if line.strip().startswith("veilflow "):
            yield from (Command(f"{place}:{number}", f[1].strip(), True) for f in _LINE.finditer(line.strip()))
    yield from _mentions(logical, place)


def _mentions(lines: list[tuple[int, str]], place: str) -> Iterator[Command]:
    """What stands between backticks, also where it goes on in the next line."""
    text = "\n".join(line for _, line in lines)
    for found in _SPAN.finditer(text):
        number = lines[text[: found.start()].count("\n")][0]
        yield Command(f"{place}:{number}", " ".join(found[1].split()), False)


def strings(source: str, place: str) -> Iterator[tuple[str, str]]:
    """(place, text) of every string of a module; what an f-string fills in is ``X``."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
            inside.update(id(part) for part in node.values)
            yield f"{place}:{node.lineno}", "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield f"{place}:{node.lineno}", node.value


def _logical(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, those that end with a backslash joined with the next."""
    held, first = "", 0
    for number, line in enumerate(lines, start=1):
        first = first if held else number
        if line.rstrip().endswith("\\"):
            held += line.rstrip()[:-1] + " "
            continue
        yield first, held + (line.strip() if held else line)
        held = ""


def _files(*patterns: str) -> list[Path]:
    hidden = {".venv", ".typecheck", "build", ".bootstrap", "runs"}
    found = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return sorted(path for path in found if not hidden & set(path.relative_to(ROOT).parts))


def _all() -> list[Command]:
    found: list[Command] = []
    for path in _files("*.md", "docs/**/*.md", "benchmarks/**/*.md"):
        found += markdown(path.read_text(), path.relative_to(ROOT).as_posix())
    for path in _files("configs/**/*.yaml"):
        found += comments(path.read_text(), path.relative_to(ROOT).as_posix())
    for place, text in STRINGS:
        found += [Command(place, span[1], False) for span in _SPAN.finditer(text)]
    return found


STRINGS = [
    pair
    for folder in _FOLDERS
    for path in _files(f"{folder}/**/*.py")
    for pair in strings(path.read_text(), path.relative_to(ROOT).as_posix())
]
COMMANDS = _all()
LINES = [each for each in COMMANDS if each.is_line]
RUNS = [each for each in LINES if each.words[0] == "run"]


def leaf(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that ``words`` lead to, and what is left of them.

    Raises:
        AssertionError: there is no such verb.
    """
    command: click.Command = program
    context = click.Context(program)
    while isinstance(command, click.Group) and words and re.fullmatch("[a-z_]+", words[0]):
        found = command.get_command(context, words[0])
        assert found is not None, f"no command '{words[0]}'"
        command, words = found, words[1:]
    return command, words


def options(command: click.Command) -> dict[str, click.Parameter]:
    return {name: each for each in command.params for name in (*each.opts, *each.secondary_opts)}


def check_mention(text: str) -> None:
    """Its verb is one, every option that it names is one of that verb, and so is a choice."""
    words = shlex.split(text)[1:]
    command, rest = leaf(words)
    known = {**options(program), **options(command), "--help": None}
    for word in rest:
        if word.startswith("--"):
            assert word.split("=")[0] in known, f"{text}: no option {word}"
    choices = [each.type.choices for each in command.params if isinstance(each.type, click.Choice)]
    if choices and rest and re.fullmatch("[a-z_]+", rest[0]):
        assert rest[0] in choices[0], text


def parse(words: list[str]) -> dict[str, object]:
    """What the real program makes of ``words``.

    Raises:
        click.ClickException: it refuses them.
    """
    command: click.Command = program
    context, name = None, "veilflow"
    while isinstance(command, click.Group):
        context = command.make_context(name, list(words), parent=context)
        name, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command = found
    return command.make_context(name, list(words), parent=context).params


def _filled(words: list[str]) -> list[str]:
    """Words with what a reader puts in for placeholders of shell loops and of the text."""
    return [re.sub(r"\$\{?party\}?", "hospital", word).replace("$PWD", str(ROOT)) for word in words]


@pytest.fixture
def outside_files_are_there(monkeypatch):
    """Files that the reader brings or makes: only the project's own must exist."""
    convert = click.Path.convert
    monkeypatch.chdir(ROOT)

    def lenient(self, value, param, context):
        own = str(value).startswith(("configs/", "docs/", "benchmarks/"))
        return convert(self, value, param, context) if own else Path(value)

    monkeypatch.setattr(click.Path, "convert", lenient)


def test_commands_are_found_in_every_kind_of_text():
    kinds = {"README.md", "docs/", "benchmarks/", "configs/", "pipelines/", "components/"}
    assert all(any(each.place.startswith(kind) for each in COMMANDS) for kind in kinds)
    assert len(LINES) >= 25
    assert len(RUNS) >= 8


@pytest.mark.parametrize("path", _files("*.md", "docs/**/*.md", "benchmarks/**/*.md", "configs/**/*.yaml"), ids=str)
def test_no_command_of_a_text_is_overlooked(path):
    place = path.relative_to(ROOT).as_posix()
    found = [each.text for each in COMMANDS if each.place.rsplit(":", 1)[0] == place]
    assert sum(len(re.findall(_PROGRAM, text)) for text in found) == len(re.findall(_PROGRAM, path.read_text()))


@pytest.mark.parametrize("command", [each for each in COMMANDS if not each.is_line], ids=str)
def test_what_is_mentioned_exists(command):
    check_mention(command.text)


@pytest.mark.parametrize("command", LINES, ids=str)
def test_every_line_is_one_the_program_understands(command, outside_files_are_there, tmp_path):
    words = _filled(command.words)
    params = parse(words)
    if words[0] in ("run", "check", "plan", "graph"):
        pipeline = load(Path(str(params["file"])), params["overrides"])
        assert params.get("party") in (None, *pipeline.parties)
        if str(params.get("cluster_file")).startswith("configs/"):
            party_setup(pipeline, tmp_path, load_cluster(params["cluster_file"]), params["party"])  # or says why not
        for policy in params.get("policy_paths", ()):
            load_policy(policy)
    if words[0] == "components" and params["name"]:
        assert load_catalog().find(params["name"])


QUICK = [each for each in LINES if each.words[0] in ("check", "plan", "graph", "components")]


@pytest.mark.parametrize("command", QUICK, ids=str)
def test_quick_lines_end_as_they_should(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(program, command.words)
    assert done.exit_code == command.code, done.output


@pytest.mark.parametrize("command", [each for each in RUNS if not each.fence and "--party" not in each.words], ids=str)
def test_long_runs_end_well(command, tmp_path):
    """Those in blocks are run by the tests of their page; a party alone cannot run."""
    if os.environ.get("VEILFLOW_FULL") != "1":
        pytest.skip("takes minutes: VEILFLOW_FULL=1 runs it")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    for name in re.findall(r"=(\w+\.(?:csv|npz))\b", command.text):
        here = list(DATA.rglob(name))
        if not here:
            pytest.skip(f"{name} is not part of the project")
        if not (tmp_path / name).exists():
            (tmp_path / name).symlink_to(here[0])
    done = subprocess.run(
        [sys.executable, "-m", "veilflow.pipelines.cli", *command.words],
        cwd=tmp_path, capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == command.code, done.stderr


@pytest.mark.parametrize("command", RUNS, ids=str)
def test_delta_of_a_run_on_generated_rows_is_below_one_over_them(command, outside_files_are_there):
    """What makes such a run end with 4 is known from its line: seen without running for minutes."""
    params = parse(_filled(command.words))
    plan = make_plan(load(Path(str(params["file"])), params["overrides"]))
    rows = [int(n) for step in plan.steps for _, address in step.reads for n in re.findall(r"\brows=(\d+)", address)]
    for step in plan.steps:
        if rows and "privacy/delta" in step.params:
            assert step.params["privacy/delta"] < 1 / max(rows), step.name


def test_every_option_that_a_message_names_is_one():
    known = {"--help", *_ELSEWHERE}
    pending: list[click.Command] = [program]
    while pending:
        command = pending.pop()
        known |= set(options(command))
        if isinstance(command, click.Group):
            names = command.list_commands(click.Context(command))
            pending += [found for name in names if (found := command.get_command(click.Context(command), name))]
    used = {(place, word) for place, text in STRINGS for word in re.findall(r"(?<![\w-])--[a-z][\w-]*", text)}
    bench = ("pipelines/bench/",)  # they start other programs
    assert {(place, word) for place, word in used if word not in known and not place.startswith(bench)} == set()


def test_every_target_and_module_that_a_text_names_is_there():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    texts = [(path.name, path.read_text()) for path in _files("*.md", "docs/**/*.md", "benchmarks/**/*.md")] + STRINGS
    for place, text in texts:
        named = re.findall(r"`make (\w+)`", text) + re.findall(r"^    make (\w+)", text, flags=re.MULTILINE)
        assert set(named) <= targets, place
        for module in re.findall(r"python -m (veilflow[\w.]*)", text):
            assert find_spec(module), f"{place}: {module}"


def test_no_text_installs_what_is_on_no_index():
    for path in _files("*.md", "docs/**/*.md", "benchmarks/**/*.md"):
        assert not re.search(r"pip install +(?:-\S+ +)*veilflow(?!-[\d.]+-py3)", path.read_text()), (
            path
        )  # a wheel is a file


@pytest.mark.parametrize(
    "text", ["veilflow frobnicate", "veilflow run FILE --ouput X", "veilflow certs shwo x", "veilflow bench overheads"]
)
def test_a_mention_of_what_does_not_exist_would_be_found(text):
    (found,) = markdown(f"Say `{text}` to it.", "page.md")
    with pytest.raises(AssertionError):
        check_mention(found.text)


@pytest.mark.parametrize(
    "line",
    [
        "veilflow run configs/pipelines/absent.yaml",
        "veilflow run configs/pipelines/minimal.yaml --ouput x",
        "veilflow check configs/pipelines/minimal.yaml --policy configs/policies/absent.yaml",
    ],
)
def test_a_line_that_the_program_refuses_would_be_found(line, outside_files_are_there):
    (found,) = comments(f"# Run it:\n#   {line}\n", "x.yaml")
    with pytest.raises(click.ClickException):
        parse(found.words)
