"""Does every protection that a step was configured with have its receipt? Plain values in, sentences out.

Floats are compared at one part in a million: SecretFlow carries them as 32 bits.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from veilflow.components.claims import Protection

RELATIVE = 1e-6


def lacking(protections: Iterable[Protection], receipts: Sequence[Mapping[str, Any]], party: str) -> list[str]:
    """What ``party`` must have a receipt for and has none, one sentence each; empty where all is well.

    Args:
        protections: of the step, as its claims state them.
        receipts: this party's own: ``{"protection": name, "party": who, "parameters": {...}}``.
    """
    return [
        problem
        for protection in protections
        if party in protection.at
        for problem in _problems(protection, receipts, party)
    ]


def _problems(protection: Protection, receipts: Sequence[Mapping[str, Any]], party: str) -> list[str]:
    head = f"protection '{protection.name}' is configured but"
    own = [each for each in receipts if each["protection"] == protection.name and each["party"] == party]
    if not own:
        return [f"{head} {party} wrote no receipt for it"]
    # A protection may fire more than once; none of its receipts may say something else.
    found = []
    for each in own:
        for name, wanted in protection.parameters.items():
            said = each["parameters"].get(name)
            if not same(said, wanted):
                found.append(f"{head} {party}'s receipt says {name} {said} instead of {wanted}")
    return list(dict.fromkeys(found))


def same(said: Any, wanted: Any) -> bool:
    """Equal values; numbers within `RELATIVE`, lists and tuples item by item. True and False are no numbers."""
    if isinstance(said, bool) or isinstance(wanted, bool):
        return said is wanted
    if isinstance(said, (int, float)) and isinstance(wanted, (int, float)):
        return math.isclose(said, wanted, rel_tol=RELATIVE, abs_tol=0.0)
    if isinstance(said, (list, tuple)) and isinstance(wanted, (list, tuple)):
        return len(said) == len(wanted) and all(map(same, said, wanted))
    return bool(said == wanted)
