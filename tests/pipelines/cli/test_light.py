"""Verbs that only look at files import neither SecretFlow nor JAX nor pandas, and the package itself nothing at all."""

import json
import subprocess
import sys

import pytest

HEAVY = {"secretflow", "secretflow_spec", "spu", "heu", "jax", "jaxlib", "flax", "optax", "pandas", "numpy", "pyarrow"}
GOOD = "version: 1\nname: demo\nparties: [a, b, c]\nnodes:\n  wait: {uses: flow/barrier}\n"


def imported(code: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after ``code``."""
    script = f"{code}\nimport json, sys\nsys.stderr.write(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stderr))


@pytest.mark.parametrize(
    "args", [["check", "FILE"], ["plan", "FILE"], ["graph", "FILE"], ["components"], ["components", "psi_tp"]]
)
def test_light_verbs_stay_light(tmp_path, args):
    file = tmp_path / "p.yaml"
    file.write_text(GOOD)
    words = [str(file) if word == "FILE" else word for word in args]
    loaded = imported(f"from veilflow.pipelines.cli.program import program\nprogram({words}, standalone_mode=False)")
    assert "veilflow" in loaded
    assert not loaded & HEAVY


def test_help_imports_no_verb_and_no_tables(tmp_path):
    loaded = imported("from veilflow.pipelines.cli.program import program\nprogram(['--help'], standalone_mode=False)")
    assert not loaded & (HEAVY | {"pydantic", "ruamel", "rich"})


def test_importing_the_package_imports_nothing_else():
    assert not imported("import veilflow") & (HEAVY | {"click", "pydantic", "ruamel", "rich"})


def test_all_claims_are_light():
    code = "from veilflow.components.claims import claims_for\nclaims_for('no/such')"
    assert not imported(code) & HEAVY
