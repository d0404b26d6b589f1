"""No party's view tells which of the rows are common. The same attack finds two leaks that are put in on purpose."""

import numpy as np
import pytest

from veilflow.components.alignment.anonymous.coordinator import halves, holder
from veilflow.components.alignment.anonymous.interface import ABY3, CHEETAH, FULL, ROUNDED

from .transcripts import PEOPLE, Setting, told_apart

FIRST, LAST = range(12), range(PEOPLE - 12, PEOPLE)


def which(holders):
    """World 0: everybody's first rows are common; world 1: the last ones."""
    return dict.fromkeys(holders, FIRST), dict.fromkeys(holders, LAST)


def how_many(holders):
    """World 0: 14 people are common; world 1: 11. Both are 14 when rounded up to three binary digits... or hidden."""
    return dict.fromkeys(holders, range(12)), dict.fromkeys(holders, range(11))


INSIDE = Setting(("a", "b"), ("a", "b", "c"), ABY3, which("ab"))
OUTSIDE = Setting(("a", "b"), ("a", "b"), CHEETAH, which("ab"))
THREE = Setting(("a", "b", "d"), ("a", "b", "d"), ABY3, which("abd"))


@pytest.fixture
def rng():
    return np.random.default_rng()


def require_same_metadata(metadata, parties):
    for party in parties:
        assert all(each[party] == metadata[0][party] for each in metadata), party


@pytest.mark.parametrize(
    ("setting", "per_world"), [(INSIDE, 200), (OUTSIDE, 200), (THREE, 100)], ids=["ABY3", "CHEETAH", "three holders"]
)
def test_no_party_can_tell_which_rows_are_common(setting, per_world, rng):
    parties = (*setting.holders, "c")
    found, metadata = told_apart(setting, parties, per_world, rng)
    require_same_metadata(metadata, parties)
    assert all(chance for _, chance in found.values()), found


@pytest.mark.parametrize("hide_count", [ROUNDED, FULL])
def test_no_holder_can_tell_a_hidden_count(hide_count, rng):
    setting = Setting(("a", "b"), ("a", "b", "c"), ABY3, how_many("ab"), hide_count)
    found, metadata = told_apart(setting, ("a", "b"), 60, rng)
    require_same_metadata(metadata, ("a", "b", "c"))
    assert all(chance for _, chance in found.values()), found


def test_a_count_that_is_not_hidden_shows():
    setting = Setting(("a", "b"), ("a", "b", "c"), ABY3, how_many("ab"))
    _, metadata = told_apart(setting, (), 1, np.random.default_rng())
    assert metadata[0]["a"] != metadata[1]["a"]


@pytest.mark.parametrize("setting", [INSIDE, OUTSIDE], ids=["ABY3", "CHEETAH"])
def test_the_attack_finds_an_order_that_is_not_shuffled(setting, rng, monkeypatch):
    monkeypatch.setattr(holder, "random_order", np.arange)
    found, _ = told_apart(setting, ("a", "b", "c"), 30, rng)
    assert not any(chance for _, chance in found.values()), found


@pytest.mark.parametrize("setting", [INSIDE, OUTSIDE], ids=["ABY3", "CHEETAH"])
def test_the_attack_finds_a_share_that_is_not_masked_anew(setting, rng, monkeypatch):
    monkeypatch.setattr(halves, "conceal", lambda half, key, start: half)
    monkeypatch.setattr(halves, "restore", lambda half, key, start: half)
    found, _ = told_apart(setting, ("a", "b"), 30, rng)
    assert not any(chance for _, chance in found.values()), found
