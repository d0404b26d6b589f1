"""Horizontal training as separate processes: every protection at once; a bank killed in the middle of training."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from veilflow.components.devices.objects import unpack
from veilflow.pipelines.launch.run import run_here
from veilflow.pipelines.party.receipts import lacking
from veilflow.pipelines.plan import make_plan
from veilflow.pipelines.spec import load

pytestmark = pytest.mark.cluster

ALL_ON = Path(__file__).parents[3] / "configs" / "pipelines" / "three_banks_all_on.yaml"
BANKS = ["bank_1", "bank_2", "bank_3"]
PARTIES = [*BANKS, "coordinator"]
ROUNDS = 4
QUICK = [
    "one.path=generate://three_banks/bank_1?rows=400",
    "two.path=generate://three_banks/bank_2?rows=500",
    "three.path=generate://three_banks/bank_3?rows=600",
    "agreed.path=generate://three_banks/agreed?rows=300",
    "new.path=generate://three_banks/test?rows=300",
    "train.net.layers=[4]",
    f"train.rounds={ROUNDS}",
    "train.batch_size=100",
    "train.privacy.delta=0.001",
]
KILLED = [*QUICK, "train.secure_sum.backend=masks", "train.secure_sum.keeper=", "train.checkpoint_every=2"]
KILLED += ["train.weights.by=equal", "train.guard.least_cosine=-1", "train.privacy.noise=0"]


class Killer:
    """An observer that kills bank_2 when it tells that so many rounds are done."""

    def __init__(self, done):
        self.done, self.pid, self.killed, self.events = done, 0, 0.0, []

    def __call__(self, event):
        self.events.append(event)
        if event.kind == "starting" and event.party == "bank_2":
            self.pid = event.body["pid"]
        told = event.kind == "progress" and event.party == "bank_2" and event.body["node"] == "train"
        if not self.killed and told and int(event.body["values"]["round"]) == self.done:
            self.killed = time.monotonic()
            os.kill(self.pid, signal.SIGKILL)

    def rounds(self):
        """As bank_1 tells them."""
        return [
            int(event.body["values"]["round"])
            for event in self.events
            if event.kind == "progress" and event.party == "bank_1" and event.body["node"] == "train"
        ]


def _step(run, name):
    return next(node for node in run.nodes if node.name == name)


def _ledger(out, bank):
    (path,) = [each for each in (out / bank / ".privacy_budget").glob("*.json") if each.name != "peers.json"]
    return json.loads(path.read_text())


def _models(out):
    """Party -> what it holds of the model."""
    found = {}
    for party in PARTIES:
        for path in (out / party / "artifacts").glob("*/model"):
            if (path.parent / ".node").read_text() == "train":
                found[party] = unpack(path.read_bytes())[1]
    return found


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    out = tmp_path_factory.mktemp("all_on")
    run = run_here(ALL_ON, out, QUICK)
    assert run.status == "ok", run.error
    return run, out


def test_with_everything_on_each_protection_leaves_its_receipt_with_its_parameters(protected):
    run, _ = protected
    said = {(each.protection, each.party): each.parameters for each in _step(run, "train").receipts}
    assert {name for name, _ in said} == {"update_norm", "common_mask", "clip", "noise", "secure_sum"}
    assert {name for name, party in said if party == "coordinator"} == {"secure_sum"}
    for bank in BANKS:
        assert said["clip", bank]["bound"] == 1.0
        assert said["noise", bank]["unit"] == "record"
        assert said["noise", bank]["multiplier"] == pytest.approx(1.3)
        assert said["noise", bank]["drawn_here"] > 0
        assert said["common_mask", bank]["keep"] == 0.5
        assert said["update_norm", bank]["bound"] == 5.0
        for party in (bank, "coordinator"):
            known = said["secure_sum", party]
            assert (known["backend"], known["keeper"], known["key_bits"]) == ("packed_he", "bank_2", 3072)
            assert known["encrypted_here"] == (0 if party in ("coordinator", "bank_2") else ROUNDS)
            assert known["kept_here"] == (ROUNDS if party == "bank_2" else 0)  # the keeper adds its own
    assert any(each.protection == "secure_sum" for each in _step(run, "stats").receipts)


def test_it_learns_with_everything_on_and_the_last_step_scores_it(protected):
    run, _ = protected
    assert run.metrics["evaluate.auc"] > 0.55
    assert 0 < run.metrics["train.epsilon"] <= 8
    assert {"weight bank_1", "score bank_3"} <= {each.name for each in _step(run, "train").tab("contribution").columns}


@pytest.mark.parametrize("lost", ["update_norm", "common_mask", "clip", "noise", "secure_sum"])
def test_without_any_one_of_the_receipts_the_step_would_fail(protected, lost):
    run, _ = protected
    step = next(each for each in make_plan(load(ALL_ON, QUICK)).steps if each.name == "train")
    written = [vars(each) for each in _step(run, "train").receipts]
    for party in BANKS:
        own = [each for each in written if each["party"] == party]
        assert lacking(step.protections, own, party) == []
        rest = [each for each in own if each["protection"] != lost]
        assert (
            f"protection '{lost}' is configured but {party} wrote no receipt"
            in lacking(step.protections, rest, party)[0]
        )


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    out, killer = tmp_path_factory.mktemp("resumed"), Killer(done=3)
    run = run_here(ALL_ON, out, KILLED, observer=killer, restarts=1)
    assert killer.killed, "the moment never came"
    assert run.status == "ok", run.error
    return run, out, killer


def test_a_bank_killed_in_the_middle_of_training_comes_back_and_all_hold_one_model(resumed):
    run, out, killer = resumed
    assert [event.kind for event in killer.events].count("restarting") == 1
    assert killer.rounds() == [1, 2, 3, 3, 4], "goes on after the checkpoint of round 2"
    assert len(_step(run, "train").tab("history").rows) == ROUNDS
    models = _models(out)
    assert set(models) == set(PARTIES)
    for party, arrays in models.items():
        for name, values in arrays.items():
            assert (values == models["coordinator"][name]).all(), (party, name)


def test_rounds_that_were_repeated_are_paid_twice_and_the_total_stays_within_the_budget(resumed):
    run, out, _ = resumed
    for bank in BANKS:
        charged = [entry["what"] for entry in _ledger(out, bank)["entries"]]
        # Killed when it told of round 3: the others may have charged the fourth, or not yet.
        assert charged in (
            ["round 1", "round 2", "round 3", *again, "round 3", "round 4"] for again in ([], ["round 4"])
        )
        noises = [entry["charges"][0]["multiplier"] for entry in _ledger(out, bank)["entries"]]
        assert noises[-1] == noises[-2] > noises[0], "what was planned to use the budget up has to make room"
    assert run.metrics["train.epsilon"] <= 8
    assert run.metrics["train.epsilon"] > 7, "and hardly wastes any"


def test_a_bank_that_vanishes_ends_the_run_with_its_name_and_nothing_half_written(tmp_path):
    killer = Killer(done=2)
    run = run_here(ALL_ON, tmp_path, KILLED, observer=killer)
    assert (run.status, run.error.party, run.error.node, run.error.exit_code) == ("failed", "bank_2", "train", 4)
    assert "killed by signal 9" in run.error.message
    assert time.monotonic() - killer.killed < 30
    assert _models(tmp_path) == {}
    assert {each.status for each in run.nodes if each.name in ("predict", "evaluate")} == {"skipped"}
    assert not list(tmp_path.rglob(".epoch-*"))
    assert not list(tmp_path.rglob(".privacy_budget/*.new"))
    for bank in BANKS:
        assert [entry["what"] for entry in _ledger(tmp_path, bank)["entries"]][:2] == ["round 1", "round 2"]
