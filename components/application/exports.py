"""Files a party takes away: they land in that party's own folder and nowhere else.

Under VeilFlow that is the context's ``export_dir``; under SecretFlow's `comp_eval` or Kuscia, ``exports/`` in the
party's storage.
"""

import re
from pathlib import Path
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.files import write_whole

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def check_file_name(name: str) -> str:
    """``name``, if it is a plain file name: one party writes the pipeline file, another's disk is written to.

    Raises:
        ComponentError: the name has a folder in it, is hidden, empty, too long, or holds unusual characters.
    """
    if not _FILE_NAME.fullmatch(name):
        raise ComponentError(
            f"'{name}' cannot be the name of an exported file: use 1 to 128 letters, digits, '_', '-' and '.', "
            "beginning with a letter, a digit or '_'."
        )
    return name


def export_bytes(ctx: Any, name: str, raw: bytes) -> int:
    """Write ``raw`` as ``name`` at this party; a reader sees the whole file or none. Returns its size in bytes.

    Args:
        ctx: the component's context. Only ``export_dir`` (a path, optional) and ``storage`` are used.
        name: see `check_file_name`; a file of this name is replaced.
    """
    check_file_name(name)
    folder = getattr(ctx, "export_dir", None)
    if folder is None:
        with ctx.storage.get_writer(f"exports/{name}") as writer:
            writer.write(raw)
    else:
        write_whole(Path(folder) / name, raw)
    return len(raw)
