"""Setup makes its environment from a Python that is not the environment itself."""

import os
import subprocess
import sys
from pathlib import Path

FIND = Path(__file__).resolve().parents[1] / "tools" / "find_python.sh"
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
