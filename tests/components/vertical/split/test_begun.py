"""Epochs that were begun count, whatever became of the attempt that began them."""

from pathlib import Path
from typing import Any

import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.vertical.split_train import begun
from veilflow.components.vertical.split_train.begun import Begun


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_on(party: str, fn: Any, *args: Any) -> Any:
        del party
        return fn(*args)

    monkeypatch.setattr(begun, "run_on", run_on)
    monkeypatch.setattr(begun, "publish", lambda value: value)


def attempt(folder: Path | None, most: int = 3, key: str = "k" * 64) -> Begun:
    return Begun(folder, key, ["hospital"], most)


def test_attempts_share_the_epochs_there_are(tmp_path: Path) -> None:
    first = attempt(tmp_path)
    assert [first.another(0), first.another(1)] == [True, True]
    second = attempt(tmp_path)  # from the checkpoint after epoch 1: epoch 2 is paid for twice
    assert second.another(1)
    assert second.count == 3
    assert not second.another(2), "no epoch is begun that epsilon does not allow"
    assert second.count == 3


def test_without_any_result_the_training_stops_with_the_reason(tmp_path: Path) -> None:
    for _ in range(3):
        attempt(tmp_path).another(0)
    with pytest.raises(
        ComponentError, match="earlier attempts at this training were broken off and used up its epsilon"
    ):
        attempt(tmp_path).another(0)


def test_another_training_and_a_finished_one_start_at_zero(tmp_path: Path) -> None:
    first = attempt(tmp_path)
    first.another(0)
    other = attempt(tmp_path, key="l" * 64)
    other.another(0)
    assert other.count == 1
    first.clear()
    again = attempt(tmp_path)
    again.another(0)
    assert again.count == 1


def test_without_checkpoints_an_attempt_counts_its_own_epochs() -> None:
    found = attempt(None, most=2)
    assert [found.another(done) for done in range(3)] == [True, True, False]
