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
    try:
        return _located(path, root)
    except (OSError, RuntimeError, ValueError):  # links in a circle, a name too long or no valid text
        raise SourceError(f"the path {path[:80]!a} cannot be followed to a file.") from None


def _located(path: str, root: Path | None) -> Path:
    if root is None:
        folder, called = Path.cwd(), f"the working directory '{Path.cwd()}'"
    else:
        _stay_inside(path, root)
        # Other parties read this message: the folder's name helps the operator, its place is nobody's business.
        folder, called = root, f"the party's data folder '{root.resolve().name}'"
    found = folder / path
    if not found.exists():
        raise SourceError(f"no file '{path}' in {called}.")
    if not found.is_file():
        raise SourceError(f"'{path}' in {called} is not a file.")
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
