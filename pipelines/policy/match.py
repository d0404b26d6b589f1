"""Which lines, components and missing protections of a plan a policy objects to. Pure functions on plain values.

A line of the disclosure table is taken apart into pairs: who learns, about whose data. A party learns nothing about its
own data, so those pairs do not exist; a line that names nobody's data is taken to be about everybody's. A forbid rule
bites if it fits one pair; a deny-by-default policy is content with a line only if allow rules cover all its pairs.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from veilflow.components.claims import ALL, Disclosure, Protection
from veilflow.pipelines.plan import Plan
from veilflow.pipelines.policy.load import LoadedPolicy
from veilflow.pipelines.policy.model import Policy, Require, Selector

RELATIVE = 1e-6
"""Figures of protections count as reached within this: SecretFlow carries floats as 32 bits."""

Pair = tuple[str, str]
"""(who learns, about whose data)"""


@dataclass(frozen=True)
class Case:
    """A step as policies see it."""

    step: str
    component: str
    """``domain/name:version``"""
    parties: tuple[str, ...]
    """All parties of the pipeline."""
    disclosures: tuple[Disclosure, ...] = ()
    protections: tuple[Protection, ...] = ()
    upstream: tuple[str, ...] = ()
    """Names of all steps that feed this one, directly or not."""


@dataclass(frozen=True)
class Finding:
    """One objection of one policy."""

    step: str
    rule: str
    """Where in the policy: ``forbid rule 2``, ``default: deny``, ``components``, ``require rule 1``."""
    what: str
    """What it objects to."""
    reason: str
    """The policy's own words."""
    disclosure: Disclosure | None = None
    """The line, where it is about one."""
    to: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    """For a line: the pairs that are at issue."""


@dataclass(frozen=True)
class Verdict:
    """What one policy says of a plan."""

    loaded: LoadedPolicy
    findings: tuple[Finding, ...]
    notices: tuple[str, ...] = ()
    """Nothing wrong, but worth a look."""

    @property
    def policy(self) -> Policy:
        return self.loaded.policy

    @property
    def refused(self) -> bool:
        return bool(self.findings)


def judge_all(policies: Iterable[LoadedPolicy], plan: Plan) -> tuple[Verdict, ...]:
    """Every policy's verdict on ``plan``; the plan may run if none refuses."""
    found = cases(plan)
    parties = plan.pipeline.parties
    return tuple(Verdict(each, judge(each.policy, found), notices(each.policy, parties)) for each in policies)


def cases(plan: Plan) -> tuple[Case, ...]:
    """The steps of a plan as policies see them."""
    upstream: dict[str, dict[str, None]] = {}
    for step in plan.steps:
        sources = [ref.split(".", 1)[0] for refs in step.needs.values() for ref in refs]
        upstream[step.name] = dict.fromkeys(name for each in sources for name in (each, *upstream[each]))
    return tuple(
        Case(
            step.name,
            step.component_id,
            plan.pipeline.parties,
            step.discloses,
            step.protections,
            tuple(upstream[step.name]),
        )
        for step in plan.steps
    )


def judge(policy: Policy, cases: Sequence[Case]) -> tuple[Finding, ...]:
    """All objections, in the order of steps."""
    by_name = {case.step: case for case in cases}
    found: list[Finding] = []
    for case in cases:
        found += _component(policy, case)
        for line in case.disclosures:
            found += _line(policy, case, line)
        found += _requirements(policy, case, by_name)
    return tuple(found)


def pairs(line: Disclosure, parties: Sequence[str]) -> tuple[Pair, ...]:
    """Who learns about whose data, without what a party learns about itself."""
    to = parties if ALL in line.to else line.to
    about = parties if ALL in line.about or not line.about else line.about
    return tuple((learner, subject) for learner in to for subject in about if learner != subject)


def matching(rule: Selector, case: Case, line: Disclosure) -> tuple[Pair, ...]:
    """The pairs of ``line`` that ``rule`` fits."""
    if rule.kind is not None and line.kind not in rule.kind:
        return ()
    if not (_fits(case.step, rule.step) and _fits_component(case.component, rule.component)):
        return ()
    found = pairs(line, case.parties)
    return tuple((to, about) for to, about in found if _fits(to, rule.to) and _fits(about, rule.about))


