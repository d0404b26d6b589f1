"""A full disk, a folder that is read only, a file in the way: told with a fix, never as a bug of ours."""

import errno
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from veilflow.components.machine import refusal
from veilflow.pipelines.cli.program import program

FILE = "version: 1\nname: meeting\nparties: [hospital, insurer]\nnodes:\n  meet: {uses: flow/barrier}\n"
_COMMAND = [sys.executable, "-m", "veilflow.pipelines.cli"]


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.delenv("VEILFLOW_DEBUG", raising=False)
    path = tmp_path / "p.yaml"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.EIO])
def test_what_the_machine_refuses_ends_with_2_and_advice(file, tmp_path, monkeypatch, code):
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code), str(tmp_path / "out" / "run.json"))

    monkeypatch.setattr("veilflow.pipelines.launch.run.write_run", full)
    done = CliRunner().invoke(program, ["run", str(file), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert done.output.splitlines()[-1].startswith(f"Error: {tmp_path}/out/run.json: ")
    assert refusal(OSError(code, "x")) in done.output
    assert "bug" not in done.output


def test_a_file_that_is_not_there_inside_the_program_stays_a_bug(file, monkeypatch, tmp_path):
    def lost(*_: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "x", "y")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("veilflow.pipelines.launch.run.write_run", lost)
    assert CliRunner().invoke(program, ["run", str(file), "--out", str(tmp_path / "out")]).exit_code == 1


@pytest.mark.parametrize("inside", ["", "/below", "/hospital"])
def test_an_output_path_with_a_file_in_the_way_is_wrong_usage(file, tmp_path, inside):
    (tmp_path / "out").write_text("")
    done = CliRunner().invoke(program, ["run", str(file), "--out", f"{tmp_path}/out{inside}"])
    assert done.exit_code == 2
    assert "bug" not in done.output


def test_a_file_in_the_place_of_a_partys_folder_is_wrong_usage(file, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "hospital").write_text("")
    done = CliRunner().invoke(program, ["run", str(file), "--out", f"{tmp_path}/out"])
    assert done.exit_code == 2
    assert "bug" not in done.output


def test_a_full_standard_output_is_wrong_usage(file):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*_COMMAND, "check", str(file)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: no space is left on the disk")
    assert "bug" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_matter(file, closed):
    command = f"{' '.join(_COMMAND)} plan {file} {closed}"
    assert subprocess.run(["bash", "-c", command], capture_output=True, timeout=60).returncode == 0


def test_a_bug_is_told_even_where_no_temporary_file_can_be_written(file, monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("x")

    monkeypatch.setattr("veilflow.pipelines.launch.run.write_run", broken)
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "x")))
    done = CliRunner().invoke(program, ["run", str(file), "--out", str(file.parent / "out")])
    assert done.exit_code == 1
    assert "a bug in VeilFlow: ZeroDivisionError" in done.output


@pytest.mark.parametrize("text", ["AF_UNIX path too long", "[Errno 2] No usable temporary directory found in ['/tmp']"])
def test_a_folder_for_temporary_files_that_cannot_be_used_is_no_bug(file, monkeypatch, text):
    def fail() -> None:
        raise OSError(text)

    monkeypatch.setattr("veilflow.pipelines.launch.forkserver.context", fail)
    done = CliRunner().invoke(program, ["run", str(file)])
    assert done.exit_code == 2
    assert "set TMPDIR to" in done.output


def test_a_working_directory_that_is_gone_is_no_bug(file, tmp_path):
    (tmp_path / "gone").mkdir()
    command = f"cd {tmp_path}/gone; rmdir {tmp_path}/gone; {' '.join(_COMMAND)} run {file}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "the working directory is not there any more" in done.stderr
