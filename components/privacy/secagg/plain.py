"""The sum in the clear: a baseline to compare with, no protection.

Computes     the coordinator learns every client's vector, and adds them.
Adversary    none. `SecureSum` refuses this backend outside simulations.
Reveals      to the coordinator: each client's vector, every round.
Not covered  everything.
Assumes      nothing.
Cost         8 bytes per value and client.
Reference    McMahan et al. 2017, arxiv.org/abs/1602.05629 (federated averaging without secure aggregation).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def add(vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The sum of int64 vectors of shape ``(d,)``."""
    return np.asarray(np.sum(np.stack(list(vectors.values())), axis=0, dtype=np.int64))
