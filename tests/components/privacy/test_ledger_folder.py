"""A budget ledger that went back, or was exchanged, is noticed by every party that remembers it."""

import shutil
import stat
from typing import Any

import numpy as np
import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.accountant import Charge
from veilflow.components.privacy.ledger import BudgetTerms
from veilflow.components.privacy.ledger_folder import FOLDER, LedgerFolder
from veilflow.components.privacy.people import People

TERMS = BudgetTerms("record", 1e-5, 50.0)


def some(first: int, count: int = 5) -> People:
    """People with the IDs ``first`` and following."""
    ids = np.arange(first, first + count).astype(np.uint64)
    return People(f"{first} to {first + count}", ("age",), True, lambda columns: ids + np.uint64(1000 * bool(columns)))


PEOPLE, OTHERS = some(0), some(100)


def charged(folder: LedgerFolder, count: int, people: People = PEOPLE) -> None:
    budget = folder.budget(people, TERMS)
    for number in range(count):
        budget.charge(f"rounds {number}", [Charge(4.0)])


def state(folder: LedgerFolder, people: People = PEOPLE, peer: LedgerFolder | None = None) -> dict[str, Any]:
    """What bank a states, to a peer that says what it remembers."""
    numbers = peer.recalled(["bank_a"]).values() if peer is not None else ()
    return {"bank_a": folder.statement(people, folder.budget(people, TERMS), numbers)}


@pytest.fixture
def owner(tmp_path):
    return LedgerFolder(tmp_path / "bank_a")


@pytest.fixture
def peer(tmp_path):
    return LedgerFolder(tmp_path / "bank_b")


def test_a_ledger_that_grows_is_remembered(owner, peer) -> None:
    for _ in range(3):
        peer.remember(state(owner, PEOPLE, peer))
        charged(owner, 2)
    assert len(state(owner)["bank_a"]["hashes"]) == 6


def test_a_ledger_restored_from_an_old_copy_is_noticed(owner, peer, tmp_path) -> None:
    charged(owner, 1)
    peer.remember(state(owner, PEOPLE, peer))
    shutil.copytree(tmp_path / "bank_a", tmp_path / "backup")
    charged(owner, 2)
    peer.remember(state(owner, PEOPLE, peer))  # the newest statement is what counts
    shutil.rmtree(tmp_path / "bank_a")
    shutil.copytree(tmp_path / "backup", tmp_path / "bank_a")
    with pytest.raises(ComponentError, match=r"ledger of bank_a holds 1 charge\(s\), 3 others are remembered here"):
        peer.remember(state(owner, PEOPLE, peer))
    charged(owner, 5)
    with pytest.raises(ComponentError, match="6 charge"):
        peer.remember(state(owner, PEOPLE, peer))  # longer than it was, but by other charges


def test_a_new_folder_of_ledgers_is_noticed(owner, peer, tmp_path) -> None:
    charged(owner, 1)
    peer.remember(state(owner, PEOPLE, peer))
    shutil.rmtree(tmp_path / "bank_a")
    with pytest.raises(
        ComponentError, match=f"bank_a has another folder of ledgers .* remove {FOLDER}/peers.json here"
    ):
        peer.remember(state(owner, PEOPLE, peer))


def test_ledgers_of_other_people_stand_beside_it(owner, peer) -> None:
    charged(owner, 3)
    peer.remember(state(owner, PEOPLE, peer))
    peer.remember(state(owner, OTHERS, peer))
    charged(owner, 1, OTHERS)
    peer.remember(state(owner, OTHERS, peer))
    peer.remember(state(owner, PEOPLE, peer))


def test_a_single_ledger_that_is_deleted_is_noticed(owner, peer, tmp_path) -> None:
    charged(owner, 2)
    peer.remember(state(owner, PEOPLE, peer))
    (ledger,) = [each for each in (tmp_path / "bank_a").glob("*.json") if each.name != "peers.json"]
    ledger.unlink()
    with pytest.raises(ComponentError, match="holds 0 charge"):
        peer.remember(state(owner, PEOPLE, peer))


def test_an_old_copy_is_noticed_also_where_the_people_are_not_the_ones_of_before(owner, peer, tmp_path) -> None:
    """The ledger of a set with one person more is new: its own head says nothing of what was forgotten."""
    charged(owner, 1)
    peer.remember(state(owner, PEOPLE, peer))
    shutil.copytree(tmp_path / "bank_a", tmp_path / "backup")
    charged(owner, 3, some(0, 6))
    peer.remember(state(owner, some(0, 6), peer))
    shutil.rmtree(tmp_path / "bank_a")
    shutil.copytree(tmp_path / "backup", tmp_path / "bank_a")
    with pytest.raises(ComponentError, match="bank_a does not know what it last stated of its ledgers"):
        peer.remember(state(owner, some(0, 7), peer))


def test_a_peer_is_asked_before_and_what_it_hears_meanwhile_is_no_matter(owner, peer) -> None:
    peer.remember(state(owner, PEOPLE, peer))
    asked = peer.recalled(["bank_a"])
    stated = {"bank_a": owner.statement(PEOPLE, owner.budget(PEOPLE, TERMS), asked.values())}
    peer.remember(state(owner, OTHERS, peer))  # by another run
    peer.remember(stated, asked)


def test_a_ledger_that_lacks_what_its_folder_has_stated_is_refused_by_its_owner(owner, peer, tmp_path) -> None:
    charged(owner, 1)
    (ledger,) = [each for each in (tmp_path / "bank_a").glob("*.json") if each.name != "peers.json"]
    old = ledger.read_bytes()
    charged(owner, 2)
    peer.remember(state(owner, PEOPLE, peer))
    ledger.write_bytes(old)
    with pytest.raises(ComponentError, match=r"holds 1 charge\(s\), and 3 were stated"):
        owner.budget(some(0, 6), TERMS)


def test_equal_charges_have_unlike_hashes_so_that_nobody_guesses_them(owner, tmp_path) -> None:
    other = LedgerFolder(tmp_path / "bank_c")
    for each in (owner, other):
        charged(each, 1)
    assert state(owner)["bank_a"]["hashes"] != state(other)["bank_a"]["hashes"]
    assert state(owner)["bank_a"]["ledger"] != state(other)["bank_a"]["ledger"], "a name that says nothing"


@pytest.mark.parametrize("name", ["key", "peers.json", "people.bin"])
def test_what_is_damaged_is_refused(owner, tmp_path, name) -> None:
    charged(owner, 1)
    owner.remember(state(owner))
    (tmp_path / "bank_a" / name).write_bytes(b"[1]")
    with pytest.raises(ComponentError, match=f"{name} is damaged"):
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
    for name in ("key", "peers.json", "people.bin"):
        assert stat.S_IMODE((tmp_path / "bank_a" / name).stat().st_mode) == 0o600
