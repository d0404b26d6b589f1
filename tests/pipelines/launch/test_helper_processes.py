"""Python's own helper processes, which parties are started from, are killed: that is a lost party, not a bug."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster

FILE = """
version: 1
name: helpers
parties: [hospital, insurer]
nodes:
  patients: {uses: data/read_table, with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person]}}
"""


def _helpers(pid):
    """Children of ``pid`` that `multiprocessing` has started for itself."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == pid and b"multiprocessing." in words:
                found[int(entry.name)] = words.split(b"multiprocessing.")[1].split(b" ")[0].decode()
    return found


def _run(folder, kill, *options):
    """Run; ``kill(pid)`` is called again and again, until it says that it has killed."""
    file = folder / "helpers.yaml"
    file.write_text(FILE)
    command = [sys.executable, "-m", "veilflow.pipelines.cli", "run", str(file), "--out", str(folder / "out"), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    done = threading.Event()

    def work():
        while process.poll() is None and not kill(process.pid):
            time.sleep(0.02)
        done.set()

    threading.Thread(target=work, daemon=True).start()
    said, _ = process.communicate(timeout=150)
    done.wait(5)
    return process.returncode, said


def _kill_the_forkserver_while_it_is_asked_for_a_process():
    began = {}

    def kill(pid):
        for helper, kind in _helpers(pid).items():
            if kind == "forkserver":
                began.setdefault(helper, time.monotonic())
                if time.monotonic() - began[helper] > 0.7:  # it imports for seconds; a request waits meanwhile
                    os.kill(helper, signal.SIGKILL)
                    return True
        return False

    return kill


def test_a_killed_forkserver_is_a_lost_party_and_a_restart_mends_it(tmp_path):
    code, said = _run(tmp_path, _kill_the_forkserver_while_it_is_asked_for_a_process(), "--restarts", "2")
    assert "bug" not in said
    assert code == 0, said


def test_without_restarts_the_message_says_what_was_killed(tmp_path):
    code, said = _run(tmp_path, _kill_the_forkserver_while_it_is_asked_for_a_process())
    assert "bug" not in said
    if code:  # killed before anybody had asked, a new one was started
        assert code == 4
        assert "the helper process that parties are started from was killed" in said


def test_parties_outlive_a_forkserver_that_is_killed_when_they_run(tmp_path):
    folder = tmp_path / "out"

    def kill(pid):
        if not (folder / "hospital" / "log.txt").exists() or not (folder / "insurer" / "log.txt").exists():
            return False
        for helper in _helpers(pid):
            os.kill(helper, signal.SIGKILL)
        return True

    code, said = _run(tmp_path, kill)
    assert "bug" not in said
    assert code == 0, said
    assert not _left(folder)


def _left(folder):
    """Processes that still have a file of the run open."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if any(str(folder) in os.readlink(each) for each in (entry / "fd").iterdir()):
                    found.append(entry.name)
            except OSError:
                continue
    return found
