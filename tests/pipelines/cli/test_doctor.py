"""`veilflow doctor`: what is wrong is found, and has a fix."""

import socket

import pytest
from click.testing import CliRunner

from veilflow.pipelines.catalog import Catalog
from veilflow.pipelines.cli import doctor_machine, doctor_software
from veilflow.pipelines.cli.program import program
from veilflow.pipelines.cluster.addresses import AddressError

FLAGS = "flags\t\t: fpu sse4_1 pclmulqdq aes avx avx2\n"


def run() -> tuple[int, str]:
    result = CliRunner().invoke(program, ["doctor"])
    return result.exit_code, result.stdout


def test_a_machine_that_passes_these_tests_can_run_pipelines():
    code, text = run()
    assert code == 0, text
    assert text.endswith("Pipelines can run here.\n")


def test_what_is_wrong_ends_with_1_and_a_fix(monkeypatch):
    def none_free(*_: object) -> None:
        raise AddressError("no 13 free consecutive ports on 127.0.0.1.")

    monkeypatch.setattr(doctor_machine, "on_loopback", none_free)
    code, text = run()
    assert code == 1
    assert "WRONG  ports" in text
    assert "Fix: close the programs that hold these ports" in text
    assert text.endswith("1 thing to mend.\n")


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "state", "detail"),
    [
        ("x86_64", FLAGS, "ok", "x86_64 with sse4_1, pclmulqdq, aes, avx"),
        ("x86_64", FLAGS.replace(" avx ", " "), "wrong", "x86_64 without avx, which SPU needs"),
        ("x86_64", "flags : fpu\n", "wrong", "x86_64 without sse4_1, pclmulqdq, aes, avx, which SPU needs"),
        ("aarch64", "Features\t: fp asimd aes\n", "ok", "aarch64 with aes"),
        ("aarch64", "Features\t: fp\n", "wrong", "aarch64 without aes, which SPU needs"),
        ("riscv64", FLAGS, "wrong", "riscv64: SPU has no build for it"),
        ("arm64", None, "ok", "arm64"),
    ],
)
def test_processors_without_the_instructions_spu_uses_are_named(monkeypatch, tmp_path, machine, cpuinfo, state, detail):
    monkeypatch.setattr("platform.machine", lambda: machine)
    file = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    found = doctor_machine.processor(file)
    assert (found.state, found.detail) == (state, detail)


def test_memory_is_the_least_of_machine_and_container(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  9000 kB\nMemAvailable:  8000 kB\n")
    assert doctor_machine.available_memory(meminfo, tmp_path) == 8000 * 1024
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert doctor_machine.available_memory(meminfo, tmp_path) == 8000 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    assert doctor_machine.available_memory(meminfo, tmp_path) == 4000
    assert doctor_machine.available_memory(tmp_path / "none", tmp_path / "none") is None


@pytest.mark.parametrize(("free", "state"), [(2**30, "note"), (2**33, "ok"), (None, "note")])
def test_little_memory_is_noted(monkeypatch, free, state):
    monkeypatch.setattr(doctor_machine, "available_memory", lambda *_: free)
    assert doctor_machine.memory().state == state


def test_a_temporary_folder_that_cannot_hold_a_socket_is_wrong(tmp_path):
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    found = doctor_machine.temporary(deep)
    assert (found.state, found.fix[:10]) == ("wrong", "set TMPDIR")
    assert "AF_UNIX path too long" in found.detail
    absent = doctor_machine.temporary(tmp_path / "absent")
    assert (absent.state, absent.detail) == ("wrong", f"{tmp_path}/absent cannot be used: No such file or directory")


def test_loopback_that_cannot_be_reached_is_wrong(monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refused)
    found = doctor_machine.ports()
    assert (found.state, found.detail) == ("wrong", "127.0.0.1 cannot be reached: Connection refused")


def test_packages_are_compared_with_the_pins(monkeypatch):
    required = ["click>=999", "no-such-package==1", "rich>=1", 'pytest<1; extra == "dev"']
    monkeypatch.setattr(doctor_software.metadata, "requires", lambda _: required)
    found = doctor_software.packages()
    assert found.state == "wrong"
    first, second = found.detail.split("; ")
    assert first.startswith("click is ")
    assert first.endswith(", needs >=999")
    assert second == "no-such-package is missing, needs ==1"


def test_other_pythons_are_refused(monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.12.1")
    found = doctor_software.python()
    assert (found.state, found.detail) == ("wrong", "CPython 3.12.1, needs CPython 3.11 (or 3.10)")


def test_a_missing_entry_point_is_wrong(monkeypatch):
    monkeypatch.setattr(doctor_software.metadata, "entry_points", lambda group: [])
    assert doctor_software.plugin().state == "wrong"


def test_a_catalog_of_another_secretflow_is_noted(monkeypatch):
    monkeypatch.setattr(doctor_software.catalog, "shipped", lambda: Catalog([], "0.9"))
    found = doctor_software.shipped_catalog()
    assert found.state == "note"
    assert found.detail.startswith("written for secretflow 0.9, installed is ")


def test_secretflow_that_cannot_be_imported_gives_the_last_line(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(doctor_software.sys, "executable", "/bin/false")
    found = doctor_software.imports()
    assert (found.state, found.detail) == ("wrong", "SecretFlow cannot be imported: it ended with 1")
