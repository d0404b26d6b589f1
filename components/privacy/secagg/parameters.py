"""The parameters ``secure_sum/...`` of steps that add up clients' vectors, read alike before a run and in it. Light.

SecretFlow loses parameters where two components share a class of attributes, so each has its own; what such a class
says of a parameter comes from here and from `fields`.
"""

from collections.abc import Mapping
from typing import Any

from veilflow.components.parameters import Group
from veilflow.components.privacy.secagg.settings import SumSettings

GROUP = Group(SumSettings, "secure_sum/")


def sum_settings(given: Mapping[str, Any]) -> SumSettings:
    """From a step's parameters by path; a step that lacks one of them has its default."""
    settings: SumSettings = GROUP.read(given)
    return settings
