"""Rows for `bench fedavg`: the real card-default tables of three banks, and synthetic banks of which one is noisy."""

from pathlib import Path

import numpy as np
import pandas as pd

from veilflow.components.horizontal.fedavg.arrays import Data
from veilflow.datasets.generators import three_banks

FILES = {"guest": "homo_guest", "host_1": "homo_host_1", "host_2": "homo_host_2", "test": "homo_test"}
PATTERN = "default_credit/default_credit_{}.csv"


def available(folder: Path) -> bool:
    """Whether all four files are there."""
    return all((folder / PATTERN.format(name)).exists() for name in FILES.values())


def credit(folder: Path) -> tuple[dict[str, Data], Data]:
    """Three banks' rows and the test rows; columns cut at common 1 % quantiles, standardised."""
    frames = {party: pd.read_csv(folder / PATTERN.format(name)) for party, name in FILES.items()}
    raw = {party: frame.drop(columns=["id", "y"]).to_numpy(np.float64) for party, frame in frames.items()}
    joined = np.concatenate([x for party, x in raw.items() if party != "test"])
    low, high = np.quantile(joined, [0.01, 0.99], axis=0)
    joined = np.clip(joined, low, high)
    middle, width = joined.mean(axis=0), joined.std(axis=0)
    found = {}
    for party, x in raw.items():
        scaled = ((np.clip(x, low, high) - middle) / np.where(width > 0, width, 1)).astype(np.float32)
        found[party] = (scaled, frames[party]["y"].to_numpy(np.float32))
    test = found.pop("test")
    return found, test


def noisy_banks(seed: int, rows: int = 1500) -> tuple[dict[str, Data], Data, Data]:
    """Three banks with different customers, the largest with 45 % wrong labels; reference and test rows."""

    def of(part: str, count: int, offset: int = 0) -> Data:
        frame = three_banks.part(part, count, seed + offset, shift=0.7)
        x = frame.drop(columns=["customer", "default"]).to_numpy(np.float32)
        return x, frame["default"].to_numpy(np.float32)

    banks = {"bank_1": of("bank_1", rows), "bank_2": of("bank_2", rows), "bank_3": of("bank_3", 3 * rows)}
    x, y = banks["bank_3"]
    wrong = np.random.default_rng([seed, 9]).random(len(y)) < 0.45
    banks["bank_3"] = (x, np.where(wrong, 1 - y, y).astype(np.float32))
    both = of("test", 3000)
    return banks, (both[0][:1000], both[1][:1000]), (both[0][1000:], both[1][1000:])
