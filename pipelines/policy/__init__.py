"""Policies: what a data protection officer allows a pipeline to disclose. Checked before anything starts."""

from veilflow.pipelines.policy.digest import agreed_text, digest_of, policy_digest
from veilflow.pipelines.policy.load import LoadedPolicy, load_policies, load_policy, loads_policy
from veilflow.pipelines.policy.match import Finding, Verdict, judge, judge_all
from veilflow.pipelines.policy.words import refusal

__all__ = [
    "Finding",
    "LoadedPolicy",
    "Verdict",
    "agreed_text",
    "digest_of",
    "judge",
    "judge_all",
    "load_policies",
    "load_policy",
    "loads_policy",
    "policy_digest",
    "refusal",
]
