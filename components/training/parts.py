"""What one party keeps of a model: sections with names, and the preprocessing rules that belong to it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Part = tuple[dict[str, Any], dict[str, np.ndarray]]
"""A JSON document, and arrays by name (see `devices.objects`)."""


def merge(identity: str, sections: Mapping[str, Part], rules: Sequence[Part]) -> Part:
    """One party's part of the bundle.

    Args:
        sections: name (``bottom``, ``top``) -> what is stored under it.
        rules: that party's preprocessing rules, in the order they apply, stored as they are.
    """
    named = dict(sections) | {f"rule{i}": rule for i, rule in enumerate(rules)}
    document = {"identity": identity, "sections": {name: part[0] for name, part in named.items()}}
    arrays = {f"{name}//{key}": value for name, part in named.items() for key, value in part[1].items()}
    return document, arrays


def section(part: Part, name: str) -> Part:
    """One section of a party's part; an empty one where there is none."""
    document, arrays = part
    prefix = f"{name}//"
    found = {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}
    return document["sections"].get(name, {}), found


def rules_of(part: Part) -> list[dict[str, Any]]:
    """A party's preprocessing rules, in order."""
    documents = part[0]["sections"]
    return [documents[f"rule{i}"] for i in range(sum(name.startswith("rule") for name in documents))]
