"""SecretFlow's local storage, kept inside the party's folder.

`LocalStorage` joins its folder with whatever it is given: ``../`` and absolute paths leave it, and ``mkdir`` ignores
it. Paths come from pipeline files and from other parties' metadata, so we resolve every one, links followed, and refuse
what leaves. `install` changes the class itself, so that every component gets it, SecretFlow's own included.

Not covered: code that opens files without the storage, and a second user who exchanges folders for links meanwhile.
"""

import tempfile
from pathlib import Path
from typing import Any

from secretflow_spec.core.storage.local import LocalStorage

from veilflow.components.errors import ComponentError

_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 1024


def resolve_inside(root: str | Path, path: str) -> Path:
    """The file that ``path`` means below ``root``, links followed.

    Guarantees (``tests/pipelines/party/test_storage_jail.py``): the result is ``root`` or below it, whatever ``path``.

    Raises:
        ComponentError: it is absolute, holds ``..``, ``.``, an empty or an unprintable name, or a link leads outside.
    """
    problem = _problem(path)
    if problem:
        raise ComponentError(f"storage path {path!r:.120} {problem}: paths are relative, below the party's folder.")
    inside = Path(root).resolve()
    try:
        found = (inside / path).resolve()
    except (OSError, RuntimeError):  # a loop of links
        raise ComponentError(f"storage path {path!r:.120} cannot be followed: its links lead in a circle.") from None
    if not found.is_relative_to(inside):
        raise ComponentError(f"storage path {path!r:.120} is or holds a link that leaves the party's folder.")
    return found


def _problem(path: str) -> str | None:
    if not isinstance(path, str) or not path:
        return "is no text, or empty"
    if path.startswith("/"):
        return "is absolute"
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        return "is no valid text"
    if len(raw) > _MAX_PATH_BYTES:
        return "is too long"
    for name in path.split("/"):
        if name == "..":
            return "holds '..'"
        if name in ("", ".") or name != name.strip():
            return "holds an empty name, '.', or one that begins or ends with a blank"
        if not name.isprintable() or "\\" in name or len(name.encode()) > _MAX_NAME_BYTES:
            return "holds a name with unprintable characters or a backslash, or one that is too long"
    return None


def _local(storage: Any, path: str) -> str:
    """A path on this machine that a component copies to or from: in the party's folder or the temporary one."""
    found = Path(path).resolve()
    if not any(found.is_relative_to(Path(root).resolve()) for root in (storage._local_wd, tempfile.gettempdir())):
        raise ComponentError("a file may be copied only within the party's folder and its temporary folder.")
    return str(found)


def install() -> None:
    """Make every `LocalStorage` of this process, existing ones included, stay in its folder. Safe to call twice."""
    if getattr(LocalStorage.get_full_path, "veilflow", False):
        return
    download, upload = LocalStorage.download_file, LocalStorage.upload_file

    def get_full_path(self: Any, remote_fn: str) -> str:
        return str(resolve_inside(self._local_wd, remote_fn))

    def mkdir(self: Any, path: str) -> None:
        resolve_inside(self._local_wd, path).mkdir(parents=True, exist_ok=True)

    def download_file(self: Any, remote_path: str, local_path: str) -> None:
        download(self, remote_path, _local(self, local_path))

    def upload_file(self: Any, local_path: str, remote_path: str) -> None:
        upload(self, _local(self, local_path), remote_path)

    get_full_path.veilflow = True  # type: ignore[attr-defined]
    # Every other method of the class asks get_full_path for its path.
    LocalStorage.get_full_path = get_full_path
    LocalStorage.mkdir = mkdir
    LocalStorage.download_file = download_file
    LocalStorage.upload_file = upload_file
