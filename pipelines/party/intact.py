"""Files that must stay as they were written: their digests, taken once, and asked again before they are read.

A file whose size, times and inode are those of when it was hashed in this process is not hashed again: within a run
an artifact is hashed once, when it is written, and one of an earlier run once, when it is first read.
"""

import hashlib
from pathlib import Path

LABEL = ".node"
"""A person's note beside the files: not one of them."""

_Stamp = tuple[int, int, int, int]


class Files:
    """The files below ``folder`` with the digests they should have, by relative path."""

    def __init__(self, folder: Path, digests: dict[str, str]) -> None:
        self._folder = folder
        self.digests = digests
        self._seen: dict[str, _Stamp] = {}

    def missing(self) -> bool:
        """Whether a file is not there at all."""
        return not all((self._folder / name).is_file() for name in self.digests)

    def altered(self) -> list[str]:
        """Names of files that do not hold what they held; those found as they were are not hashed again."""
        return [name for name in self.digests if not self._as_it_was(name)]

    def note(self, name: str, stamp: _Stamp) -> None:
        """The file had its digest when it looked like ``stamp``."""
        self._seen[name] = stamp

    def _as_it_was(self, name: str) -> bool:
        path = self._folder / name
        try:
            stamp = _stamp(path)
        except OSError:
            return False
        if self._seen.get(name) == stamp:
            return True
        if file_digest(path) != self.digests[name]:
            return False
        self._seen[name] = stamp
        return True


def digests_of(folder: Path) -> Files:
    """The files below ``folder`` as they are now."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / LABEL]
    files = Files(folder, {})
    for path in paths:
        name = path.relative_to(folder).as_posix()
        stamp = _stamp(path)  # before the bytes: what changes meanwhile is hashed again
        files.digests[name] = file_digest(path)
        files.note(name, stamp)
    return files


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes, in blocks; ``missing`` for a file that is not there (reading it reports that)."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as source:
            while block := source.read(1 << 20):
                digest.update(block)
    except OSError:
        return "missing"
    return digest.hexdigest()


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
