"""docs/policies.md is true: its commands run, its policy is valid, its tables are complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from veilflow.components.claims import KINDS
from veilflow.pipelines.plan import make_plan
from veilflow.pipelines.policy import judge_all, load_policy, loads_policy
from veilflow.pipelines.spec import load, loads

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "policies.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", _blocks("bash"))
def test_every_shell_block_runs(block: str):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_the_policy_in_the_guide_is_valid():
    (block,) = _blocks("yaml")
    assert loads_policy(block.encode()).name == "our_project"


def test_every_kind_is_explained_in_the_words_of_the_code():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|$", GUIDE, flags=re.MULTILINE))
    assert {kind: rows.get(kind) for kind in KINDS} == KINDS


def test_the_table_of_shipped_policies_is_complete_and_right():
    shipped = {file.name for file in (ROOT / "configs" / "policies").glob("*.yaml")}
    rows = re.findall(r"^\| `(\w+\.yaml)` \|.*?\| (refused|allowed) \|", GUIDE, flags=re.MULTILINE)
    assert {name for name, _ in rows} == shipped
    plan = make_plan(load(ROOT / "configs" / "pipelines" / "minimal.yaml"))
    for name, said in rows:
        (verdict,) = judge_all([load_policy(ROOT / "configs" / "policies" / name)], plan)
        assert verdict.refused == (said == "refused"), name


def test_every_protection_of_the_shipped_pipelines_is_in_the_table():
    names = set()
    for file in (ROOT / "configs" / "pipelines").glob("*.yaml"):
        names |= {protection.name for step in make_plan(load(file)).steps for protection in step.protections}
    assert names
    for name in sorted(names):
        assert f"`{name}`" in GUIDE, name


def test_a_policy_is_no_pipeline_and_says_so():
    with pytest.raises(Exception, match="'parties' is missing"):
        loads((ROOT / "configs" / "policies" / "strict_deny.yaml").read_bytes())
