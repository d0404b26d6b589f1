"""Who was charged where: every person of a party's tables, and the budget ledgers that the person is in.

A budget protects people, not tables. So what a training may still spend is what is left to the one among its people
who has been charged most, whatever other tables that person was in before: with one row more or less, another
selection, another column. The register keeps, per person, the set of ledgers (equal sets once). It stays in its owner's
folder and is never sent.

A person is known by `marks`: by the ID columns where a table declares them, however they are written (case, width,
signs between, leading zeros do not count); else by the values of the row, to 7 digits. A table without IDs is therefore
compared on the columns of every earlier one that it still has: columns added change nothing.
Not seen: rows without IDs of which a column is gone or values have changed; a person under another ID.

Reference  Feldman and Zrnic 2021, "Individual privacy accounting via a Renyi filter" (the idea that each person has an
           account); here a charge is the same for all people of a training, so only sets of ledgers are kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from veilflow.components.errors import ComponentError

VERSION = 1
BY_ID, BARE, KNOWN = "id", "bare", "known"
"""What a mark was made of: IDs; values of a row without IDs; values of a row that has IDs as well."""
_ALIKE = ""
"""In place of a ledger's name: marks of kind `KNOWN`, where rows without IDs look, and nobody with an ID does."""
Columns = tuple[str, ...]
View = tuple[str, Columns]
Hashes = Callable[[Columns], np.ndarray]
"""(names of columns, sorted) -> a hash of each row's values in them, uint64 (rows,); () is the IDs'."""


@dataclass(frozen=True)
class People:
    """The people of one table or image set, at its party.

    Args:
        digest: names them as a set, in any order.
        columns: of values, sorted; ``("",)`` for what is no table.
        has_ids: whether IDs are declared.
        hashes: see `Hashes`.
    """

    digest: str
    columns: Columns
    has_ids: bool
    hashes: Hashes

    def views(self, known: Iterable[View]) -> tuple[list[View], list[View]]:
        """By which views these people are looked for among those ``known``, and by which they are entered."""
        own = set(self.columns)
        fit = [view for view in known if view[0] != BY_ID and own.issuperset(view[1])]
        if self.has_ids:
            # Who had IDs before is not looked for by values: two people may well have the same.
            return [(BY_ID, ()), *(view for view in fit if view[0] == BARE)], [(BY_ID, ()), (KNOWN, self.columns)]
        return list(dict.fromkeys([(BARE, self.columns), *fit])), [(BARE, self.columns)]


@dataclass(frozen=True)
class Register:
    """What one folder of ledgers knows of its people."""

    marks: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Sorted, uint64 (n,): keyed, so that they say nothing without the folder's key."""
    group: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """int32 (n,): the entry of ``groups`` that a mark is in."""
    groups: tuple[Columns, ...] = ()
    """Sets of ledgers' names, and `_ALIKE` in those of marks that several people may have."""
    views: tuple[View, ...] = ()
    heads: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    """Ledger -> how many charges it held when that was last stated, and the hash of the last one."""
    stated: tuple[str, ...] = ()
    """Random numbers, one per statement to others: who remembers one knows that this register is not older."""

    def sets_with(self, ledger: str) -> list[frozenset[str]]:
        """Of the people in ``ledger``: the sets of other ledgers that they are in, but for parts of another set."""
        mine = [group for group in self.groups if ledger in group and _ALIKE not in group]
        sets = {frozenset(group) - {ledger} for group in mine} or {frozenset()}
        return [one for one in sets if not any(one < other for other in sets)]

    def enter(self, ledger: str, people: People, key: bytes) -> Register:
        """The register with ``people`` in ``ledger``, besides all that they were in."""
        looked, entered = people.views(self.views)
        made = {view: marks(people.hashes(view[1]), view, key) for view in dict.fromkeys([*looked, *entered])}
        before = {view: self._groups_of(made[view]) for view in made}
        kinds, rows = _kinds([before[view] for view in looked])
        groups = list(self.groups)
        number = {names: at for at, names in enumerate(groups)}

        def place(names: Iterable[str]) -> int:
            names = tuple(sorted(set(names)))
            if names not in number:
                number[names] = len(groups)
                groups.append(names)
            return number[names]

        names = [[ledger, *(n for g in kind if g >= 0 for n in self.groups[g] if n != _ALIKE)] for kind in kinds]
        person = np.array([place(each) for each in names], np.int32)[rows]
        alike = np.array([place([_ALIKE, *each]) for each in names], np.int32)[rows]
        parts = []
        for view, some in made.items():
            there, chosen = before[view] >= 0, alike if view[0] == KNOWN else person
            parts.append((some, chosen) if view in entered else (some[there], chosen[there]))
            if view not in looked:  # such a mark may be another person's, with the same values: it stays in what it was
                parts.append((some[there], before[view][there]))
        fresh, group = _united(
            np.concatenate([each for each, _ in parts]),
            np.concatenate([numbers for _, numbers in parts]),
            lambda some: place(name for each in some for name in groups[each]),
        )
        kept = ~_within(self.marks, fresh)
        together, grouped = np.concatenate([self.marks[kept], fresh]), np.concatenate([self.group[kept], group])
        order = np.argsort(together, kind="stable")
        views = tuple(dict.fromkeys([*self.views, *entered]))
        heads = {**self.heads, ledger: self.heads.get(ledger, (0, ""))}
        changed = replace(self, marks=together[order], group=grouped[order].astype(np.int32), views=views, heads=heads)
        return changed._pruned(groups)

    def _groups_of(self, some: np.ndarray) -> np.ndarray:
        """Per mark its group; -1 where it is not known."""
        if not self.marks.size:
            return np.full(some.shape, -1, np.int32)
        at = _places(self.marks, some)
        return np.asarray(np.where(self.marks[at] == some, self.group[at], np.int32(-1)))

    def _pruned(self, groups: Sequence[Columns]) -> Register:
        used, group = np.unique(self.group, return_inverse=True)
        return replace(self, group=group.astype(np.int32), groups=tuple(groups[at] for at in used))


