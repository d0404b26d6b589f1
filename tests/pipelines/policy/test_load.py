"""A policy file is right, or all that is wrong with it is said at once, with lines. Nothing unknown is ever ignored."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from veilflow.pipelines.policy import load_policies, load_policy, loads_policy
from veilflow.pipelines.spec.problem import PipelineFileError

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = sorted((ROOT / "configs" / "policies").glob("*.yaml"))

GOOD = """\
version: 1
name: demo
default: deny
forbid:
  - kind: label
    reason: no labels
allow:
  - kind: [row_count, schema]
    to: insurer
components:
  forbid: io/*
  reason: they say nothing
require:
  - protection: noise
    component: vertical/split_train
    at_least: {deviation: 1}
    reason: sums need noise
"""


def problems(text: str) -> list[str]:
    with pytest.raises(PipelineFileError, match="problem") as caught:
        loads_policy(text.encode(), file="p.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_a_text_stands_for_a_list_of_one():
    policy = loads_policy(GOOD.encode())
    assert policy.forbid[0].kind == ("label",)
    assert policy.allow[0].to == ("insurer",)
    assert policy.components is not None
    assert policy.components.forbid == ("io/*",)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_policy_is_valid_and_carries_its_file_name(file: Path):
    policy = load_policy(file).policy
    assert policy.name == file.stem
    assert policy.description
    assert all(rule.reason for rule in policy.allow), "a lawyer wants the ground of what is allowed, too"


def test_all_problems_come_at_once_each_with_its_line():
    text = GOOD.replace("kind: label", "kind: labels").replace("to: insurer", "too: insurer")
    text = text.replace("version: 1", "version: 2")
    found = problems(text)
    assert found == [
        "line 1: version: expected 1, got the number 2",
        "line 5: forbid -> item 1 -> kind: no kind 'labels'; did you mean 'label'?",
        "line 9: allow -> item 1 -> too: unknown key; did you mean 'to'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("default: deny\n", "", "'default' is missing: allow (what no rule forbids is allowed) or deny"),
        ("default: deny", "default: maybe", "line 3: default: expected allow or deny, got the text 'maybe'"),
        ("    reason: no labels\n", "", "line 5: forbid -> item 1: 'reason' is missing: people read it"),
        ("reason: no labels", "reason: ' '", "line 6: forbid -> item 1 -> reason: the reason is empty"),
        ("kind: label", "kind: []", "line 5: forbid -> item 1 -> kind: an empty list matches nothing"),
        (
            "  - kind: label\n    reason",
            "  - reason",
            "line 5: forbid -> item 1: the rule does not say what it matches",
        ),
        ("io/*", "i0/*", "line 11: components -> forbid: 'i0/*' fits no component"),
        (
            "split_train",
            "split_trian",
            "'vertical/split_trian' fits no component; did you mean 'vertical/split_train'?",
        ),
        (
            "deviation: 1",
            "deviation: '1'",
            "require -> item 1 -> at_least -> deviation: expected a number, got the text",
        ),
        ("deviation: 1", "deviation: true", "require -> item 1 -> at_least -> deviation: expected a number, got true"),
        ("deviation: 1", "deviation: .nan", "require -> item 1 -> at_least -> deviation: expected a finite number"),
        ("name: demo", "name: my policy", "line 2: name: 'my policy' is not a name"),
        ("default: deny", "default: allow", "line 1: allow rules have no effect with default: allow"),
        ("version: 1", "version: 1\nversion: 1", "'version' is here a second time"),
        (GOOD, "", "line 1: the file is empty; a policy has version, name and default"),
        (GOOD, "- a\n", "expected a mapping with version, name, default and rules, got a list of 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, said: str):
    found = problems(GOOD.replace(old, new))
    assert len(found) == 1, found
    assert said in found[0]


def test_a_policy_that_permits_everything_says_so_openly_or_is_an_error():
    assert problems("version: 1\nname: open\ndefault: allow\n") == [
        "line 1: default: allow without any rule permits everything; add rules, or write default: deny"
    ]


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every mapping of a document that has fixed keys."""
    found = [place] if isinstance(value, dict) and place[-1:] not in {("at_least",), ("at_most",), ("equals",)} else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*found, *(inner for key, each in children for inner in _places(each, (*place, key)))]


DOCUMENT = YAML(typ="safe").load(GOOD)
KNOWN = {"version", "name", "description", "default", "forbid", "allow", "components", "require", "kind", "to", "about"}
KNOWN |= {"component", "step", "reason", "protection", "upstream", "at", "at_least", "at_most", "equals"}


@given(
    place=st.sampled_from(_places(DOCUMENT)), key=st.from_regex(r"[a-z_]{1,12}", fullmatch=True), value=st.booleans()
)
def test_an_unknown_key_is_an_error_wherever_it_stands(place: tuple[Any, ...], key: str, value: bool):
    if key in KNOWN:
        return
    changed = copy.deepcopy(DOCUMENT)
    at = changed
    for step in place:
        at = at[step]
    at[key] = value
    with pytest.raises(PipelineFileError, match=f"{key}: unknown key"):
        loads_policy(json.dumps(changed).encode())


def test_two_policies_may_not_have_one_name(tmp_path: Path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(PipelineFileError, match=r"name 'demo' is taken by .*a\.yaml; rename one"):
        load_policies([tmp_path / "a.yaml", tmp_path / "b.yaml"])


def test_a_missing_or_huge_file_is_a_problem_and_no_traceback(tmp_path: Path):
    with pytest.raises(PipelineFileError, match="cannot be read: No such file"):
        load_policy(tmp_path / "nowhere.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(PipelineFileError, match="this is no policy file"):
        load_policy(tmp_path / "big.yaml")


def test_policies_are_light():
    script = (
        "import sys, veilflow.pipelines.policy;"
        "heavy = {'pandas', 'numpy', 'jax', 'secretflow', 'spu'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
