"""One thing the profile refuses."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """What, where, why, and how to mend it. Holds names and settings, never a key or a value of data."""

    what: str
    where: str
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.why} Fix: {self.fix}"


class ProfileError(Exception):
    """A run that may not start; ``violations`` holds all that is wrong."""

    def __init__(self, profile: str, violations: Iterable[Violation]) -> None:
        self.profile = profile
        self.violations = tuple(violations)
        count = len(self.violations)
        lines = "".join(f"\n  {violation}" for violation in self.violations)
        super().__init__(f"the {profile} profile refuses this run: {count} violation{'' if count == 1 else 's'}{lines}")

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Violation, ...]]]:
        return (ProfileError, (self.profile, self.violations))
