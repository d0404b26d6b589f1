"""The README is true: its commands run, its pipeline is valid, its test passes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.spec import loads

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def _two_addresses() -> list[str]:
    return list(on_loopback(["hospital", "insurer"], {}).base.values())


@pytest.mark.cluster
@pytest.mark.parametrize("block", _blocks("bash"))
def test_every_shell_block_runs(block, tmp_path):
    bins = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bins}:{os.environ['PATH']}"}
    # Output goes where a test may write, to ports that are free; inputs are the project's own files.
    script = block.replace(" runs/", f" {tmp_path}/")
    for documented, free in zip(("127.0.0.1:9100", "127.0.0.1:9200"), _two_addresses(), strict=True):
        script = script.replace(documented, free)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", _blocks("yaml"))
def test_every_pipeline_block_is_valid(block):
    assert loads(block.encode()).nodes


@pytest.mark.cluster
def test_the_python_block_passes_as_a_users_test(tmp_path):
    (block,) = _blocks("python")
    (tmp_path / "test_mine.py").write_text(block)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", sorted((ROOT / "configs" / "pipelines").glob("*.yaml")), ids=lambda file: file.name)
def test_every_shipped_pipeline_is_valid(file):
    assert loads(file.read_bytes()).nodes


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\((docs/[^)#]+)", README):
        assert (ROOT / target).is_file(), target
