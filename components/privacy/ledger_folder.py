"""Where a party keeps its budget ledgers, and what it remembers of the other parties'.

    folder = LedgerFolder(data_root / FOLDER)
    budget = folder.budget(digest, terms)                 # the ledger of these people's rows
    folder.remember({"bank_b": statement_of_bank_b})      # raises if bank_b's ledger went back

Files        in a folder of mode 0700: ``key`` (32 random bytes); a ledger per set of people, named by a keyed digest
             that says nothing; ``peers.json``: per party and ledger the last head that it stated.
Guarantees   (tests) a party whose ledger lacks a charge that another one has seen, or whose whole folder is new, is
             refused by all that remember it.
Not covered  parties that never trained with it before; an owner who forges a chain of hashes; other selections of the
             same people (another split): they have a ledger of their own.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.privacy.ledger import Budget, BudgetTerms

FOLDER = ".privacy_budget"
_KEY, _PEERS, _LOCK = "key", "peers.json", "lock"
Statement = dict[str, Any]
"""``folder`` and ``ledger``: random-looking names; ``hashes``: of the charges, oldest first. Public."""


class LedgerFolder:
    """One party's ledgers below ``folder``, which is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)

    def budget(self, digest: str, terms: BudgetTerms) -> Budget:
        """The ledger of the people with this ``digest``.

        Raises:
            ComponentError: it is damaged, or counts by other terms.
        """
        return Budget(self._folder / f"{self._name(digest)}.json", terms)

    def statement(self, digest: str, budget: Budget) -> Statement:
        """What the others may remember: how many charges there are, each behind a hash with random salt."""
        return {"folder": self._name(""), "ledger": self._name(digest), "hashes": budget.hashes()}

    def remember(self, stated: Mapping[str, Statement]) -> None:
        """Compare parties' statements with their last ones, and keep them.

        Raises:
            ComponentError: a ledger lacks charges that were stated before, or is another one.
        """
        with self._locked():
            known = self._peers()
            for party, said in stated.items():
                known[party] = _compared(party, said, known.get(party))
            _replace(self._folder / _PEERS, json.dumps(known, sort_keys=True).encode())

    def _peers(self) -> dict[str, Any]:
        try:
            found = json.loads((self._folder / _PEERS).read_text())
            return {
                party: {"folder": str(each["folder"]), "heads": dict(each["heads"])} for party, each in found.items()
            }
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError, KeyError):
            raise ComponentError(f"budget: {FOLDER}/{_PEERS} is damaged; restore its newest copy.") from None

    def _name(self, digest: str) -> str:
        with self._locked():
            path = self._folder / _KEY
            if not path.exists():
                if any(each.name != _PEERS for each in self._folder.glob("*.json")):
                    raise ComponentError(f"budget: {FOLDER}/{_KEY} is missing; restore the folder's newest copy.")
                _replace(path, secrets.token_bytes(32))
            key = path.read_bytes()
        if len(key) != 32:
            raise ComponentError(f"budget: {FOLDER}/{_KEY} is damaged; restore the folder's newest copy.")
        return hmac.new(key, digest.encode(), hashlib.sha256).hexdigest()[:32]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _compared(party: str, said: Statement, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known of ``party`` after ``said``."""
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
    return {"folder": said["folder"], "heads": {**heads, said["ledger"]: [len(hashes), hashes[-1] if hashes else ""]}}


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
