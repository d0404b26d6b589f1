"""Models of all kinds at real parties: they learn, and what shall stay at a bank stays."""

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
CLIENTS, WIDTH = federation.CLIENTS, federation.WIDTH


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
