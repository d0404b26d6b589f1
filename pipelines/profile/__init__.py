"""What may run: the production profile, in which everything insecure is refused, and the simulation."""

from veilflow.pipelines.profile.check import banner, check_start, violations
from veilflow.pipelines.profile.facts import Facts, facts_of
from veilflow.pipelines.profile.machine import private_tmp, wipe_tmp
from veilflow.pipelines.profile.spu import check_spu
from veilflow.pipelines.profile.violation import ProfileError, Violation

__all__ = [
    "Facts",
    "ProfileError",
    "Violation",
    "banner",
    "check_spu",
    "check_start",
    "facts_of",
    "private_tmp",
    "violations",
    "wipe_tmp",
]
