"""Real tables of two parties for `bench split`: joined by ID, split into train and test by a public token, scaled."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

TABLES = {
    "dvisits": ("dvisits/dvisits_hetero_guest.csv", "dvisits/dvisits_hetero_host.csv", "doctorco"),
    "default_credit": (
        "default_credit/default_credit_hetero_guest.csv",
        "default_credit/default_credit_hetero_host.csv",
        "y",
    ),
}
"""Name -> the label holder's file, the other party's file, the label (counts above 0 become 1)."""


@dataclass(frozen=True)
class Table:
    """One party's part, train columns standardised on train rows."""

    columns: list[str]
    train: np.ndarray
    test: np.ndarray
    train_label: np.ndarray | None
    test_label: np.ndarray | None


def available(folder: Path) -> list[str]:
    """Tables whose files are both there."""
    return [name for name, (one, other, _) in TABLES.items() if (folder / one).exists() and (folder / other).exists()]


def load_part(folder: Path, table: str, token: str, label: bool) -> Table:
    """The label holder's part (``label``) or the other one; rows in order of their ID, so that parts fit together."""
    one, other, target = TABLES[table]
    frame = pd.read_csv(folder / (one if label else other)).sort_values("id").reset_index(drop=True)
    features = frame.drop(columns=["id", *([target] if label else [])])
    train, test = _positions(len(frame), token)
    x = features.to_numpy(dtype=np.float64)
    spread = x[train].std(axis=0)
    x = ((x - x[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0)).astype(np.float32)
    y = (frame[target].to_numpy() > 0).astype(np.float32) if label else None
    names = [f"{'a' if label else 'b'}_{name}" for name in features.columns]
    return Table(names, x[train], x[test], None if y is None else y[train], None if y is None else y[test])


def _positions(rows: int, token: str) -> tuple[np.ndarray, np.ndarray]:
    seed = int.from_bytes(hashlib.sha256(token.encode()).digest()[:16], "little")
    order = np.random.default_rng(seed).permutation(rows)
    return np.sort(order[: rows * 4 // 5]), np.sort(order[rows * 4 // 5 :])
