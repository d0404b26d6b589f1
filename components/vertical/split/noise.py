"""Gaussian noise that a data holder adds to the sums of a step and to figures, inside the SPU.

Every holder adds the full amount to every entry: whoever looks at a result knows its own noise, and what it pools with
others it knows of them; one other holder's noise must be enough.
"""

import numpy as np

from veilflow.components.privacy import noise
from veilflow.components.privacy.stream import RandomWords, random_words
from veilflow.components.vertical.split.fixed_point import FRACTION_BITS

MAX_DEVIATION = 2.0**31 / 2**FRACTION_BITS / 9
"""Nine deviations still fit into 32 bits."""


def gaussian(size: int, deviation: float, words: RandomWords = random_words) -> np.ndarray:
    """``size`` draws of N(0, deviation**2) as whole numbers of 2**-18 (the ring's own steps): int32.

    A float32 would drop the last bits of large noise, and those of the sum it hides would show.

    Args:
        words: the source of randomness, the system's; only tests give another one.
    """
    assert 0 <= deviation <= MAX_DEVIATION, "settings are checked before"
    drawn = noise.gaussian(size, deviation, words) if deviation else np.zeros(size)
    whole: np.ndarray = np.rint(drawn * 2.0**FRACTION_BITS).astype(np.int32)
    return whole
