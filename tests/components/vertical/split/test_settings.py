from dataclasses import replace

import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.vertical.split.owner import MAX_EMBEDDING, require_in_range
from veilflow.components.vertical.split.settings import Optimiser, Settings

GOOD = Settings("summed", 5, 512, 32, 2.0, 1.0, Optimiser("adam", 0.02), Optimiser("momentum", 0.05))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch": 16}, "batch_size is 16, below minimum_batch 32"),
        ({"noise": 1e-5}, "noise x clip is 2e-05, too little for numbers with 18 fraction bits"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        replace(GOOD, **changes).check()


def test_good_settings_pass_and_no_noise_is_a_choice() -> None:
    GOOD.check()
    replace(GOOD, noise=0.0).check()


@pytest.mark.parametrize("value", [2 * MAX_EMBEDDING, -2 * MAX_EMBEDDING, float("nan"), float("inf")])
def test_embeddings_the_ring_cannot_hold_are_refused_without_their_value(value: float) -> None:
    import numpy as np

    with pytest.raises(ComponentError, match="a bottom gives values beyond 1024") as caught:
        require_in_range(np.array([[0.5, value]], np.float32))
    assert "2048" not in str(caught.value)
    require_in_range(np.array([[0.5, MAX_EMBEDDING]], np.float32))
