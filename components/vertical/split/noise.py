"""Gaussian noise that one data holder adds to another one's gradient, inside the SPU.

It comes from the other side in full amount: noise of the receiver's own making could be subtracted again, and a party
that only adds a share of the noise would leave too little once another one subtracts its own.
"""

import secrets

import numpy as np


def gaussian(size: int, deviation: float) -> np.ndarray:
    """``size`` draws of N(0, deviation**2) from the operating system's randomness, float32.

    The ring rounds them to 2**-18: `settings.MIN_DEVIATION` keeps the noise far above that.
    """
    rng = np.random.default_rng(secrets.randbits(128))
    return rng.normal(0.0, deviation, size).astype(np.float32) if deviation > 0 else np.zeros(size, np.float32)
