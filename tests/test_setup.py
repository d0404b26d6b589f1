"""Setup makes its environment from a Python that is not the environment itself, and from locks that are not stale."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

FIND = Path(__file__).resolve().parents[1] / "tools" / "find_python.sh"
_SPEC = importlib.util.spec_from_file_location("lock_inputs", FIND.with_name("lock_inputs.py"))
lock_inputs = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(lock_inputs)
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_an_environment_on_the_path_gives_the_python_it_was_made_from(tmp_path):
    """The README puts .venv/bin on the PATH; `python -m venv --clear .venv` with that Python leaves a loop of links."""
    own = tmp_path / "environment" / "bin"
    own.mkdir(parents=True)
    (own / f"python{VERSION}").symlink_to(Path(sys.base_prefix) / "bin" / f"python{VERSION}")
    (own.parent / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\nversion = {VERSION}\n")
    environment = {**os.environ, "PATH": f"{own}{os.pathsep}{os.environ['PATH']}", "VEILFLOW_PYTHON": ""}
    found = subprocess.run(
        ["sh", FIND, VERSION], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert found
    assert not found.startswith(str(tmp_path))
    assert subprocess.run([found, "-c", "import sys; sys.exit(sys.prefix != sys.base_prefix)"]).returncode == 0


def test_the_locks_are_made_from_todays_dependencies_and_a_changed_one_is_noticed(tmp_path):
    assert lock_inputs.digest() == lock_inputs.RECORD.read_text().strip(), "run `make lock`"
    for name in ("pyproject.toml", *lock_inputs.LISTS, *lock_inputs.LOCKS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((lock_inputs.ROOT / name).read_text())
    assert lock_inputs.digest(tmp_path) == lock_inputs.digest()
    changed = (tmp_path / "pyproject.toml").read_text().replace('"rich>=13"', '"rich>=14"')
    (tmp_path / "pyproject.toml").write_text(changed)
    assert lock_inputs.digest(tmp_path) != lock_inputs.digest()


def test_the_dated_list_names_every_locked_version():
    pinned = re.findall(r"^([\w.-]+)==([\w.]+)", (lock_inputs.ROOT / "requirements.txt").read_text(), flags=re.M)
    lines = (lock_inputs.ROOT / "tools" / "lock" / "versions.tsv").read_text().splitlines()
    assert sorted(tuple(line.split("\t")[:2]) for line in lines) == sorted(pinned)


def test_no_lock_names_where_packages_come_from():
    for name in lock_inputs.LOCKS:
        text = (lock_inputs.ROOT / name).read_text()
        assert "://" not in text
        assert not re.search(r"^(?:-i|--index|--extra-index|--find-links)", text, flags=re.M)
