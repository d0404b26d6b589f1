"""What is trained and what is noised at real parties: models of all kinds, noise of whole updates."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cluster

_SPEC = importlib.util.spec_from_file_location("federation", Path(__file__).with_name("federation.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
federation = importlib.util.module_from_spec(_SPEC)  # parties load this file by its path: it has no package there
_SPEC.loader.exec_module(federation)
Federation, plain, same_everywhere = federation.Federation, federation.plain, federation.same_everywhere
CLIENTS, PARTIES, WIDTH = federation.CLIENTS, federation.PARTIES, federation.WIDTH


def noise_of_the_rounds(ctx: Any) -> dict[str, Any]:
    """Unit client: the rounds' sums are nearly pure noise, so its length shows."""
    from veilflow.components.horizontal.fedavg.settings import Guard, LocalSettings, ModelSpec, Privacy

    found = {}
    for schedule in ("increasing", "decreasing"):
        privacy = Privacy("client", noise=1.0, noise_last=4.0, epsilon=100.0, schedule=schedule)
        still = plain(3, privacy=privacy, local=LocalSettings(rate=1e-4), guard=Guard(update_norm=1.0))
        one = Federation(ctx, still, ModelSpec("mlp", (40,)))
        found[schedule] = one.column(one.run(), "update_norm")
        found["noised"] = one.training.noised
    found["size"] = one.training.parameters
    return found


def test_client_level_noise_follows_its_schedule(banks: Any) -> None:
    everywhere = banks.call(noise_of_the_rounds)
    found = everywhere["bank_a"]
    # A mean of three clients, each with noise of z times the bound of 1 in every coordinate.
    unit = (found["size"] / 3) ** 0.5
    up, down = ([length / unit for length in found[each]] for each in ("increasing", "decreasing"))
    assert up[0] == pytest.approx(1.0, rel=0.25)
    assert up[2] == pytest.approx(4.0, rel=0.25)
    assert up == sorted(up)
    assert down == pytest.approx(up[::-1], rel=0.35)
    assert [everywhere[party]["noised"] for party in PARTIES] == [3, 3, 3, 0], "each client, in each round"


def kinds_of_models(ctx: Any) -> dict[str, Any]:
    """FedBN and layers that stay local, a user's own module, a CNN on images."""
    import flax.linen as nn

    from veilflow.components.horizontal.fedavg.settings import ModelSpec

    class Tiny(nn.Module):
        units: int

        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.Dense(1)(nn.tanh(nn.Dense(self.units)(x)))

    sys.modules["bank_models"] = types.ModuleType("bank_models")
    sys.modules["bank_models"].Tiny = Tiny  # type: ignore[attr-defined]
    cases = {
        "local": (ModelSpec("mlp", (6,), norm="batch", keep_local=("Dense_1",)), (WIDTH,), "bank_a"),
        "module": (ModelSpec("module", (), path="bank_models:Tiny", arguments='{"units": 5}'), (WIDTH,), "coordinator"),
        "cnn": (ModelSpec("cnn", (4,)), (6, 6), "coordinator"),
    }
    found = {}
    for name, (spec, shape, judge) in cases.items():
        one = Federation(ctx, plain(4), spec, judge, shape)
        loss = one.column(one.run(), "train_loss")
        found[name] = {"loss": loss, "models": one.models(), "travels": one.training.parameters}
    return found


def test_other_models_learn_and_what_shall_stay_at_a_bank_stays(banks: Any) -> None:
    found = banks.call(kinds_of_models)["bank_b"]
    for name in ("local", "module", "cnn"):
        assert found[name]["loss"][-1] < found[name]["loss"][0], name
    assert same_everywhere(found["module"]["models"])
    assert same_everywhere(found["cnn"]["models"])
    assert found["module"]["travels"] == 4 * 5 + 5 + 5 + 1
    own = [found["local"]["models"][party] for party in CLIENTS]
    assert found["local"]["travels"] == 4 * 6 + 6, "neither the last layer nor batch normalisation"
    for name in own[0]:
        apart = len({model[name] for model in own})
        assert apart == (1 if name.startswith("params/Dense_0") else 3), name
