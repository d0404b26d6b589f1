"""One hash for the policies that all parties of a run agreed on.

It is taken over what the files say, not over their bytes: comments, quotes, order of keys and file names do not
matter; order of rules does not either, because no rule depends on another's place.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from veilflow.pipelines.policy.load import LoadedPolicy
from veilflow.pipelines.policy.model import Policy

NONE = "none"


def digest_of(policy: Policy) -> str:
    """sha256 of one policy's content, in hexadecimal."""
    return _sha256(_canonical(policy.model_dump(mode="json")))


def policy_digest(policies: Iterable[LoadedPolicy]) -> str:
    """sha256 over the agreed (not the private) policies, whatever their order; ``none`` where there are none."""
    found = sorted(f"{each.policy.name} {digest_of(each.policy)}" for each in policies if not each.private)
    return _sha256(found) if found else NONE


def agreed_text(policies: Iterable[LoadedPolicy]) -> str:
    """What the parties compare, in a form that tells people which policy differs: ``name sha256, name sha256``."""
    found = sorted(f"{each.policy.name} {digest_of(each.policy)}" for each in policies if not each.private)
    return ", ".join(found) or NONE


def _sha256(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """Lists in a policy are sets: sorted by their text."""
    if isinstance(value, dict):
        return {key: _canonical(each) for key, each in value.items()}
    if isinstance(value, list):
        return sorted((_canonical(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value
