"""Settings that contradict each other are refused before anything runs, with the ones to change."""

from dataclasses import replace

import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.settings import (
    Compress,
    Guard,
    ModelSpec,
    Privacy,
    Settings,
    Weighting,
)
from veilflow.components.privacy.secagg.settings import SumSettings

MEDIAN = Settings(3, secure_sum=SumSettings("spu", combine="median"))


@pytest.mark.parametrize(
    "settings, spec, message",
    [
        (replace(MEDIAN, weighting=Weighting("size")), ModelSpec(), "median counts heads"),
        (replace(MEDIAN, slow=(("a", 2),), compress=Compress(train="all")), ModelSpec(), "late updates would count"),
        (replace(MEDIAN, wait=1.0, compress=Compress(train="all")), ModelSpec(), "late updates would count"),
        (replace(MEDIAN, privacy=Privacy("client", colluding=1)), ModelSpec(), "parts of noise do not add up"),
        (Settings(3, privacy=Privacy("record")), ModelSpec(norm="batch"), "batch mixes the rows"),
        (Settings(3, weighting=Weighting("contribution")), ModelSpec(), "give 'valid'"),
        (Settings(3, guard=Guard(bits=3)), ModelSpec(), "give at least 4"),
        (Settings(3, privacy=Privacy("record", colluding=1)), ModelSpec(), "divides the noise of unit client"),
        (Settings(3, privacy=Privacy("client", colluding=0)), ModelSpec(), "knows its own part of the noise"),
        (Settings(3, weighting=Weighting(smallest=0.4)), ModelSpec(), "cannot sum to 1"),
        (Settings(3, slow=(("z", 2),)), ModelSpec(), "slow names z"),
        (Settings(3, slow=(("a", 9),)), ModelSpec(), "more than max_staleness 5"),
        (Settings(3, slow=(("a", 7),)), ModelSpec(), "slow has a:7, more than max_staleness 5"),
        (Settings(3), ModelSpec("mlp", ()), "needs net/layers"),
        (Settings(3), ModelSpec("module", (), path="x"), "package.module:Class"),
        (Settings(3, patience=2, privacy=Privacy("record")), ModelSpec(), "patience needs the reference rows"),
        (Settings(3, patience=2, privacy=Privacy("client")), ModelSpec(), "patience needs the reference rows"),
        (Settings(3, privacy=Privacy("none", adaptive_clip=0.5)), ModelSpec(), "unit none adds none"),
        (Settings(3, privacy=Privacy("record", adaptive_clip=0.5, vote_noise=0.0)), ModelSpec(), "vote_noise positive"),
        (Settings(3, privacy=Privacy("record", schedule="by_round")), ModelSpec(), "noise of round 1"),
        (Settings(3, privacy=Privacy("record", by_round=((1, 2.0),))), ModelSpec(), "schedule is constant"),
        (Settings(3, privacy=Privacy("record", schedule="adaptive", noise=1.0)), ModelSpec(), "adaptive goes between"),
        (Settings(3, slow=(("a", 2),), compress=Compress(0.5)), ModelSpec(), "train: all with slow"),
        (
            Settings(3, slow=(("a", 2),), privacy=Privacy("client", noise=4.0, adaptive_clip=0.5)),
            ModelSpec(),
            "adaptive_clip: 0 with slow",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, spec, message):
    with pytest.raises(ComponentError, match=message):
        settings.check(spec, ["a", "b", "c"], False)


def test_what_is_at_a_bound_is_accepted():
    for settings in (MEDIAN, Settings(3, slow=(("a", 6),)), Settings(3, guard=Guard(bits=4))):
        settings.check(ModelSpec(), ["a", "b", "c"], False)


def test_noise_is_not_divided_with_a_client_that_adds_up():
    """It knows its own part: 'against the coordinator' would be a claim against one that knows more than counted."""
    divided = Settings(3, privacy=Privacy("client", colluding=1))
    with pytest.raises(ComponentError, match="a, who adds up, is one of them and knows its own part"):
        divided.check(ModelSpec(), ["a", "b", "c", "d"], False, "a")
    divided.check(ModelSpec(), ["a", "b", "c", "d"], False, "centre")
    Settings(3, privacy=Privacy("client")).check(ModelSpec(), ["a", "b", "c", "d"], False, "a")
