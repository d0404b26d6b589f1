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
    # Other parties read these messages: which folder of this machine it is, is nobody's business but the operator's.
    if root is None:
        folder, called = Path.cwd(), "the working directory"
    else:
        _stay_inside(path, root)
        folder, called = root, "the party's data folder"
    place = f"{called} is {str(folder.resolve())!r}"
    found = folder / path
    if not found.exists():
        raise SourceError(f"no file '{path}' in {called}.", place)
    if found.is_dir() and path.lower().endswith(".parquet"):
        parts = sum(each.suffix.lower() == ".parquet" for each in found.iterdir())
        raise SourceError(
            f"'{path}' is a folder with {parts} Parquet file(s), and a table here is one file. Join them: python -c "
            "\"import pyarrow.parquet as p; p.write_table(p.read_table('FOLDER'), 'ONE.parquet')\".",
            place,
        )
    if not found.is_file():
        raise SourceError(f"'{path}' in {called} is not a file.", place)
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
