"""The ledger on a holder's own disk: a key, and a book that cannot be rolled back unnoticed.

Files        in a folder of mode 0700: ``key`` (32 random bytes, mode 0600) and ``book.json`` (`document`, and a MAC
             over it under the key, mode 0600). Sketches are keyed, so the book alone names nobody.
Atomic       a new book is written beside the old one, flushed to disk and moved over it; a run that dies at any moment
             leaves the old or the new one. Two runs at a time wait for each other.
Refused      a book that is missing though there is a key, that was changed, or that has fewer entries than the count
             which is kept beside it (``entered``, which only grows).
Not covered  an operator that removes the whole folder: partners then see another key, and refuse (`book`).
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from veilflow.components.alignment.ledger.book import Book
from veilflow.components.alignment.ledger.document import from_json, to_json
from veilflow.components.errors import ComponentError

_KEY, _BOOK, _COUNT, _LOCK = "key", "book.json", "entered", "lock"


class LedgerStore:
    """A holder's ledger in ``folder``, which is made if it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def key(self) -> bytes:
        """The holder's key; drawn at the first call."""
        with self._locked():
            return self._key()

    def update(self, change: Callable[[Book], Book]) -> None:
        """Replace the book by ``change(book)``, on disk before this returns; if it raises, nothing changes.

        Raises:
            ComponentError: of ``change``; the ledger is missing or was changed.
        """
        with self._locked():
            key = self._key()
            before = self._read(key)
            after = change(before)
            self._write(key, after, self._count() + 1)

    def book(self) -> Book:
        """The book as it is."""
        with self._locked():
            return self._read(self._key())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / _LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _key(self) -> bytes:
        path = self._folder / _KEY
        if not path.exists():
            if self._count() > 1:
                raise ComponentError("run ledger: its key is missing; restore the ledger folder from a backup.")
            # The key last: as long as it is not there nobody has used the ledger, and it is begun anew.
            key = secrets.token_bytes(32)
            self._write(key, Book(), 1)
            self._replace(_KEY, key)
        raw = path.read_bytes()
        if len(raw) != 32:
            raise ComponentError("run ledger: its key is damaged; restore the ledger folder from a backup.")
        return raw

    def _count(self) -> int:
        path = self._folder / _COUNT
        return int(path.read_text()) if path.exists() else 0

    def _read(self, key: bytes) -> Book:
        try:
            document = json.loads((self._folder / _BOOK).read_text())
            body, mac = document["body"], bytes.fromhex(document["mac"])
            count = self._count()
        except (OSError, ValueError, KeyError, TypeError):
            raise ComponentError(
                "run ledger: the book of earlier runs is missing or damaged; restore the ledger folder from a backup."
            ) from None
        if not hmac.compare_digest(mac, _mac(key, body)):
            raise ComponentError("run ledger: the book of earlier runs was changed; restore it from a backup.")
        content = json.loads(body)
        if content["entered"] < count:
            raise ComponentError("run ledger: the book is older than the last run; restore the newest one.")
        return from_json(content["book"])

    def _write(self, key: bytes, book: Book, entered: int) -> None:
        body = json.dumps({"entered": entered, "book": to_json(book)}, sort_keys=True)
        self._replace(_BOOK, json.dumps({"body": body, "mac": _mac(key, body).hex()}).encode())
        self._replace(_COUNT, str(entered).encode())

    def _replace(self, name: str, content: bytes) -> None:
        fresh = self._folder / f".{name}.{secrets.token_hex(8)}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as sink:
                sink.write(content)
                sink.flush()
                os.fsync(sink.fileno())
            fresh.replace(self._folder / name)
        finally:
            fresh.unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _mac(key: bytes, body: str) -> bytes:
    return hashlib.blake2b(body.encode(), key=key, digest_size=32, person=b"vf ledger book").digest()