def marks(hashes: np.ndarray, view: View, key: bytes) -> np.ndarray:
    """Keyed 64-bit names of rows: AES of one block each, of the row's hash and what it is a hash of."""
    tag = hashlib.sha256(json.dumps([view[0], list(view[1])]).encode()).digest()[:8]
    blocks = np.empty((len(hashes), 2), np.uint64)
    blocks[:, 0], blocks[:, 1] = hashes, np.frombuffer(tag, np.uint64)[0]
    secret = hmac.new(key, b"people", hashlib.sha256).digest()[:16]
    cipher = Cipher(
        algorithms.AES(secret), modes.ECB()
    ).encryptor()  # a permutation of single blocks: no mode is needed
    marks: np.ndarray = np.frombuffer(cipher.update(blocks.tobytes()), np.uint64).reshape(-1, 2)[:, 0].copy()
    return marks


def read(path: Path, people: bool = True) -> Register | None:
    """The register in a file; None where there is none.

    Args:
        people: False: without marks, which a million people have 12 MB of.

    Raises:
        ComponentError: it is damaged, or of a newer version.
    """
    try:
        with path.open("rb") as file:
            document, body = json.loads(file.readline()), file.read() if people else b""
        if document["version"] != VERSION:
            raise ComponentError(
                f"budget: {path.name} is of version {document['version']}, this VeilFlow reads {VERSION}: use a newer."
            )
        if people and hashlib.sha256(body).hexdigest() != document["people"]:
            raise ValueError("body")
        count = int(document["count"]) if people else 0
        return Register(
            np.frombuffer(body[: 8 * count], np.uint64),
            np.frombuffer(body[8 * count :], np.int32),
            tuple(tuple(each) for each in document["groups"]),
            tuple((str(kind), tuple(columns)) for kind, columns in document["views"]),
            {name: (int(number), str(last)) for name, (number, last) in document["heads"].items()},
            tuple(document["stated"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ComponentError(
            f"budget: {path.name} is damaged; restore the folder's newest copy. Without it nobody knows whose budget "
            "was spent."
        ) from None


def written(register: Register) -> bytes:
    """The content of a file for `read`."""
    body = register.marks.tobytes() + register.group.astype(np.int32).tobytes()
    document = {
        "version": VERSION,
        "count": int(register.marks.size),
        "people": hashlib.sha256(body).hexdigest(),
        "groups": register.groups,
        "views": register.views,
        "heads": register.heads,
        "stated": register.stated,
    }
    return json.dumps(document).encode() + b"\n" + body


def _united(
    names: np.ndarray, group: np.ndarray, join: Callable[[Sequence[int]], int]
) -> tuple[np.ndarray, np.ndarray]:
    """Each mark once, with its group; of rows that share a mark and are in different groups, with their union."""
    order = np.argsort(names, kind="stable")
    names, group = names[order], group[order]
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1])) if names.size else np.zeros(0, np.int64)
    ends = np.append(starts[1:], names.size)
    low, high = np.minimum.reduceat(group, starts), np.maximum.reduceat(group, starts)
    found = low.astype(np.int32)
    owner = np.repeat(np.arange(starts.size), ends - starts)
    more = np.zeros(starts.size, bool)
    more[owner[(group != low[owner]) & (group != high[owner])]] = True
    # Nearly all that are in several groups are in two, and the pairs are few.
    two = np.flatnonzero((low != high) & ~more)
    pairs, which = np.unique(low[two].astype(np.int64) << 32 | high[two], return_inverse=True)
    found[two] = np.array([join([int(pair) >> 32, int(pair) & 0xFFFFFFFF]) for pair in pairs], np.int32)[which]
    for at in np.flatnonzero(more):
        found[at] = join(np.unique(group[starts[at] : ends[at]]).tolist())
    return names[starts], found


def _kinds(groups: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The different rows of the table with these columns, and which of them each row is."""
    rows = np.zeros(len(groups[0]), np.int64)
    for each in groups:
        _, rows = np.unique(rows * (int(each.max(initial=-1)) + 2) + each + 1, return_inverse=True)
    _, first = np.unique(rows, return_index=True)
    return np.stack([each[first] for each in groups], axis=1), rows


def _places(ordered: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Where each of ``some`` is, or would be, in a table that is in order. Both in order is much faster to look up."""
    order = np.argsort(some, kind="stable")
    at = np.empty(some.size, np.int64)
    at[order] = np.minimum(np.searchsorted(ordered, some[order]), ordered.size - 1)
    return at


def _within(some: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    if not ordered.size:
        return np.zeros(some.shape, bool)
    found: np.ndarray = ordered[_places(ordered, some)] == some
    return found
