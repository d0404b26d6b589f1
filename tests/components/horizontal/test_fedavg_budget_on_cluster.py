"""The budget of the people in a table, over runs, steps and settings: refused, damaged, put back; and bad tables."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.cluster

HEAD = """
version: 1
name: budgets
parties: [hospital, insurer, coordinator]
nodes:
  one: {{uses: data/read_table, with: {{party: hospital, path: "{folder}/hospital.csv", id: [person], label: sick}}}}
  two: {{uses: data/read_table, with: {{party: insurer, path: "{folder}/insurer.csv", id: [person], label: sick}}}}
"""
TRAIN = """
  {step}:
    uses: horizontal/fedavg_train
    needs: {{tables: [one.table, two.table]}}
    with:
      net: {{kind: logistic}}
      rounds: {rounds}
      batch_size: 50
      learning_rate: {rate}
      privacy: {{unit: record, noise: 2.0, epsilon: 6.0, delta: 0.001}}
      {extra}
"""


def write_tables(folder: Path, **changes: Any) -> None:
    for seed, party in enumerate(("hospital", "insurer")):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.normal(size=(100, 3)), columns=["age", "pulse", "acid"])
        frame["sick"] = (frame.age > 0).astype(int)
        frame.insert(0, "person", [f"{party}{row}" for row in range(100)])
        frame = changes.get(party, lambda same: same)(frame)
        frame.to_csv(folder / f"{party}.csv", index=False)


def ledgers(out: Path, party: str) -> list[Path]:
    return [each for each in (out / party / ".privacy_budget").glob("*.json") if each.name != "peers.json"]


def text(out: Path, step: str = "train", rounds: int = 4, rate: float = 0.5, extra: str = "") -> str:
    return HEAD.format(folder=out) + TRAIN.format(step=step, rounds=rounds, rate=rate, extra=extra)


@pytest.fixture(scope="module")
def spent(veilflow_cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trainings on the same people: another step's name and other settings make no new budget."""
    out = tmp_path_factory.mktemp("spent")
    write_tables(out)
    first = veilflow_cluster.run(text(out), out)
    assert first.error is None, first.error.message
    shutil.copytree(out / "hospital" / ".privacy_budget", out / "old copy")
    second = veilflow_cluster.run(text(out, step="again", rate=0.25), out)
    assert second.error is None, second.error.message
    assert second.metrics["again.epsilon"] > first.metrics["train.epsilon"]
    for party in ("hospital", "insurer", "coordinator"):  # before another run states anything
        shutil.copy(out / party / ".privacy_budget" / "peers.json", out / f"remembered by {party}.json")
    return out


def test_every_run_over_the_same_people_goes_into_one_ledger(spent: Path) -> None:
    for party in ("hospital", "insurer"):
        (ledger,) = ledgers(spent, party)
        entries = json.loads(ledger.read_text())["entries"]
        assert [entry["what"] for entry in entries] == [f"round {number}" for number in (1, 2, 3, 4)] * 2
    assert ledgers(spent, "coordinator") == []


def test_when_a_run_ends_everybody_remembers_its_last_charge(spent: Path) -> None:
    for party in ("hospital", "insurer"):
        entries = json.loads(ledgers(spent, party)[0].read_text())["entries"]
        for peer in ("hospital", "insurer", "coordinator"):
            known = json.loads((spent / f"remembered by {peer}.json").read_text())[party]
            assert list(known["heads"].values()) == [[8, entries[7]["hash"][:32]]]


def test_what_would_exceed_is_refused_before_training_with_the_rounds_possible(
    spent: Path, veilflow_cluster: Any
) -> None:
    before = ledgers(spent, "hospital")[0].read_bytes()
    run = veilflow_cluster.run(text(spent, rounds=400), spent)
    found = re.search(r"epsilon 6 at delta 0.001 allows (\d+) more round\(s\) .* 400 are asked for", run.error.message)
    assert found, run.error.message
    assert 0 < int(found[1]) < 400
    assert ledgers(spent, "hospital")[0].read_bytes() == before


def test_a_ledger_put_back_from_an_old_copy_is_noticed_by_the_others(spent: Path, veilflow_cluster: Any) -> None:
    held = spent / "hospital" / ".privacy_budget"
    shutil.move(held, spent / "newest")
    shutil.copytree(spent / "old copy", held)
    run = veilflow_cluster.run(text(spent, rate=0.1), spent)
    assert "the ledger of hospital holds 4 charge(s), 8 others are remembered" in run.error.message
    shutil.rmtree(held)
    shutil.move(spent / "newest", held)


