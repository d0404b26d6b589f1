"""A component's attributes as the numbers and words that its user wrote."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import numpy as np


def decimal(value: float) -> float:
    """The number the user wrote: attributes travel as 32-bit floats, which make 0.3 a little more than 0.3."""
    return float(str(np.float32(value)))


def parameters(step: Any, paths: Iterable[str]) -> dict[str, Any]:
    """Attributes of ``step`` by path, as a pipeline file has them: ``privacy/clip`` is ``step.privacy.clip``."""
    found = {path: attrgetter(path.replace("/", "."))(step) for path in paths}
    return {path: decimal(value) if isinstance(value, float) else value for path, value in found.items()}
