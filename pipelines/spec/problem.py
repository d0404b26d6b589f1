"""What is wrong with a pipeline file, and where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

Path = tuple["str | int", ...]
"""Keys and list positions from the top of the file to a value."""


@dataclass(frozen=True)
class Problem:
    """One thing to mend.

    `str()` gives ``line 8: nodes -> align -> needs -> left: no node 'trian'; did you mean 'train'?``, with the
    ``--set`` option in place of the line where the value came from one.
    """

    message: str
    path: Path = ()
    line: int | None = None
    option: str | None = None
    """The ``--set`` text that brought the value, if one did."""

    def __str__(self) -> str:
        where = f"--set {self.option}: " if self.option else f"line {self.line}: " if self.line else ""
        steps = " -> ".join(f"item {step + 1}" if isinstance(step, int) else step for step in self.path)
        return f"{where}{steps}{': ' if steps else ''}{self.message}"


class PipelineFileError(Exception):
    """A pipeline file that cannot run. `problems` holds all that is wrong, by line."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = sorted(problems, key=lambda p: (p.option is not None, p.line or 0))
        count = len(self.problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{file}: {count} problem{'' if count == 1 else 's'}{lines}")

    def __reduce__(self) -> tuple[type, tuple[str, list[Problem]]]:
        return (PipelineFileError, (self.file, self.problems))


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is close to ``word``, or the only one that contains it."""
    folded = {entry.lower(): entry for entry in sorted(known, reverse=True)}
    close = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    if not close and len(word) > 2:
        holding = [entry for entry in folded if word.lower() in entry]
        close = holding if len(holding) == 1 else []
    return folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` when a known word is close, otherwise nothing."""
    found = closest(word, known)
    return f"; did you mean '{found}'?" if found else ""


def listed(words: Sequence[str], none: str = "none") -> str:
    """``a, b, c``, or ``none``."""
    return ", ".join(words) if words else none
