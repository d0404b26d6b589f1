"""Rounds that do not wait: whose update counts in which round, with which weight, on which coordinates."""

from dataclasses import replace

import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.settings import Compress
from veilflow.components.horizontal.fedavg_train import workforce

from .one_process import CLIENTS, EXACT, World, begin, counted

WAITING = replace(EXACT, wait=0.1)


@pytest.mark.parametrize("keep", [1.0, 0.4])
def test_two_clients_of_different_lateness_count_once_by_their_age_on_the_coordinates_of_the_round(monkeypatch, keep):
    settings = replace(WAITING, compress=Compress(keep, train="all"))
    world = World({("b", 0): 1, ("c", 0): 3, ("b", 2): 3})
    training = begin(monkeypatch, settings, world)
    counted(training, world, 0, {"a": 0, "d": 0})
    counted(training, world, 1, {"a": 1, "b": 0, "d": 1})
    counted(training, world, 2, {"a": 2, "d": 2})
    counted(training, world, 3, {"a": 3, "b": 2, "c": 0, "d": 3})
    counted(training, world, 4, dict.fromkeys(CLIENTS, 4))
    assert [each for each in world.begun if each[0] in "bc"] == [("b", 0), ("c", 0), ("b", 2), ("b", 4), ("c", 4)]


def test_an_update_older_than_max_staleness_never_counts_and_one_of_that_age_does(monkeypatch):
    world = World({("b", 0): 2, ("c", 0): 3, ("c", 3): 4})
    training = begin(monkeypatch, replace(WAITING, max_staleness=2), world)
    counted(training, world, 0, {"a": 0, "d": 0})
    counted(training, world, 1, {"a": 1, "d": 1})
    counted(training, world, 2, {"a": 2, "b": 0, "d": 2})
    counted(training, world, 3, {"a": 3, "b": 3, "d": 3})
    counted(training, world, 4, {"a": 4, "b": 4, "c": 3, "d": 4})
    assert [each for each in world.begun if each[0] == "c"] == [("c", 0), ("c", 3)], "it begins anew"


def test_clients_that_are_known_to_be_slow_are_late_by_their_period(monkeypatch):
    world = World()
    training = begin(monkeypatch, replace(WAITING, wait=0.0, slow=(("b", 2), ("c", 3))), world)
    counted(training, world, 0, {"a": 0, "d": 0})
    counted(training, world, 1, {"a": 1, "b": 0, "d": 1})
    counted(training, world, 2, {"a": 2, "c": 0, "d": 2})
    counted(training, world, 3, {"a": 3, "b": 2, "d": 3})
    assert [each for each in world.begun if each[0] in "bc"] == [("b", 0), ("c", 0), ("b", 2), ("c", 3)]


def test_what_was_under_way_at_a_checkpoint_begins_anew_after_it(monkeypatch):
    world = World({("b", 0): 9})
    training = begin(monkeypatch, WAITING, world)
    counted(training, world, 0, {"a": 0, "c": 0, "d": 0})
    training.restore(training.state())
    counted(training, world, 1, dict.fromkeys(CLIENTS, 1))


def test_a_round_waits_where_a_sum_would_lack_updates_and_not_for_ever(monkeypatch):
    monkeypatch.setattr(workforce, "_PATIENCE_SECONDS", 1.0)
    training = begin(monkeypatch, WAITING, World({("b", 0): 2, ("c", 0): 2, ("d", 0): 2}))
    with pytest.raises(ComponentError, match=r"b, c, d did not finish a local training in 0 minutes\. Look into its"):
        training.round(0)


def test_a_round_in_which_too_few_are_ready_is_not_added_up_and_has_figures_all_the_same(monkeypatch):
    slow = tuple((party, 2) for party in "bcd")
    world = World()
    training = begin(monkeypatch, replace(EXACT, slow=slow), world)
    told = [counted(training, world, 0, {}), counted(training, world, 1, {**dict.fromkeys("bcd", 0), "a": 0})]
    assert [each["train_loss"] for each in told] == [0.0, 1.0]
