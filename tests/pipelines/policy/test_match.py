"""Which lines a policy lets through: by example, and as laws that hold for every policy."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.claims import ALL, KINDS, Disclosure, Protection
from veilflow.pipelines.policy.match import Case, Finding, judge, notices, pairs
from veilflow.pipelines.policy.model import Policy

PARTIES = ("hospital", "insurer", "coordinator")
LABEL = Disclosure(("insurer",), "the label", ("hospital",), kind="label")
COUNT = Disclosure((ALL,), "row count", ("hospital",), kind="row_count")


def policy(default: str = "allow", **rules: Any) -> Policy:
    if default == "allow" and not rules:
        rules = {"forbid": [{"step": "no such step", "reason": "x"}]}
    return Policy.model_validate({"version": 1, "name": "p", "default": default, **rules})


def case(*lines: Disclosure, step: str = "train", **more: Any) -> Case:
    return Case(step, "vertical/split_train:1.0.0", PARTIES, lines, **more)


def bitten(line: Disclosure, **rule: Any) -> tuple[Finding, ...]:
    return judge(policy(forbid=[{**rule, "reason": "because"}]), [case(line)])


@pytest.mark.parametrize(
    ("rule", "bites"),
    [
        ({"kind": "label"}, True),
        ({"kind": ["score", "label"]}, True),
        ({"kind": "score"}, False),
        ({"to": "insurer"}, True),
        ({"to": "ins*"}, True),
        ({"to": ["bank", "insurer"]}, True),
        ({"to": "coordinator"}, False),
        ({"about": "hospital"}, True),
        ({"about": "insurer"}, False),
        ({"step": "tr?in"}, True),
        ({"step": "predict"}, False),
        ({"component": "vertical/*"}, True),
        ({"component": "vertical/split_train"}, True),
        ({"component": "vertical/split_train:1.*"}, True),
        ({"component": "vertical/split_train:2.*"}, False),
        ({"kind": "label", "to": "coordinator"}, False),
        ({"kind": "label", "to": "insurer", "about": "hospital", "step": "train", "component": "vertical/*"}, True),
    ],
)
def test_a_rule_bites_if_every_key_fits(rule: Mapping[str, Any], bites: bool):
    assert bool(bitten(LABEL, **rule)) == bites


def test_a_finding_names_the_line_the_parties_the_rule_and_the_reason():
    (found,) = bitten(COUNT, to="coordinator")
    assert (found.step, found.rule, found.reason) == ("train", "forbid rule 1", "because")
    assert (found.to, found.about) == (("coordinator",), ("hospital",))
    assert found.disclosure is COUNT


def test_a_party_learns_nothing_about_itself():
    assert pairs(COUNT, PARTIES) == (("insurer", "hospital"), ("coordinator", "hospital"))
    assert bitten(COUNT, to="hospital") == ()
    own = Disclosure(("hospital",), "its own score", ("hospital",), kind="score")
    assert bitten(own, kind="score") == ()
    assert judge(policy("deny"), [case(own)]) == ()


def test_who_and_about_whom_must_fit_together():
    both = Disclosure(("hospital", "insurer"), "the other's people", ("hospital", "insurer"), kind="membership")
    assert bitten(both, to="hospital", about="insurer")
    assert bitten(both, to="hospital", about="hospital") == ()


def test_a_line_about_nobody_in_particular_counts_as_about_everybody():
    vague = Disclosure(("coordinator",), "its report", (), kind="unknown")
    assert bitten(vague, about="hospital")
    assert bitten(vague, about="insurer")


def test_deny_by_default_wants_every_pair_covered():
    allow = [{"kind": "row_count", "to": "insurer"}]
    (found,) = judge(policy("deny", allow=allow), [case(COUNT)])
    assert (found.rule, found.to) == ("default: deny", ("coordinator",))
    allow.append({"kind": "row_count", "to": "coordinator"})
    assert judge(policy("deny", allow=allow), [case(COUNT)]) == ()


def test_what_is_forbidden_cannot_be_allowed_again():
    rules = {"forbid": [{"kind": "label", "reason": "never"}], "allow": [{"kind": "label"}]}
    (found,) = judge(policy("deny", **rules), [case(LABEL)])
    assert found.rule == "forbid rule 1"


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ({"forbid": ["vertical/*"]}, "component vertical/split_train is forbidden"),
        ({"allow": ["data/*"]}, "component vertical/split_train is not among those allowed"),
        ({"allow": ["vertical/*"], "forbid": ["vertical/split_train"]}, "component vertical/split_train is forbidden"),
        ({"allow": ["vertical/*", "data/*"]}, None),
        ({"forbid": ["io/*"]}, None),
    ],
)
def test_components_are_listed_as_allowed_or_forbidden(components: dict[str, Any], said: str | None):
    found = judge(policy(components={**components, "reason": "r"}), [case()])
    assert [each.what for each in found] == ([said] if said else [])


NOISE = Protection("noise", PARTIES, {"deviation": 2.0, "kind": "Gaussian"})


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, None),
        ({"at_least": {"deviation": 2}}, None),
        ({"at_least": {"deviation": 2.0000001}}, None),
        ({"at_least": {"deviation": 2.1}}, "deviation is 2.0, at least 2.1 is required"),
        ({"at_most": {"deviation": 2}}, None),
        ({"at_most": {"deviation": 1.9}}, "deviation is 2.0, at most 1.9 is required"),
        ({"equals": {"kind": "Gaussian"}}, None),
        ({"equals": {"kind": "Laplace"}}, "kind is Gaussian, Laplace is required"),
        ({"at_least": {"epsilon": 1}}, "epsilon is not fixed, at least 1 is required"),
        ({"at_most": {"epsilon": 1}}, "epsilon is not fixed, at most 1 is required"),
        ({"at_least": {"kind": 1}}, "kind is Gaussian, at least 1 is required"),
        ({"protection": "mask"}, "protection 'mask' is required here, but not switched on"),
        ({"component": "data/*"}, None),
        ({"at": ["hospital", "insurer"]}, None),
        ({"at": ["bank"]}, "protection 'noise' is required here at bank, but not switched on"),
    ],
)
def test_required_protections_are_there_and_strong_enough(rule: dict[str, Any], said: str | None):
    require = {"protection": "noise", "component": "vertical/split_train", "reason": "r", **rule}
    found = judge(policy(require=[require]), [case(protections=(NOISE,))])
    assert bool(found) == (said is not None)
    assert all(said in each.what for each in found if said)


def test_a_protection_must_be_on_at_every_party_named():
    require = {"protection": "noise", "component": "*", "at": "*", "reason": "r"}
    half = case(protections=(Protection("noise", ("hospital",)),))
    (found,) = judge(policy(require=[require]), [half])
    assert "not switched on at insurer, coordinator" in found.what


def test_a_protection_may_be_wanted_of_the_steps_before():
    before = Case("hide", "data/k_anonymize:1.0.0", PARTIES, (), (Protection("k_anonymity", ("hospital",), {"k": 5}),))
    rule = {"protection": "k_anonymity", "component": "vertical/*", "at": "hospital", "reason": "r"}
    rule |= {"at_least": {"k": 5}}
    after = case(upstream=("hide",))
    assert judge(policy(require=[rule | {"upstream": True}]), [before, after]) == ()
    assert judge(policy(require=[rule]), [before, after])
    assert judge(policy(require=[rule | {"upstream": True}]), [before, case()])
    assert judge(policy(require=[rule | {"upstream": True, "at_least": {"k": 6}}]), [before, after])


def test_a_party_that_does_not_exist_is_pointed_out():
    rules = policy(forbid=[{"to": ["insurer", "Insurer"], "reason": "r"}, {"about": "b*", "reason": "r"}])
    assert notices(rules, PARTIES) == (
        "forbid rule 1 names 'Insurer', which is no party of this pipeline",
        "forbid rule 2 names 'b*', which is no party of this pipeline",
    )


# Laws

some_parties = st.lists(st.sampled_from(PARTIES), min_size=1, max_size=3, unique=True).map(tuple)
lines = st.builds(
    Disclosure,
    to=st.one_of(some_parties, st.just((ALL,))),
    what=st.just("something"),
    about=st.one_of(some_parties, st.just(())),
    kind=st.sampled_from(sorted(KINDS)),
)
components = st.sampled_from(["vertical/split_train:1.0.0", "data/scale:1.0.0", "io/read_data:1.0.0"])
protections = st.builds(Protection, st.sampled_from(["noise", "clip"]), some_parties, st.just({"deviation": 1.0}))
a_case = st.builds(
    Case,
    step=st.sampled_from(["a", "b"]),
    component=components,
    parties=st.just(PARTIES),
    disclosures=st.lists(lines, max_size=3).map(tuple),
    protections=st.lists(protections, max_size=2).map(tuple),
)
plans = st.lists(a_case, min_size=1, max_size=3, unique_by=lambda each: each.step)
patterns = st.lists(st.sampled_from([*PARTIES, "*", "h*"]), min_size=1, max_size=2, unique=True)
selectors = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4, unique=True),
        "to": patterns,
        "about": patterns,
        "component": st.lists(st.sampled_from(["vertical/*", "data/*", "*"]), min_size=1, max_size=1),
        "step": st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=1),
    },
).filter(bool)
forbids = selectors.map(lambda rule: {**rule, "reason": "r"})
requires = st.fixed_dictionaries(
    {
        "protection": st.sampled_from(["noise", "clip", "mask"]),
        "component": st.just("vertical/*"),
        "reason": st.just("r"),
    }
)
policies = st.one_of(
    st.fixed_dictionaries({"default": st.just("allow"), "forbid": st.lists(forbids, min_size=1, max_size=3)}),
    st.fixed_dictionaries(
        {"default": st.just("deny")},
        optional={
            "forbid": st.lists(forbids, max_size=2),
            "allow": st.lists(selectors, max_size=3),
            "require": st.lists(requires, max_size=2),
        },
    ),
)


def discloses(plan: list[Case]) -> bool:
    return any(pairs(line, PARTIES) for each in plan for line in each.disclosures)


@given(plans)
def test_deny_without_allow_rules_refuses_exactly_what_discloses_something(plan: list[Case]):
    assert bool(judge(policy("deny"), plan)) == discloses(plan)


@given(policies, forbids, plans)
def test_one_more_forbid_rule_never_lets_more_through(rules: dict[str, Any], rule: dict[str, Any], plan: list[Case]):
    before = judge(policy(**rules), plan)
    after = judge(policy(**{**rules, "forbid": [*rules.get("forbid", []), rule]}), plan)
    assert not (before and not after)


@given(policies, requires, plans)
def test_one_more_requirement_never_lets_more_through(rules: dict[str, Any], rule: dict[str, Any], plan: list[Case]):
    before = judge(policy(**rules), plan)
    after = judge(policy(**{**rules, "require": [*rules.get("require", []), rule]}), plan)
    assert set(before) <= set(after)


@given(policies, plans, lines)
def test_one_more_line_never_lets_more_through(rules: dict[str, Any], plan: list[Case], line: Disclosure):
    more = [*plan[:-1], Case(plan[-1].step, plan[-1].component, PARTIES, (*plan[-1].disclosures, line))]
    fewer = [*plan[:-1], Case(plan[-1].step, plan[-1].component, PARTIES, plan[-1].disclosures)]
    assert len(judge(policy(**rules), fewer)) <= len(judge(policy(**rules), more))


@given(policies, plans)
def test_every_line_that_gets_through_deny_is_covered_by_an_allow_rule(rules: dict[str, Any], plan: list[Case]):
    found = policy(**rules)
    if found.default == "deny" and not judge(found, plan):
        assert found.allow or not discloses(plan)


@given(plans)
def test_allowing_everything_under_deny_is_the_same_as_no_policy(plan: list[Case]):
    assert judge(policy("deny", allow=[{"component": "*"}]), plan) == ()
