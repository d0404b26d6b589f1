"""SecretFlow's PSI library on a link between two parties, with the library's leaks closed.

What the library does on its own, and what is done about it here:

- It sends the other party a plain SHA-256 of all keys in file order. For small sets that can be guessed. It gets
  pseudonyms instead of IDs, in a random order, with one random decoy among them, which makes the hash worthless.
- It reads, sorts and writes whole CSV files. It gets pseudonyms and row numbers alone; no other column passes through.
- It leaves keys in files under the system's temporary folder until the process ends. It is pointed to a folder of
  mode 0700, which is removed.
- It hands file names to a shell. Every folder it gets is named by `shell_safe`.
- With repeated keys the parties' counts differ. Keys must be distinct.

An error that reaches the library from the link (a lost party, a timeout) can end the whole process instead of becoming
an exception: link and PSI are two shared libraries that each carry their own copy of the code that unwinds the stack.
Whatever watches the process reports that.
One trace of about 2 kB with times and no data stays in ``/tmp`` per call: the library offers no way to switch it off.
"""

import os
import re
import secrets
import shutil
import string
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pa_csv
import spu.psi as library

from veilflow.components.alignment.anonymous.permutation import random_order
from veilflow.components.devices.link import lost_peer
from veilflow.components.devices.shell_safe import is_plain, plain_path
from veilflow.components.errors import ComponentError

_ALPHABET = (string.ascii_letters + string.digits + "-_").encode()
_PAIRS = np.frombuffer(b"".join(bytes((one, other)) for other in _ALPHABET for one in _ALPHABET), np.uint16)
_PLACES = [(word, np.uint64(12 * at)) for word, pairs in ((0, 5), (1, 3)) for at in range(pairs)]
"""Where the 12 bits of each pair of letters stand."""
_LETTERS = 15
"""As many as the library's strings hold without memory of their own, which saves a fifth of its time; two people of n
and m have the same 90 bits with a chance of n m / 2^90."""
_DIGITS = np.frombuffer(b"".join(b"%04d" % each for each in range(10_000)), np.uint32)
_PIECE = 1 << 18
"""Rows written at a time."""
_TMPDIR = threading.Lock()


def intersect(
    link: Any,
    base: Path,
    marks: np.ndarray,
    protocol: str,
    receiver_rank: int,
    broadcast: bool,
    hidden: Callable[[], None] = lambda: None,
) -> np.ndarray | None:
    """Run a PSI as one of its two parties; the other calls this too.

    Args:
        link: connected, two parties.
        base: an existing folder of this party; a private one is made in it and removed.
        marks: this party's people, distinct: uint64, shape (n, 2), pseudo-random, the same for a person at both
            parties. 90 of the 128 bits are compared.
        protocol: ``RR22``, ``KKRT`` or ``ECDH``.
        receiver_rank: who gets the result, if only one does.
        broadcast: both get it.
        hidden: told once the people lie among their decoy.

    Returns:
        int64, ascending: positions of the people that the other party has, too; None for a party that gets no result.

    Raises:
        ComponentError: the other party did not answer in time, or the library failed.
    """
    receives = broadcast or link.rank == receiver_rank
    with _private_folder(base) as folder, _temporary_files_in(folder):
        if _write(folder / "in.csv", marks) == len(marks) + 1:
            hidden()
        try:
            library.psi_execute(_config(folder, protocol, receiver_rank, broadcast), link)
        except RuntimeError as error:
            raise ComponentError(_why(error, protocol)) from None
        return _read(folder / "out.csv", len(marks)) if receives else None


def join_files(link: Any, source: Path, target: Path, column: str, protocol: str) -> None:
    """The bare library, for comparison: join two CSV files by ``column``, CSV out at both parties, no leak closed.

    Raises:
        ComponentError: as `intersect`.
    """
    if not all(is_plain("/" / Path(path.name)) for path in (source, target)):
        raise ComponentError("the library hands file names to a shell: use letters, digits, _, - and . in them.")
    with plain_path(source.parent) as reads, plain_path(target.parent) as writes:
        config = library.PsiExecuteConfig(
            protocol_conf=_protocol(protocol, 0, True),
            input_params=library.InputParams(path=str(reads / source.name), selected_keys=[column], keys_unique=True),
            output_params=library.OutputParams(path=str(writes / target.name)),
            join_conf=library.ResultJoinConfig(type=library.ResultJoinType.JOIN_TYPE_INNER_JOIN, left_side_rank=0),
        )
        try:
            library.psi_execute(config, link)
        except RuntimeError as error:
            raise ComponentError(_why(error, protocol)) from None


