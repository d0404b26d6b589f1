"""Which file an address means, inside the folder it must stay in."""

from pathlib import Path

from veilflow.datasets.errors import SourceError


def locate(path: str, root: Path | None) -> Path:
    """The file called ``path``.

    Args:
        path: as written in the pipeline file.
        root: the folder the file must lie in, links followed; with None, ``path`` is relative to the working
            directory and may lie anywhere.

    Raises:
        SourceError: the path leaves ``root``, or is no readable file.
    """
    if "\0" in path:
        raise SourceError("the path holds a NUL character.")
    folder = Path.cwd() if root is None else root
    if root is not None:
        _stay_inside(path, root)
    found = folder / path
    if not found.exists():
        raise SourceError(f"no file '{path}' in the folder '{folder}'.")
    if not found.is_file():
        raise SourceError(f"'{path}' in the folder '{folder}' is not a file.")
    return found


def _stay_inside(path: str, root: Path) -> None:
    relative = Path(path)
    if relative.is_absolute():
        raise SourceError(f"'{path}' is an absolute path; paths are relative to the party's data folder here.")
    if ".." in relative.parts:
        raise SourceError(f"'{path}' holds '..'; files must lie in the party's data folder.")
    inside = root.resolve()
    if not (inside / relative).resolve().is_relative_to(inside):
        raise SourceError(f"'{path}' links to a file outside the party's data folder.")
