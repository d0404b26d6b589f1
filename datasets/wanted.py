"""Which columns of a table a caller wants, by the names that its pipeline file declares. Light: `check` uses it too."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_SHOWN = 12


@dataclass(frozen=True)
class Wanted:
    """What is read of a table. Columns that are not wanted are not looked at: nothing in them can be wrong."""

    text: tuple[str, ...] = ()
    """Read as text as they stand, IDs among them: 007 stays 007. See `exact_text` for what becomes of numbers."""
    named: tuple[str, ...] = ()
    """Further columns that the caller needs: the label, columns with a declared type, features to keep."""
    only: bool = False
    """Nothing but ``text`` and ``named`` is read; else all columns but ``drop``."""
    drop: tuple[str, ...] = ()

    @property
    def declared(self) -> tuple[str, ...]:
        """Every name that the pipeline file holds, and every party therefore knows."""
        return tuple(dict.fromkeys((*self.text, *self.named, *self.drop)))

    def wants(self, name: str) -> bool:
        """Whether the column called ``name`` is read."""
        if self.only:
            return name in self.text or name in self.named
        return name not in self.drop

    def told(self, names: Iterable[str]) -> tuple[str, str]:
        """``names`` of columns for a message: how it is told to all (declared ones by name, others by number), and to
        the owner."""
        known = list(names)
        public = [f"'{name}'" for name in known if name in self.declared][:_SHOWN]
        others = len(known) - len(public)
        if not public:
            return f"{others} column(s)", listed(known)
        more = f" and {others} other(s)" if others else ""
        return f"column(s) {', '.join(public)}{more}", listed(known)


def listed(names: Sequence[str]) -> str:
    """Names for the owner's log, at most a dozen."""
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
