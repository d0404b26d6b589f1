"""A budget ledger that went back, or was exchanged, is noticed by every party that remembers it."""

import shutil
import stat

import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.accountant import Charge
from veilflow.components.privacy.ledger import BudgetTerms
from veilflow.components.privacy.ledger_folder import FOLDER, LedgerFolder

TERMS = BudgetTerms("record", 1e-5, 50.0)
PEOPLE = "digest of some people"


def charged(folder: LedgerFolder, count: int, people: str = PEOPLE) -> None:
    budget = folder.budget(people, TERMS)
    for number in range(count):
        budget.charge(f"rounds {number}", [Charge(4.0)])


def state(folder: LedgerFolder, people: str = PEOPLE) -> dict[str, dict[str, object]]:
    return {"bank_a": folder.statement(people, folder.budget(people, TERMS))}


@pytest.fixture
def owner(tmp_path):
    return LedgerFolder(tmp_path / "bank_a")


@pytest.fixture
def peer(tmp_path):
    return LedgerFolder(tmp_path / "bank_b")


def test_a_ledger_that_grows_is_remembered(owner, peer) -> None:
    for _ in range(3):
        peer.remember(state(owner))
        charged(owner, 2)
    assert len(state(owner)["bank_a"]["hashes"]) == 6


def test_a_ledger_restored_from_an_old_copy_is_noticed(owner, peer, tmp_path) -> None:
    charged(owner, 1)
    peer.remember(state(owner))
    shutil.copytree(tmp_path / "bank_a", tmp_path / "backup")
    charged(owner, 2)
    peer.remember(state(owner))  # the newest statement is what counts
    shutil.rmtree(tmp_path / "bank_a")
    shutil.copytree(tmp_path / "backup", tmp_path / "bank_a")
    with pytest.raises(ComponentError, match=r"ledger of bank_a holds 1 charge\(s\), 3 others are remembered here"):
        peer.remember(state(owner))
    charged(owner, 5)
    with pytest.raises(ComponentError, match="6 charge"):
        peer.remember(state(owner))  # longer than it was, but by other charges


def test_a_new_folder_of_ledgers_is_noticed(owner, peer, tmp_path) -> None:
    charged(owner, 1)
    peer.remember(state(owner))
    shutil.rmtree(tmp_path / "bank_a")
    with pytest.raises(
        ComponentError, match=f"bank_a has another folder of ledgers .* remove {FOLDER}/peers.json here"
    ):
        peer.remember(state(owner))


def test_ledgers_of_other_people_stand_beside_it(owner, peer) -> None:
    charged(owner, 3)
    peer.remember(state(owner))
    peer.remember(state(owner, "others"))
    charged(owner, 1, "others")
    peer.remember(state(owner, "others"))
    peer.remember(state(owner))


def test_a_single_ledger_that_is_deleted_is_noticed(owner, peer, tmp_path) -> None:
    charged(owner, 2)
    peer.remember(state(owner))
    (ledger,) = [each for each in (tmp_path / "bank_a").glob("*.json") if each.name != "peers.json"]
    ledger.unlink()
    with pytest.raises(ComponentError, match="holds 0 charge"):
        peer.remember(state(owner))


def test_equal_charges_have_unlike_hashes_so_that_nobody_guesses_them(owner, tmp_path) -> None:
    other = LedgerFolder(tmp_path / "bank_c")
    for each in (owner, other):
        charged(each, 1)
    assert state(owner)["bank_a"]["hashes"] != state(other)["bank_a"]["hashes"]
    assert state(owner)["bank_a"]["ledger"] != state(other)["bank_a"]["ledger"], "a name that says nothing"


@pytest.mark.parametrize("name, message", [("key", "key is damaged"), ("peers.json", "peers.json is damaged")])
def test_what_is_damaged_is_refused(owner, tmp_path, name, message) -> None:
    charged(owner, 1)
    owner.remember(state(owner))
    (tmp_path / "bank_a" / name).write_bytes(b"[1]")
    with pytest.raises(ComponentError, match=message):
        owner.remember(state(owner))


def test_a_missing_key_does_not_make_a_fresh_budget(owner, tmp_path) -> None:
    charged(owner, 1)
    (tmp_path / "bank_a" / "key").unlink()
    with pytest.raises(ComponentError, match="key is missing"):
        owner.budget(PEOPLE, TERMS)


def test_only_the_owner_may_read_it(owner, tmp_path) -> None:
    charged(owner, 1)
    owner.remember(state(owner))
    assert stat.S_IMODE((tmp_path / "bank_a").stat().st_mode) == 0o700
    for name in ("key", "peers.json"):
        assert stat.S_IMODE((tmp_path / "bank_a" / name).stat().st_mode) == 0o600