def notices(policy: Policy, parties: Sequence[str]) -> tuple[str, ...]:
    """Parties that rules name and the pipeline does not have: perhaps another spelling."""
    found: dict[str, None] = {}
    for section, rules in (("forbid", policy.forbid), ("allow", policy.allow)):
        for number, rule in enumerate(rules, start=1):
            for pattern in (*(rule.to or ()), *(rule.about or ())):
                if not any(fnmatchcase(party, pattern) for party in parties):
                    found[f"{section} rule {number} names '{pattern}', which is no party of this pipeline"] = None
    return tuple(found)


def _fits(name: str, patterns: Sequence[str] | None) -> bool:
    return patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns)


def _fits_component(identifier: str, patterns: Sequence[str] | None) -> bool:
    return _fits(identifier, patterns) or _fits(identifier.split(":", 1)[0], patterns)


def _component(policy: Policy, case: Case) -> list[Finding]:
    rule = policy.components
    if rule is None:
        return []
    name = case.component.split(":", 1)[0]
    if rule.forbid is not None and _fits_component(case.component, rule.forbid):
        return [Finding(case.step, "components", f"component {name} is forbidden", rule.reason)]
    if not _fits_component(case.component, rule.allow):
        return [Finding(case.step, "components", f"component {name} is not among those allowed", rule.reason)]
    return []


def _line(policy: Policy, case: Case, line: Disclosure) -> list[Finding]:
    found = []
    for number, rule in enumerate(policy.forbid, start=1):
        bitten = matching(rule, case, line)
        if bitten:
            found.append(_finding(case, line, f"forbid rule {number}", rule.reason, bitten))
    if policy.default == "deny":
        covered = {pair for rule in policy.allow for pair in matching(rule, case, line)}
        left = tuple(pair for pair in pairs(line, case.parties) if pair not in covered)
        if left and not found:
            found.append(_finding(case, line, "default: deny", "No allow rule covers this line.", left))
    return found


def _finding(case: Case, line: Disclosure, rule: str, reason: str, at_issue: Sequence[Pair]) -> Finding:
    to = tuple(dict.fromkeys(learner for learner, _ in at_issue))
    about = tuple(dict.fromkeys(subject for _, subject in at_issue))
    return Finding(case.step, rule, line.what, reason, line, to, about)


def _requirements(policy: Policy, case: Case, by_name: Mapping[str, Case]) -> list[Finding]:
    found = []
    for number, rule in enumerate(policy.require, start=1):
        if not _fits_component(case.component, rule.component):
            continue
        problem = _unmet(rule, case, [by_name[name] for name in case.upstream] if rule.upstream else [])
        if problem:
            found.append(Finding(case.step, f"require rule {number}", problem, rule.reason))
    return found


def _unmet(rule: Require, case: Case, upstream: Sequence[Case]) -> str:
    """Why the requirement is not met; empty if it is."""
    wanted = [party for party in case.parties if rule.at is not None and _fits(party, rule.at)]
    offered = [
        each
        for source in (case, *upstream)
        for each in source.protections
        if each.name == rule.protection and (rule.at is None or set(each.at) & set(wanted))
    ]
    where = "here or in a step before" if rule.upstream else "here"
    if not offered:
        at = "" if rule.at is None else f" at {', '.join(wanted or rule.at)}"
        return f"protection '{rule.protection}' is required {where}{at}, but not switched on"
    if short := [text for each in offered if (text := _short(rule, each))]:
        return f"protection '{rule.protection}' is too weak: {'; '.join(dict.fromkeys(short))}"
    missing = [party for party in wanted if not any(party in each.at for each in offered)]
    if missing:
        return f"protection '{rule.protection}' is required {where}, but not switched on at {', '.join(missing)}"
    return ""


def _short(rule: Require, offered: Protection) -> str:
    """What of the protection's parameters falls short of the rule; a parameter that is not fixed does."""
    said = offered.parameters
    problems = []
    for name, least in rule.at_least.items():
        value = _number(said.get(name))
        if not (value >= least or math.isclose(value, least, rel_tol=RELATIVE)):
            problems.append(f"{name} is {said.get(name, 'not fixed')}, at least {least:g} is required")
    for name, most in rule.at_most.items():
        value = _number(said.get(name))
        if not (value <= most or math.isclose(value, most, rel_tol=RELATIVE)):
            problems.append(f"{name} is {said.get(name, 'not fixed')}, at most {most:g} is required")
    for name, wanted in rule.equals.items():
        if said.get(name) != wanted or isinstance(said.get(name), bool) != isinstance(wanted, bool):
            problems.append(f"{name} is {said.get(name, 'not fixed')}, {wanted} is required")
    return ", ".join(problems)


def _number(value: object) -> float:
    """The number, or NaN, which is neither enough nor little enough."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
