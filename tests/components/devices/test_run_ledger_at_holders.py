"""What runs at the holders of a run ledger, on real folders: who a partner is, and what becomes of the noise."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from secretflow.spec.extend.cluster_pb2 import SFClusterConfig

from veilflow.components.alignment.anonymous.interface import Holding
from veilflow.components.alignment.anonymous.packed_ids import pack
from veilflow.components.alignment.ledger.book import Party
from veilflow.components.alignment.ledger.noise import Question
from veilflow.components.alignment.ledger.rules import LedgerRules
from veilflow.components.devices.run_ledger import _Holders
from veilflow.components.errors import ComponentError
from veilflow.pipelines.party.context import RunContext

KEYS = {"hospital": "ed25519:H", "insurer": "ed25519:I", "bank": "ed25519:B"}
QUESTION = Question("overlap", Fraction(1, 2))


def table(start, stop, values=()):
    packed = pack(pa.array([f"p{number}" for number in range(start, stop)], pa.large_string()))
    columns = np.array(values, np.uint64).reshape(stop - start, -1) if len(values) else np.zeros((stop - start, 0))
    return Holding(packed, columns.astype(np.uint64))


def run(folder, tables, keys=None, rules=None, question=QUESTION, name="r"):
    """Every holder's ledger, in a folder of its own that its pinned key names; the keys of their noise.

    Raises:
        ComponentError: one of them refuses.
    """
    keys = keys or KEYS
    parties = {holder: Party(holder, keys[holder]) for holder in tables}
    at = {
        holder: _Holders(
            SimpleNamespace(data_root=folder / party.key[-1]), parties, rules or LedgerRules(), True, question
        )
        for holder, party in parties.items()
    }
    names = {holder: [f"x{number}" for number in range(held.values.shape[1])] for holder, held in tables.items()}
    stated = {holder: at[holder].state(held, names[holder], "") for holder, held in tables.items()}
    for holder in tables:
        at[holder].enter_own(holder, stated[holder], name)
    noise = {}
    for holder in tables:
        others = [other for other in tables if other != holder]
        found = at[holder].enter_others(holder, name, others, stated[holder], *(stated[other] for other in others))
        noise[holder] = found[1]
    return noise


TABLES = {"hospital": table(0, 300), "insurer": table(200, 700)}
RENAMED = {"hospital": TABLES["hospital"], "insurance company": TABLES["insurer"]}
RENAMED_KEYS = {**KEYS, "insurance company": KEYS["insurer"]}


def test_a_repeat_has_the_same_noise_whatever_the_parties_and_their_order(tmp_path):
    first = run(tmp_path, TABLES)
    assert len(set(first.values())) == 2, "each holder's noise is its own"
    again = run(tmp_path, dict(reversed(TABLES.items())), name="s")
    renamed = run(tmp_path, RENAMED, RENAMED_KEYS, name="t")
    assert again == first
    assert list(renamed.values()) == list(first.values())
    changed = run(tmp_path, {**TABLES, "insurer": table(300, 800)}, name="u")
    assert not set(changed.values()) & set(first.values()), "both holders' noise is another one"


def test_a_partner_with_another_name_or_in_other_company_has_the_same_page(tmp_path):
    run(tmp_path, TABLES)
    nearly = table(201, 700)
    with pytest.raises(ComponentError, match="nearly that of an earlier run with hospital"):
        run(tmp_path, {**RENAMED, "insurance company": nearly}, RENAMED_KEYS)
    with pytest.raises(ComponentError, match="nearly that of an earlier run with hospital"):
        run(tmp_path, {**TABLES, "insurer": nearly, "bank": table(0, 400)}, question=None)
    with pytest.raises(ComponentError, match="nearly that of an earlier run with insur"):
        run(tmp_path, {**RENAMED, "hospital": table(1, 300)}, RENAMED_KEYS)


def test_a_renamed_partner_cannot_ask_more_in_all(tmp_path):
    rules = LedgerRules(inputs=0, runs=0)
    for number in range(4):  # epsilon 0.5 each, 2 in all
        run(tmp_path, {**TABLES, "insurer": table(1000 * number, 1000 * number + 500)}, rules=rules)
    fifth = {"hospital": TABLES["hospital"], "insurance company": table(9000, 9500)}
    with pytest.raises(ComponentError, match=r"have cost epsilon 2; 0\.5 more would exceed 2"):
        run(tmp_path, fifth, RENAMED_KEYS, rules)


def test_a_partner_without_its_ledger_is_held_to_the_rules_by_the_others(tmp_path):
    run(tmp_path, TABLES)
    for path in sorted((tmp_path / "I").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(ComponentError, match="insurer's ledger key is another one than before"):
        run(tmp_path, {**TABLES, "insurer": table(201, 700)})


def test_one_changed_label_of_the_same_people_is_refused(tmp_path):
    labels = np.arange(500) % 2
    changed = labels.copy()
    changed[77] ^= 1
    valued = {"hospital": table(0, 300, np.arange(300)), "insurer": table(200, 700, labels)}
    first = run(tmp_path, valued)
    assert run(tmp_path, valued, name="s") == first
    with pytest.raises(
        ComponentError, match="insurer's input is nearly that of an earlier run with hospital: the same"
    ):
        run(tmp_path, {**valued, "insurer": table(200, 700, changed)}, name="t")
    loose = LedgerRules(change=0)
    assert run(tmp_path, {**valued, "insurer": table(200, 700, changed)}, rules=loose, name="u") == first


@pytest.mark.parametrize(("simulation", "keys"), [(False, KEYS), (True, {})], ids=["production", "simulation"])
def test_partners_are_their_pinned_keys_but_in_a_simulation(simulation, keys):
    setup = SimpleNamespace(
        folder=Path("nowhere"), simulation=simulation, data_root=None, tls=None, pins=KEYS, party="hospital"
    )
    assert RunContext(setup, SFClusterConfig(), None, None).pinned_keys == keys
