"""What either holder sees does not say which of its rows matched: 200 transcripts per world, and a classifier.

Two worlds of the same sizes: in one the first half of everybody's rows is common, in the other the second half. What a
holder makes of a transcript: which of its own rows stand at places that it saw matched, whether numbers that it knows
appear anywhere, and statistics of every message. Each leak that is built in on purpose must be found by the same test.
"""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from veilflow.components.alignment.anonymous.two_party import curve, matching, protocol, switching, transfer

from .recorder import Recorder
from .test_two_party import dealt, run

ROWS, RUNS = 12, 200
HALF = ROWS // 2


class Watching(Recorder):
    """Keeps what each party computed, too."""

    def __init__(self):
        super().__init__()
        self.results = {}

    def run(self, party, fn, *args, returns=1):
        found = super().run(party, fn, *args, returns=returns)
        self.results[party, fn.__name__] = found
        return found


@pytest.fixture
def quick(monkeypatch):
    """Base transfers are over before anybody's rows are touched; they are dealt. IDs are hashed to points once."""
    points, hash_points = {}, curve.hash_points

    def hashed(texts, salt):
        del salt
        for text in texts:
            if text not in points:
                points[text] = hash_points([text], bytes(16))
        return np.concatenate([np.zeros((0, 32), np.uint8), *(points[text] for text in texts)])

    waiting = []

    def start():
        owner, chooser = dealt()
        waiting.append(chooser)
        return owner, np.zeros(1, np.uint8), bytes(16)

    monkeypatch.setattr(curve, "hash_points", hashed)
    monkeypatch.setattr(protocol, "_start_base", start)
    monkeypatch.setattr(protocol, "_answer_base", lambda points: (waiting.pop(), b""))
    monkeypatch.setattr(transfer.Owner, "finish_base", lambda self, point: None)


def transcript(world):
    """Per holder one vector of what it can make of a run."""
    common = range(HALF) if world == 0 else range(HALF, ROWS)
    people = {"a": [f"p{i}" for i in range(ROWS)], "b": [f"p{i}" if i in common else f"q{i}" for i in range(ROWS)]}
    values = {"a": 1000 + np.arange(ROWS)[:, None], "b": 2000 + np.arange(ROWS)[:, None]}
    recorder, shared = run({party: (people[party], values[party]) for party in "ab"}, Watching())
    return {party: features(recorder, shared, party, values) for party in "ab"}


def features(recorder, shared, party, values):
    messages = [sent for _, sent in recorder.views[party] if isinstance(sent, np.ndarray)]
    listed = recorder.results[party, "listed"].value
    if party == "a":
        seen, _ = (each.value for each in recorder.results["a", "find_common"])
    else:
        seen = next(sent for sent in messages if sent.ndim == 1)
    row_at = listed.values[:, 0].astype(np.int64) % 1000  # which of its rows stands where in its list
    at_seen = np.isin(np.arange(ROWS), row_at[seen])
    share = shared.parts[party].value[0]
    sent_numbers = np.concatenate([sent.ravel() for sent in messages if sent.dtype == np.uint64])
    known = np.concatenate([values["a"], values["b"]]).ravel().astype(np.uint64)
    appears = np.concatenate([np.isin(known, share), np.isin(known, sent_numbers)])
    means = [np.ascontiguousarray(sent).view(np.uint8).mean() / 128 - 1 for sent in messages]
    return np.concatenate([at_seen, appears, means, [len(messages), sum(sent.nbytes for sent in messages)]])


def accuracy(party_views):
    """Of a classifier, on transcripts that it has not seen."""
    x = np.array([vector for world in party_views for vector in world])
    y = np.repeat([0, 1], len(party_views[0]))
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[: len(y) // 2], order[len(y) // 2 :]
    x = (x - x[train].mean(0)) / (x[train].std(0) + 1e-9)
    return (LogisticRegression(C=0.05, max_iter=500).fit(x[train], y[train]).predict(x[test]) == y[test]).mean()


def accuracies(runs):
    views = [[transcript(world) for _ in range(runs)] for world in (0, 1)]
    return {party: accuracy([[each[party] for each in world] for world in views]) for party in "ab"}


def test_views_of_two_worlds_cannot_be_told_apart(quick):
    interval = 4 * 0.5 / np.sqrt(RUNS)
    found = accuracies(RUNS)
    assert {party: abs(each - 0.5) < interval for party, each in found.items()} == {"a": True, "b": True}, found


def test_a_list_that_is_not_shuffled_is_found(quick, monkeypatch):
    def unshuffled(mine, theirs):
        return curve.blind(mine.secret, theirs), np.arange(len(theirs))

    monkeypatch.setattr(matching, "blind_again", unshuffled)
    assert accuracies(30)["a"] > 0.9


def test_a_share_that_is_not_masked_is_found(quick, monkeypatch):
    def unmasked(transfers, session, values):
        masks = np.zeros((1 << switching.levels(len(values)), values.shape[1]), np.uint64)
        masked = masks.copy()
        masked[: len(values)] = values
        return switching.OwnerSide(transfers, session, masks), masked

    monkeypatch.setattr(switching.OwnerSide, "start", staticmethod(unmasked))
    monkeypatch.setattr(transfer, "derive", lambda keys, session, start, width: np.zeros((len(keys), width), np.uint64))
    assert accuracies(30)["b"] > 0.9
