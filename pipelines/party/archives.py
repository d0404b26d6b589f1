"""Archives are extracted inside their folder, or not at all.

SecretFlow's ``TarFile.load`` (unbalanced PSI caches) calls ``extractall`` without a filter. `install` gives every tar
archive of this process one. Python's own ``data`` filter has been got around through links (CVE-2025-4330, -4517:
fixed in 3.10.18), so links are refused outright, and it then sees the rest.
"""

import tarfile
from pathlib import Path
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.pipelines.party.storage_jail import resolve_inside


def checked(member: tarfile.TarInfo, folder: str | Path) -> tarfile.TarInfo:
    """``member`` if it is a plain file or folder that stays below ``folder``, without special mode bits.

    Raises:
        ComponentError: it is a link, a device or a FIFO, or would land elsewhere.
    """
    if not (member.isreg() or member.isdir()):
        raise ComponentError(f"the archive holds {member.name!r:.120}, which is neither a file nor a folder: refused.")
    name = member.name.removeprefix("./").rstrip("/")
    if name not in ("", "."):
        resolve_inside(folder, name)
    data_filter = getattr(tarfile, "data_filter", None)  # Python 3.10.12 and newer
    if data_filter is not None:
        member = data_filter(member, str(folder))
    else:
        member.mode = (member.mode or 0) & 0o755
    return member


def install() -> None:
    """Make every ``extractall`` of this process one that checks. Safe to call twice."""
    if getattr(tarfile.TarFile.extractall, "veilflow", False):
        return
    original = tarfile.TarFile.extractall

    def extractall(self: tarfile.TarFile, path: Any = ".", members: Any = None, **options: Any) -> None:
        listed = list(self.getmembers() if members is None else members)
        names = [each if isinstance(each, tarfile.TarInfo) else self.getmember(each) for each in listed]
        good = [checked(member, path) for member in names]  # all of them first: a bad one keeps the others out
        options.pop("filter", None)
        if hasattr(tarfile, "data_filter"):
            options["filter"] = checked
        original(self, path, good, **options)

    extractall.veilflow = True  # type: ignore[attr-defined]
    tarfile.TarFile.extractall = extractall  # type: ignore[method-assign]
