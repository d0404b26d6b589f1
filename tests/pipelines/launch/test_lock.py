"""Two runs into one folder: the second says so at once, and a run that was killed leaves nothing that blocks."""

import fcntl
import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from veilflow.pipelines.cli.program import program
from veilflow.pipelines.launch.lock import FolderBusy, locked

FILE = "version: 1\nname: meeting\nparties: [hospital, insurer]\nnodes:\n  meet: {uses: flow/barrier}\n"
_HOLD = """
import sys
from pathlib import Path
from veilflow.pipelines.launch.lock import locked
with locked(Path(sys.argv[1]), sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holding(tmp_path):
    """Start another process that holds a folder for some parties."""
    started = []

    def hold(*parties: str) -> subprocess.Popen:
        command = [sys.executable, "-c", _HOLD, str(tmp_path / "out"), *parties]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_run_names_the_process_of_the_first_and_changes_nothing(holding, tmp_path):
    first = holding("hospital", "insurer")
    (tmp_path / "p.yaml").write_text(FILE)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    done = CliRunner().invoke(program, ["run", str(tmp_path / "p.yaml"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    found = re.search(r"out is in use by another run: process (\d+), since .* UTC. Wait until it is done", done.output)
    assert found is not None, done.output
    assert int(found[1]) == first.pid
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_killed_run_does_not_block_the_next(holding, tmp_path):
    first = holding("hospital")
    first.kill()
    first.wait()
    with locked(tmp_path / "out", ["hospital"]):
        assert json.loads((tmp_path / "out" / ".hospital.lock").read_text())["pid"] == os.getpid()


def test_a_run_that_is_done_leaves_nothing_and_does_not_block_the_next(tmp_path):
    for _ in range(2):
        with locked(tmp_path, ["hospital", "insurer"]):
            pass
        assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_none(tmp_path, monkeypatch):
    """Between opening and locking, the run before may have ended and removed the file."""
    flock, path = fcntl.flock, tmp_path / ".hospital.lock"

    def slow(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with locked(tmp_path, ["hospital"]):
        assert path.exists()
        with pytest.raises(FolderBusy), locked(tmp_path, ["hospital"]):
            pass


def test_parties_started_one_by_one_may_share_a_folder_but_not_with_themselves(holding, tmp_path):
    holding("hospital")
    with locked(tmp_path / "out", ["insurer"]):
        pass
    with pytest.raises(FolderBusy), locked(tmp_path / "out", ["insurer", "hospital"]):
        pass


@pytest.mark.parametrize("text", ["", "{", '{"pid": "x"}', "[1]", "\x00\xff"])
def test_a_holder_that_has_not_said_who_it_is_still_holds(holding, tmp_path, text):
    holding("hospital")
    (tmp_path / "out" / ".hospital.lock").write_text(text)
    with pytest.raises(FolderBusy, match=r"in use by another run\. Wait"), locked(tmp_path / "out", ["hospital"]):
        pass


def test_no_child_inherits_the_lock(tmp_path):
    with locked(tmp_path, ["hospital"]):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        with locked(tmp_path, ["hospital"]):
            pass
    finally:
        child.communicate()
