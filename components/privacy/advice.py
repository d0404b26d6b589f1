"""What to tell a person about an epsilon before a run. Light."""

import math

HIGHEST = 10.0
"""Above, an epsilon is a figure and hardly a protection."""


def doubts(epsilon: float, of: str, remedy: str) -> list[str]:
    """Warnings about ``epsilon`` (infinite: no noise), none where there is nothing to say.

    Args:
        of: whose: ``one label``, ``a record``.
        remedy: what to set instead.
    """
    if math.isinf(epsilon):
        return [f"no noise is added, so nothing bounds what repeated sums tell about {of}; {remedy}"]
    if epsilon > HIGHEST:
        return [f"epsilon {epsilon:.3g} for {of} protects little (above {HIGHEST:g}); {remedy}"]
    return []
