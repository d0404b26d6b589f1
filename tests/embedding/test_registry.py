"""Installed next to SecretFlow, our components appear in its own command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PATH = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def secretflow(*arguments):
    """The output of SecretFlow's command, which must end well."""
    done = subprocess.run(
        ["secretflow", *arguments], env=PATH, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.cluster
def test_secretflow_lists_our_components_next_to_its_own():
    listed = {tuple(line.split()[:2]) for line in secretflow("component", "ls").splitlines() if line.strip()}
    assert {("data", "read_table"), ("alignment", "psi"), ("vertical", "split_train")} <= listed
    assert ("data_prep", "psi") in listed


@pytest.mark.cluster
def test_secretflow_describes_our_components():
    text = secretflow("component", "inspect", "data/read_table:1.0.0")
    found = json.loads(text[text.index("{") :])
    assert (found["domain"], found["name"], found["version"]) == ("data", "read_table", "1.0.0")
    assert "path" in {attribute["name"] for attribute in found["attrs"]}
    assert [output["name"] for output in found["outputs"]] == ["table", "report"]