def test_a_new_folder_of_ledgers_is_noticed_and_a_damaged_ledger_refused(spent: Path, veilflow_cluster: Any) -> None:
    held = spent / "hospital" / ".privacy_budget"
    shutil.move(held, spent / "newest")
    run = veilflow_cluster.run(text(spent, rate=0.1), spent)
    assert "hospital has another folder of ledgers than in earlier runs" in run.error.message
    shutil.rmtree(held)
    shutil.move(spent / "newest", held)
    (ledger,) = ledgers(spent, "insurer")
    document = json.loads(ledger.read_text())
    document["entries"][0]["charges"][0]["multiplier"] = 200.0
    ledger.write_text(json.dumps(document))
    run = veilflow_cluster.run(text(spent, rate=0.1), spent)
    assert run.error.party == "insurer"
    assert "is damaged or was edited" in run.error.message


def test_a_changed_row_another_selection_and_a_column_more_go_on_spending(
    veilflow_cluster: Any, tmp_path: Path
) -> None:
    """Four such tables had four ledgers, and the same people paid 6.65 four times."""
    changes: list[Any] = [
        lambda f: f,
        lambda f: f.assign(person=["somebody else", *f.person[1:]]),
        lambda f: f.head(80).assign(height=1.5),
    ]
    spent = []
    for change in changes:
        write_tables(tmp_path, hospital=change, insurer=change)
        run = veilflow_cluster.run(text(tmp_path).replace("epsilon: 6.0", "epsilon: 40.0"), tmp_path)
        assert run.error is None, run.error.message
        spent.append(run.metrics["train.epsilon"])
    assert spent[0] < spent[1] < spent[2]
    assert len(ledgers(tmp_path, "hospital")) == 3
    alone = spent[0]
    assert spent[1] > 1.3 * alone
    write_tables(tmp_path, hospital=lambda f: f.head(60))
    asked = text(tmp_path).replace("epsilon: 6.0", f"epsilon: {1.1 * alone:.3f}")
    run = veilflow_cluster.run(asked, tmp_path)
    assert re.search(r"allows 0 more round\(s\) .* is spent", run.error.message), run.error.message


BAD: dict[str, tuple[Any, str, str]] = {
    "gaps": (lambda f: f.assign(acid=f.acid.where(f.index > 6)), "", "missing or infinite cells: acid 7 of 100"),
    "no rows": (lambda f: f.head(0), "", "but no rows"),
    "no label": (lambda f: f.drop(columns="sick"), "", "sick"),
    "other categories": (
        lambda f: f.assign(acid=["north"] * 99 + ["moon"]),
        'categories: ["acid:north|south"]',
        "1 of 100 cells that are none of its 2 agreed categories",
    ),
}


@pytest.mark.parametrize("case", list(BAD))
def test_a_bad_table_stops_with_its_reason(case: str, veilflow_cluster: Any, tmp_path: Path) -> None:
    change, extra, message = BAD[case]
    both = {"hospital": lambda f: f.assign(acid="south")} if case == "other categories" else {}
    write_tables(tmp_path, insurer=change, **both)
    run = veilflow_cluster.run(text(tmp_path, extra=extra), tmp_path)
    assert run.error is not None
    assert message in run.error.message, run.error.message
    assert run.error.party == "insurer"


def test_an_epsilon_that_no_noise_reaches_is_said_before_training(veilflow_cluster: Any, tmp_path: Path) -> None:
    write_tables(tmp_path)
    asked = text(tmp_path, rounds=3000).replace("noise: 2.0, epsilon: 6.0", "noise: 0, epsilon: 0.05")
    # Whole batches: their noise is found in closed form, which takes no time.
    run = veilflow_cluster.run(asked.replace("batch_size: 50", "batch_size: 100"), tmp_path)
    assert re.search(r"epsilon 0\.05 for 3000 rounds needs noise of [\d.e+]+ times", run.error.message), run.error
    possible = re.search(r"With 200 times, (\d+) rounds are possible. Ask for fewer rounds", run.error.message)
    assert possible, run.error.message
    assert 0 < int(possible[1]) < 3000
