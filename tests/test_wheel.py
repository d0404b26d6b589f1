"""The wheel outside the checkout: complete, found by SecretFlow, and the pipeline files come with it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("components", "configs", "datasets", "pipelines")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An interpreter whose environment holds the wheel and the locked packages, but not this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "py.typed", "pyproject.toml", "setup.py", "veilflow.pth", "README.md"):
        shutil.copy(ROOT / name, sources)
    build = "import setuptools.build_meta as backend; backend.build_wheel('../dist')"
    (folder / "dist").mkdir()
    subprocess.run([sys.executable, "-c", build], cwd=sources, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "environment"], check=True)
    (site,) = (folder / "environment" / "lib").glob("python*/site-packages")
    with ZipFile(wheel) as archive:
        archive.extractall(site)
    # The locked packages, without their .pth files: one of them would lead back to this checkout.
    (site / "locked.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "environment" / "bin" / "python"


def run(python, *arguments, cwd):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([python, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_it_runs_a_pipeline_of_its_own_from_any_folder(installed, tmp_path):
    where = run(installed, "-c", "import veilflow; print(veilflow.__path__[0])", cwd=tmp_path).strip()
    assert where.startswith(str(installed.parents[1]))
    demo = f"{where}/configs/pipelines/minimal.yaml"
    assert "done in" in run(installed, "-m", "veilflow.pipelines.cli", "run", demo, "--out", "out", cwd=tmp_path)


def test_a_plain_interpreter_gets_the_name_that_secretflow_reads(installed, tmp_path):
    assert run(installed, "-c", "import spu; print(spu.logging.__name__)", cwd=tmp_path).strip().endswith("logging")


def test_every_file_that_the_package_reads_is_in_it(installed):
    package = next((installed.parents[1] / "lib").glob("python*/site-packages/veilflow"))
    for name in FOLDERS:
        kept = {path.relative_to(ROOT) for path in (ROOT / name).rglob("*") if path.is_file()}
        lacking = {path for path in kept if "__pycache__" not in path.parts and not (package / path).is_file()}
        assert not lacking


def test_pytest_finds_its_plugin_without_a_warning(installed, tmp_path):
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    assert True\n")
    out = run(installed, "-W", "error", "-m", "pytest", "-W", "error", "-q", "test_nothing.py", cwd=tmp_path)
    assert "1 passed" in out
