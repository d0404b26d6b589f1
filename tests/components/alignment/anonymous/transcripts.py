"""Two worlds that differ in what must stay hidden, what each party sees in them, and how well a classifier tells them
apart.

The features are what an attacker would try who knows the protocol: are positions in any order, do things received add
up to something small (a plain value), does anything received stand in the owner's own list of masks, are shares
uniform.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from veilflow.components.alignment.anonymous.coordinator import protocol

from .recorder import Recorder, at_holders, holding, plan_of, shares

PEOPLE, COLUMNS = 40, 2
SIGMAS = 4.0
"""Width of the interval: one in 16 000 honest runs falls outside."""


@dataclass(frozen=True)
class Setting:
    """Who takes part, and per world and holder which of its rows are common."""

    holders: tuple[str, ...]
    ranks: tuple[str, ...]
    spu: str
    common: tuple[dict[str, range], dict[str, range]]
    hide_count: str = "no"


@dataclass(frozen=True)
class Transcript:
    metadata: dict[str, list]
    features: dict[str, np.ndarray]


def transcript(setting, world, rng):
    """One run in ``world``. Rows' values are their places, so a row that is seen says where it stood."""
    rows = setting.common[world]
    number = len(next(iter(rows.values())))
    known = [f"{word:016x}" for word in rng.integers(0, 2**63, number)]
    holdings = {}
    for party in setting.holders:
        ids = np.array([f"{word:016x}" for word in rng.integers(0, 2**63, PEOPLE)])
        ids[list(rows[party])] = rng.permutation(known)
        values = np.repeat(np.arange(PEOPLE)[:, None], COLUMNS, axis=1) << 18
        holdings[party] = holding(ids, values)
    recorder = Recorder()
    plan = plan_of(holdings, setting.ranks, "c", setting.spu, hide_count=setting.hide_count)
    shared = protocol.align(recorder, at_holders(holdings), plan, recorder.note)
    parts = shares(shared)
    views = {party: _View(recorder, party, holdings.get(party), parts.get(party)) for party in recorder.local}
    return Transcript(
        {party: view.metadata() for party, view in views.items()},
        {party: view.features() for party, view in views.items()},
    )


class _View:
    """Everything one party has: what it received, what it computed, its input and its output."""

    def __init__(self, recorder, party, held, part):
        self._received = [value for _, value in recorder.views[party]]
        self._senders = [sender for sender, _ in recorder.views[party]]
        self._published = recorder.published
        self._results = recorder.local[party]
        self._held, self._part = held, part

    def metadata(self):
        """Types, shapes and senders of messages, and what is public but keys."""
        messages = [
            (sender, type(value).__name__, str(getattr(value, "dtype", "")), np.shape(value), _size(value))
            for sender, value in zip(self._senders, self._received, strict=True)
        ]
        return [messages, self._published[1:], None if self._part is None else self._part.shape]

    def features(self):
        matrices = [value for value in self._received if _is(value, np.uint64, 2)]
        places = [value for value in self._received if _is(value, np.uint32, 1)]
        found = [feature for value in places for feature in _order(value)]
        for value in matrices:
            found += _numbers(value)
        for whole, chosen, other in itertools.product(matrices, places, matrices):
            if len(whole) == PEOPLE and len(other) == len(chosen) and whole.shape[1] == other.shape[1]:
                found += _numbers(whole[chosen] + other)
        found += self._joined() + self._own_rows(matrices)
        if self._part is not None:
            for component in range(self._part.shape[2]):
                found += _numbers(self._part[..., component])
            found += _numbers(self._part.sum(axis=2, dtype=np.uint64))
        return np.array(found, float)

    def _joined(self):
        """The coordinator: where in the lists the common people stand."""
        matches = [result for name, result in self._results if name == "match"]
        found = [feature for match in matches for places in match.positions for feature in _order(places)]
        for match in matches:
            pairs = itertools.combinations(match.positions, 2)
            found += [float(np.corrcoef(one, other)[0, 1]) for one, other in pairs]
        return found

    def _own_rows(self, matrices):
        """A holder: is anything that came back one of the masks of its own rows, or one of its own masked rows?"""
        if self._held is None:
            return []
        order = next(result[1] for name, result in self._results if name == "shuffle")
        sent = np.concatenate([result for name, result in self._results if name == "mask"])
        masks = self._held.values[order] - sent
        found = []
        for known in (masks, sent):
            where = {int(word): row for word, row in zip(known[:, 0], order, strict=True)}
            for value in matrices:
                rows = [where[int(word)] for word in value[:, 0] if int(word) in where]
                found += [len(rows), float(np.mean(rows)) if rows else -1.0]
        return found


def _is(value, dtype, dimensions):
    return isinstance(value, np.ndarray) and value.dtype == dtype and value.ndim == dimensions


def _size(value):
    return len(value) if isinstance(value, bytes) else None


def _order(places):
    half = len(places) // 2
    return [places.mean(), places[:half].mean(), float(np.corrcoef(np.arange(len(places)), places)[0, 1])]


def _numbers(words):
    signed = words.astype(np.uint64).view(np.int64) if words.flags.c_contiguous else np.array(words).view(np.int64)
    small = np.abs(signed) < 1 << 40
    return [
        small.mean(),
        float(signed[small].mean()) / 2**18 if small.any() else -1.0,
        (words >> np.uint64(32)).mean() / 2**32,
        (words & np.uint64(0xFFFF)).mean() / 2**16,
    ]


def told_apart(setting, party, per_world, rng):
    """(accuracy, whether an interval around it contains 1/2) of the better of two classifiers, and the metadata."""
    runs = [(world, transcript(setting, world, rng)) for world in (0, 1) for _ in range(per_world)]
    return {at: _accuracy(runs, at, per_world) for at in party}, [run.metadata for _, run in runs]


def _accuracy(runs, party, per_world):
    features = np.array([run.features[party] for _, run in runs])
    worlds = np.array([world for world, _ in runs])
    judges = (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        RandomForestClassifier(40, random_state=0),
    )
    best = max((cross_val_predict(judge, features, worlds, cv=4) == worlds).mean() for judge in judges)
    # The better of two looks is a little better than chance; the interval is wide enough for that.
    return best, best - SIGMAS * 0.5 / np.sqrt(2 * per_world) <= 0.5
