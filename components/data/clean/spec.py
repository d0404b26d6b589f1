"""Settings of cleaning. Light: `check` uses them too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

MISSING = ("none", "drop_rows", "mean", "median", "most_frequent", "constant")
"""What becomes of missing feature cells; text features take the most frequent text for ``mean`` and ``median``."""
OUTLIERS = ("none", "quantile", "zscore", "iqr")
DUPLICATES = ("error", "first", "last", "keep")


@dataclass(frozen=True)
class CleanSpec:
    """Public settings of one cleaning step."""

    missing: str = "median"
    missing_by_column: Mapping[str, str] = field(default_factory=dict)
    fill_number: float = 0.0
    fill_text: str = "missing"
    outliers: str = "none"
    outliers_by_column: Mapping[str, str] = field(default_factory=dict)
    outlier_action: str = "clip"
    """``clip`` to the bound (winsorise), or ``blank``: make missing."""
    quantile: float = 0.01
    zscore: float = 3.0
    iqr: float = 1.5
    duplicates: str = "error"
    """Rows with an ID that was there before: an error, keep the first or last, or keep all."""
    equal_rows: str = "keep"
    """Rows equal in every column: ``keep`` or ``drop`` all but the first."""

    def missing_of(self, column: str) -> str:
        return self.missing_by_column.get(column, self.missing)

    def outliers_of(self, column: str) -> str:
        return self.outliers_by_column.get(column, self.outliers)

    def only(self, columns: Sequence[str]) -> "CleanSpec":
        """These settings, with the exceptions for ``columns`` alone."""
        return replace(
            self,
            missing_by_column={name: how for name, how in self.missing_by_column.items() if name in columns},
            outliers_by_column={name: how for name, how in self.outliers_by_column.items() if name in columns},
        )

    @property
    def drops_rows(self) -> tuple[str, ...]:
        """The settings that remove rows: not possible where the rows of several parties stand side by side."""
        found = []
        if self.missing == "drop_rows" or "drop_rows" in self.missing_by_column.values():
            found.append("missing: drop_rows")
        if self.duplicates in ("first", "last"):
            found.append(f"duplicates: {self.duplicates}")
        if self.equal_rows == "drop":
            found.append("equal_rows: drop")
        return tuple(found)


def vertical_problem(settings: tuple[str, ...]) -> str:
    """Why a table of several parties cannot be cleaned with ``settings``."""
    return (
        f"{', '.join(settings)} would remove rows of a table that several parties hold together, and so tell all of "
        "them which rows these are. Clean each party's own table before the alignment, or fill missing cells instead."
    )
