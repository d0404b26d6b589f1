"""Writing a file so that whoever reads it, also after a crash, finds all of the old one or all of the new one."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes | str, mode: int = 0o666) -> None:
    """Replace ``path`` by ``content`` (text as UTF-8) in one step; its folder is made where it is missing.

    The content is on the disk before the name changes, and the name before this returns. A file that could not be
    written leaves the old one as it was and no draft.

    Args:
        mode: of the new file, less what the umask takes.

    Raises:
        OSError: with ``path`` as its file name, whatever step failed.
    """
    raw = content.encode() if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as sink:
                sink.write(raw)
                sink.flush()
                os.fsync(sink.fileno())
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
