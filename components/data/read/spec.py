"""What a table should look like once read. Light: `check` uses it too."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from veilflow.components.data.names import listed, require_free
from veilflow.components.errors import ComponentError
from veilflow.datasets.wanted import Wanted

TYPES = ("int", "float", "bool", "str")
"""Declared types: 64-bit whole number, 64-bit float, yes/no stored as 1/0, text."""

KEEP_LABEL = -3.4028234663852886e38
"""`label_above` at its default, the lowest 32-bit float: the label is kept as it is stored."""


@dataclass(frozen=True)
class ReadSpec:
    """Public settings of one read."""

    ids: tuple[str, ...] = ()
    label: str = ""
    label_above: float = KEEP_LABEL
    label_is: str = ""
    """The cell that means 1; every other one means 0."""
    columns: tuple[str, ...] = ()
    """Features to keep; empty for all."""
    drop: tuple[str, ...] = ()
    prefix: str = ""
    """Put before every feature's name, where two parties use the same names for different things."""
    types: Mapping[str, str] = field(default_factory=dict)
    parse_failures: str = "error"
    """``error`` or ``missing``: what becomes of a cell that is not of its declared type."""
    infinite: str = "error"
    """``error`` or ``missing``: what becomes of an infinite number."""
    incomplete_rows: str = "error"
    """``error`` or ``drop``: what becomes of a row without an ID or label."""

    @property
    def wanted(self) -> Wanted:
        """What to read of the source."""
        text = (*self.ids, *(name for name, kind in self.types.items() if kind == "str" and self._kept(name)))
        needed = (self.label, *self.columns, *(name for name in self.types if self._kept(name)))
        named = tuple(name for name in dict.fromkeys(needed) if name and name not in text)
        return Wanted(text, named, only=bool(self.columns), drop=self.drop)

    def _kept(self, name: str) -> bool:
        return not self.columns or name in (*self.columns, *self.ids, self.label)

    @property
    def has_threshold(self) -> bool:
        """Whether `label_above` was given; its default may come back rounded by its way through 32 bits."""
        return self.label_above > KEEP_LABEL * (1 - 1e-6)

    def check(self) -> None:
        """Raise a `ComponentError` if the settings contradict each other."""
        if self.columns and self.drop:
            raise ComponentError("give either columns (features to keep) or drop, not both.")
        if self.label and self.label in self.ids:
            raise ComponentError(f"'{self.label}' cannot be both ID and label.")
        require_free((*self.ids, self.label), "an ID or the label")
        if self.has_threshold and not self.label:
            raise ComponentError("label_above is given without label.")
        if self.label_is and not self.label:
            raise ComponentError("label_is is given without label.")
        if self.label_is and self.has_threshold:
            raise ComponentError("give either label_above or label_is, not both.")
        special = {*self.ids, self.label} & {*self.columns, *self.drop}
        if special:
            raise ComponentError(
                f"IDs and the label are kept anyway; take {listed(sorted(special))} out of columns/drop."
            )
        as_number = sorted(name for name in self.ids if self.types.get(name, "str") != "str")
        if as_number:
            raise ComponentError(f"IDs are always text; take {listed(as_number)} out of types.")
