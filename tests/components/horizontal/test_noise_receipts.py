"""A receipt of noise says what its client added, and against whom that holds, no more."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from veilflow.components.horizontal.fedavg.client import encode
from veilflow.components.horizontal.fedavg.codec import code_of, shares_of
from veilflow.components.horizontal.fedavg.settings import Privacy, Settings
from veilflow.components.horizontal.fedavg_train import accounts

CLIENTS = ("a", "b", "c", "d", "e")
SIZE, NOISE = 400, 3.0


def receipt_of(settings: Settings, monkeypatch: pytest.MonkeyPatch, share: float) -> dict[str, Any]:
    """What `write_receipts` writes at a client that added this share of the noise to two updates."""
    written: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(accounts, "receipt", lambda ctx, name, **said: written.update({name: said}))
    training = SimpleNamespace(noised=2, noise_share=share, saturated=0)
    history = SimpleNamespace(rows=[])
    accounts.write_receipts(SimpleNamespace(self_party="a"), settings, CLIENTS, [NOISE], training, history)
    return written["noise"]


def measured(settings: Settings) -> tuple[float, float]:
    """The share of the noise that a client is to add, and the multiplier of what it adds, by many draws."""
    code = code_of(settings, SIZE, 5, b"seed", 0, NOISE, 10.0, np.zeros(SIZE), np.arange(SIZE))
    share = shares_of(dict.fromkeys(CLIENTS, 0.2), code.release, settings.privacy.colluding)["a"]
    drawn = np.concatenate([encode(settings, code, np.zeros(SIZE, np.float32), share) for _ in range(50)])
    return share.noise, float(drawn.std()) / code.release.sensitivity()


@pytest.mark.parametrize("colluding, against", [(1, "its own noise known to it"), (-1, "with all other clients")])
def test_the_receipt_states_the_noise_that_this_client_added_itself(colluding, against, monkeypatch):
    settings = replace(Settings(1), privacy=Privacy("client", noise=NOISE, colluding=colluding))
    share, added = measured(settings)
    said = receipt_of(settings, monkeypatch, share)
    assert said["multiplier"] == pytest.approx(added, rel=0.03), "not what all together are to add"
    assert against in said["against"]
    assert said.get("multiplier_with_others", NOISE) == NOISE
    assert ("multiplier_with_others" in said) == (colluding > 0)
    assert said["colluding"] == (colluding if colluding > 0 else len(CLIENTS) - 1)
