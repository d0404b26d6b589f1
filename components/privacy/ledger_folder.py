"""Where a party keeps its budget ledgers, and what it remembers of the other parties'.

    folder = LedgerFolder(data_root / FOLDER)
    budget = folder.budget(people, terms)                 # what is left to these people, and where it is charged
    folder.remember({"bank_b": statement_of_bank_b})      # raises if bank_b's ledger went back

Files        in a folder of mode 0700: ``key`` (32 random bytes); a ledger per set of people, named by a keyed digest
             that says nothing; ``people.bin``: which ledgers each person is in (see `people`); ``peers.json``: per
             party the last head of each ledger that it stated, and the last number of its register.
Guarantees   (tests) near-equal sets of people spend one budget. A party whose ledger lacks a charge that another one
             has seen, whose whole folder is new, or is an old copy, is refused by all that remember it; a ledger that
             lacks charges which its own folder has stated is refused by its owner.
Not covered  parties that never trained with it before; an owner who forges a chain of hashes; what `people` does not
             see. A ledger of before `people.bin` was kept counts against everybody until its own people come again.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.privacy import people as registers
from veilflow.components.privacy.ledger import Budget, BudgetTerms
from veilflow.components.privacy.people import People, Register

FOLDER = ".privacy_budget"
_KEY, _PEERS, _LOCK, _PEOPLE = "key", "peers.json", "lock", "people.bin"
Statement = dict[str, Any]
"""``folder`` and ``ledger``: random-looking names; ``hashes``: of the charges, oldest first; ``number``: random, new in
every statement; ``recognised``: of the numbers that others remember, those that are known. Public."""


class LedgerFolder:
    """One party's ledgers below ``folder``, which is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)

    def budget(self, people: People, terms: BudgetTerms) -> Budget:
        """The ledger of these people as a set; what they were charged in others counts, person by person.

        Raises:
            ComponentError: one of the ledgers is damaged, lacks charges, or counts by other terms.
        """
        name = self._name(people.digest)
        with self._locked():
            register = self._register().enter(name, people, self._key())
            _replace(self._folder / _PEOPLE, registers.written(register))
        return Budget(self._path(name), terms, lambda: self._others(name))

    def statement(self, people: People, budget: Budget, recalled: Iterable[str] = ()) -> Statement:
        """What the others may remember: how many charges there are, each behind a hash with random salt.

        Args:
            recalled: the numbers that others remember of this folder's last statements to them.
        """
        name, hashes = self._name(people.digest), budget.hashes()
        with self._locked():
            register, number = self._register(), secrets.token_hex(16)
            known = sorted(set(recalled) & set(register.stated))
            heads = {**register.heads, name: (len(hashes), hashes[-1] if hashes else "")}
            changed = replace(register, heads=heads, stated=(*register.stated, number))
            _replace(self._folder / _PEOPLE, registers.written(changed))
        return {"folder": self._name(""), "ledger": name, "hashes": hashes, "number": number, "recognised": known}

    def recalled(self, parties: Iterable[str]) -> dict[str, str]:
        """Per party the number of its last statement, where one is remembered."""
        with self._locked():
            known = self._peers()
        return {party: known[party]["number"] for party in parties if party in known and known[party]["number"]}

    def remember(self, stated: Mapping[str, Statement], asked: Mapping[str, str] | None = None) -> None:
        """Compare parties' statements with their last ones, and keep them.

        Args:
            asked: what `recalled` said before they were made; None: what is remembered now.

        Raises:
            ComponentError: a ledger lacks charges that were stated before, or is another one; a folder is an old copy.
        """
        with self._locked():
            known = self._peers()
            for party, said in stated.items():
                before = known.get(party)
                number = before["number"] if before and asked is None else (asked or {}).get(party, "")
                known[party] = _compared(party, said, before, number)
            _replace(self._folder / _PEERS, json.dumps(known, sort_keys=True).encode())

    def _others(self, name: str) -> list[list[Path]]:
        """Per kind of person in the ledger ``name``: the other ledgers that count for it.

        Raises:
            ComponentError: one of them, or this one, lacks charges that were stated.
        """
        register = registers.read(self._folder / _PEOPLE, people=False) or Register()
        sets = register.sets_with(name)
        for each in {name}.union(*sets):
            count, last = register.heads.get(each, (0, ""))
            hashes = Budget.read_hashes(self._path(each))
            if count and (len(hashes) < count or hashes[count - 1] != last):
                raise ComponentError(
                    f"budget: {FOLDER}/{each}.json holds {len(hashes)} charge(s), and {count} were stated to others. "
                    "It was replaced, deleted or restored from an old copy; restore the folder's newest one."
                )
        nameless = [path.stem for path in self._ledgers() if path.stem not in register.heads]
        return [[self._path(each) for each in sorted({*one, *nameless})] for one in sets]

    def _register(self) -> Register:
        return registers.read(self._folder / _PEOPLE) or Register()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _ledgers(self) -> list[Path]:
        return [each for each in self._folder.glob("*.json") if each.name != _PEERS]

    def _peers(self) -> dict[str, Any]:
        try:
            found = json.loads((self._folder / _PEERS).read_text())
            return {
                party: {
                    "folder": str(each["folder"]),
                    "heads": dict(each["heads"]),
                    "number": str(each.get("number", "")),
                }
                for party, each in found.items()
            }
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError, KeyError):
            raise ComponentError(f"budget: {FOLDER}/{_PEERS} is damaged; restore its newest copy.") from None

    def _name(self, digest: str) -> str:
        with self._locked():
            key = self._key()
        return hmac.new(key, digest.encode(), hashlib.sha256).hexdigest()[:32]

    def _key(self) -> bytes:
        path = self._folder / _KEY
        if not path.exists():
            if self._ledgers() or (self._folder / _PEOPLE).exists():
                raise ComponentError(f"budget: {FOLDER}/{_KEY} is missing; restore the folder's newest copy.")
            _replace(path, secrets.token_bytes(32))
        key = path.read_bytes()
        if len(key) != 32:
            raise ComponentError(f"budget: {FOLDER}/{_KEY} is damaged; restore the folder's newest copy.")
        return key

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _compared(party: str, said: Statement, before: Mapping[str, Any] | None, number: str) -> dict[str, Any]:
    """What is known of ``party`` after ``said``, which must recognise ``number``."""
    hashes = [str(each) for each in said["hashes"]]
    if before is not None and before["folder"] != said["folder"]:
        raise ComponentError(
            f"budget: {party} has another folder of ledgers than in earlier runs; a new one forgets what was spent. "
            f"Restore the newest copy of {FOLDER} at {party}, or agree to start anew: remove {FOLDER}/{_PEERS} here."
        )
    heads = dict(before["heads"]) if before is not None else {}
    count, digest = heads.get(said["ledger"], (0, ""))
    if count and (len(hashes) < count or hashes[count - 1] != digest):
        raise ComponentError(
            f"budget: the ledger of {party} holds {len(hashes)} charge(s), {count} others are remembered here. It was "
            f"replaced or restored from an old copy; restore the newest one at {party}."
        )
    if number and number not in said["recognised"]:
        raise ComponentError(
            f"budget: {party} does not know what it last stated of its ledgers: {FOLDER} there is an old copy, which "
            f"forgets what was spent on people that are in other ledgers as well. Restore the newest one at {party}."
        )
    last = [len(hashes), hashes[-1] if hashes else ""]
    return {"folder": said["folder"], "heads": {**heads, said["ledger"]: last}, "number": str(said["number"])}


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