def _protocol(protocol: str, receiver_rank: int, broadcast: bool) -> Any:
    return library.PsiProtocolConfig(
        protocol=library.parse_protocol(f"PROTOCOL_{protocol}"),
        receiver_rank=receiver_rank,
        broadcast_result=broadcast,
        ecdh_params=library.EcdhParams(curve=library.EllipticCurveType.CURVE_25519),
    )


def _config(folder: Path, protocol: str, receiver_rank: int, broadcast: bool) -> Any:
    return library.PsiExecuteConfig(
        protocol_conf=_protocol(protocol, receiver_rank, broadcast),
        input_params=library.InputParams(path=str(folder / "in.csv"), selected_keys=["key"], keys_unique=True),
        # We order the rows ourselves (alignment/order.py).
        output_params=library.OutputParams(path=str(folder / "out.csv"), disable_alignment=True),
        join_conf=library.ResultJoinConfig(
            type=library.ResultJoinType.JOIN_TYPE_INNER_JOIN, left_side_rank=receiver_rank
        ),
    )


def _write(path: Path, marks: np.ndarray) -> int:
    """People as letters with their position, in a random order, the decoy somewhere; returns the rows written."""
    decoy = np.frombuffer(secrets.token_bytes(16), np.uint64)
    listed = np.concatenate([marks, decoy[None]])
    order, fours = random_order(len(listed)), 1 + len(str(len(marks))) // 4
    with path.open("wb") as sink:
        sink.write(b"key,row\n")
        for start in range(0, len(order), _PIECE):
            chosen = order[start : start + _PIECE]
            sink.write(_lines(listed[chosen], chosen, fours))
    return len(order)


def _lines(marks: np.ndarray, rows: np.ndarray, fours: int) -> memoryview:
    """CSV lines of equal length: 15 letters, a comma, the row in ``4 * fours`` digits."""
    letters = np.empty((len(rows), len(_PLACES)), np.uint16)
    for at, (word, bits) in enumerate(_PLACES):
        letters[:, at] = _PAIRS[(marks[:, word] >> bits) & np.uint64(4095)]
    digits = np.empty((len(rows), fours), np.uint32)
    left = rows
    for at in reversed(range(fours)):
        left, four = np.divmod(left, 10_000)
        digits[:, at] = _DIGITS[four]
    out = np.empty((len(rows), _LETTERS + 1 + 4 * fours + 1), np.uint8)
    out[:, :_LETTERS] = letters.view(np.uint8)[:, :_LETTERS]
    out[:, _LETTERS] = ord(",")
    out[:, _LETTERS + 1 : -1] = digits.view(np.uint8)
    out[:, -1] = ord("\n")
    return out.data


def _read(path: Path, people: int) -> np.ndarray:
    options = pa_csv.ConvertOptions(include_columns=["row"], column_types={"row": "int64"})
    rows = pa_csv.read_csv(str(path), convert_options=options)["row"].to_numpy()
    return np.sort(rows[rows < people].astype(np.int64))


def _why(error: RuntimeError, protocol: str) -> str:
    if lost_peer(error):
        return f"PSI ({protocol}): the other party did not answer in time; its own message or log says why."
    # The library's text may quote keys; the place in its source does not.
    place = re.search(r"([\w./-]+\.(?:cc|h):\d+)", str(error))
    return f"PSI ({protocol}) failed inside the library{' at ' + place[1] if place else ''}."


@contextmanager
def _private_folder(base: Path) -> Iterator[Path]:
    """A new folder of mode 0700 in ``base``, by a path that a shell reads as one word; removed with all it holds."""
    folder = Path(tempfile.mkdtemp(prefix=".psi-", dir=base))
    try:
        with plain_path(folder) as plain:
            yield plain
    finally:
        shutil.rmtree(folder)


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """The library asks TMPDIR where to put its files; so does the `sort` it calls."""
    tempfile.gettempdir()  # Python looks once and remembers: it must not remember our folder
    with _TMPDIR:
        before = os.environ.get("TMPDIR")
        os.environ["TMPDIR"] = str(folder)
        try:
            yield
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before
