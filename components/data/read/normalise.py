"""A raw frame to a typed table, with public counts of everything that was not as it should be."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from veilflow.components.data.names import listed
from veilflow.components.data.read.convert import convert, field_type, looks_numeric
from veilflow.components.data.read.label import above_threshold, is_cell
from veilflow.components.data.read.spec import ReadSpec
from veilflow.components.data.read.written import numbers_in_dress, shortened_ids
from veilflow.components.errors import ComponentError

NEARLY = 0.9
"""A text column of which so many cells are numbers is taken for a column of numbers with faults."""


@dataclass(frozen=True)
class ColumnFact:
    """What may be said of a column in public."""

    name: str
    kind: str
    """``id``, ``feature`` or ``label``."""
    type: str
    missing: int
    unreadable: int
    """Cells that did not fit the declared type."""
    infinite: int
    numbers_in_text: int
    """Of a text feature, the cells that look like numbers: a hint that the type is wrong."""


@dataclass(frozen=True)
class ReadFacts:
    """What may be said of a table in public."""

    rows_read: int
    rows: int
    incomplete_rows: int
    duplicate_ids: int
    columns: tuple[ColumnFact, ...]

    def as_document(self) -> dict[str, Any]:
        """Plain JSON types, to publish."""
        return {**vars(self), "columns": [vars(column) for column in self.columns]}


def hint(facts: dict[str, Any]) -> str:
    """A word to whoever runs this, of what is public: empty columns, a label that is text, repeated IDs."""
    empty = [column["name"] for column in facts["columns"] if column["missing"] == facts["rows"]]
    label = [column["name"] for column in facts["columns"] if column["kind"] == "label" and column["type"] == "str"]
    hints = []
    if empty:
        hints.append(f"no value in any of {facts['rows']} rows: {listed(empty)}; leave such columns out with drop.")
    for name in label:
        hints.append(f"label {name} is text: to train on it, set types: [{name}:bool] or label_is.")
    if facts["duplicate_ids"]:
        hints.append(
            f"{facts['duplicate_ids']} of {facts['rows']} rows repeat the ID of another row: a person with several "
            "rows counts several times in a training, and is protected less."
        )
    return " ".join(hints)


def normalise(frame: pd.DataFrame, spec: ReadSpec, source: str) -> tuple[pd.DataFrame, ReadFacts]:
    """``frame`` with the columns and types of ``spec``: IDs first, then features, then the label.

    Args:
        frame: at least one row, plain index.
        source: how messages call the frame.

    Returns:
        IDs as text, numbers as int64/float64/float32, text as objects, missing as NaN or None, no infinity; and facts.

    Raises:
        ComponentError: a column that is not there, or rows and cells that ``spec`` refuses; all columns at once.
    """
    spec.check()
    kinds = _kinds(frame, spec, source)
    problems: list[str] = []
    converted, unreadable = _convert_all(frame, kinds, spec, problems)
    converted, infinite = _without_infinity(converted, kinds, spec, problems)
    converted, incomplete = _complete(converted, spec, problems)
    if problems:
        raise ComponentError(f"{source}: {' '.join(problems)}")
    if spec.label and spec.has_threshold:
        converted[spec.label] = above_threshold(converted[spec.label], spec.label_above)
    elif spec.label and spec.label_is:
        converted[spec.label] = is_cell(converted[spec.label], spec.label_is)
    ids = list(spec.ids)
    named = _prefixed(kinds, spec, source)
    facts = ReadFacts(
        rows_read=len(frame),
        rows=len(converted),
        incomplete_rows=incomplete,
        duplicate_ids=int(converted.duplicated(ids).sum()) if ids else 0,
        columns=tuple(
            _fact(converted[name].rename(named[name]), kind, unreadable[name], infinite.get(name, 0))
            for name, kind in kinds.items()
        ),
    )
    return converted.rename(columns=named), facts


def _prefixed(kinds: dict[str, str], spec: ReadSpec, source: str) -> dict[str, str]:
    """Name in the file -> name in the table: only features carry the prefix, so IDs of two parties still match."""
    named = {name: f"{spec.prefix}{name}" if kind == "feature" else name for name, kind in kinds.items()}
    if len(set(named.values())) < len(named):
        raise ComponentError(f"{source}: with prefix '{spec.prefix}' a feature is called like an ID or the label.")
    return named


def _kinds(frame: pd.DataFrame, spec: ReadSpec, source: str) -> dict[str, str]:
    present = [str(name) for name in frame.columns]
    special = [*spec.ids, *([spec.label] if spec.label else [])]
    absent = [name for name in dict.fromkeys((*special, *spec.columns)) if name not in present]
    if absent:
        raise ComponentError(
            f"{source} has no column {listed(repr(name) for name in absent)} among its {len(present)}; correct it.",
            f"its columns: {listed(present)}",
        )
    wanted = set(spec.columns) if spec.columns else set(present) - set(spec.drop)
    features = [name for name in present if name in wanted and name not in special]
    if not features and not special:
        raise ComponentError(f"{source}: no column is left; check columns and drop.")
    return {
        **dict.fromkeys(spec.ids, "id"),
        **dict.fromkeys(features, "feature"),
        **({spec.label: "label"} if spec.label else {}),
    }


def _convert_all(
    frame: pd.DataFrame, kinds: dict[str, str], spec: ReadSpec, problems: list[str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    columns, unreadable = {}, {}
    for name, kind in kinds.items():
        columns[name], unreadable[name] = convert(frame[name], "str" if kind == "id" else spec.types.get(name))
    failed = [f"{name} {count} of {len(frame)} as {spec.types[name]}" for name, count in unreadable.items() if count]
    if failed and spec.parse_failures == "error":
        problems.append(
            f"cells that cannot be read: {listed(failed)}. Correct them, change types, or set parse_failures: missing."
        )
    problems += [*_shortened(columns, spec), *_stray_text(columns, kinds, spec)]
    return pd.DataFrame(columns, index=frame.index), unreadable


def _stray_text(columns: dict[str, pd.Series], kinds: dict[str, str], spec: ReadSpec) -> list[str]:
    """Text columns that are numbers but for a few cells, as one ``-`` does it, or for the way they are written."""
    found, dressed = [], []
    for name, kind in kinds.items():
        column = columns[name]
        if kind == "id" or name in spec.types or column.dtype != object or (kind == "label" and spec.label_is):
            continue
        present, numbers = int(column.notna().sum()), looks_numeric(column)
        written = numbers_in_dress(column) if numbers < present else 0
        if written > numbers and NEARLY * present <= written:
            dressed.append((name, present - numbers, present))
        elif NEARLY * present <= numbers < present:
            found.append((name, present - numbers, present))
    problems = []
    if found:
        first = found[0][0]
        problems.append(
            f"columns of numbers with cells that are none: {_counts(found)}. Correct them; or make them missing with "
            f"types: [{first}:float] and parse_failures: missing; or keep the column as text with types: [{first}:str]."
        )
    if dressed:
        problems.append(
            "numbers with thousands separators, a decimal comma, a percent or currency sign or full-width digits: "
            f"{_counts(dressed)}. Write plain numbers (1234.5) where the file is made; or keep the column as text with "
            f"types: [{dressed[0][0]}:str]."
        )
    return problems


def _shortened(columns: dict[str, pd.Series], spec: ReadSpec) -> list[str]:
    """IDs that a spreadsheet has rounded: different people become one."""
    found = [(name, shortened_ids(columns[name]), len(columns[name])) for name in spec.ids if name not in spec.types]
    found = [each for each in found if each[1]]
    if not found:
        return []
    return [
        f"IDs of which only the first digits are left, as spreadsheets show long numbers (1.2E+17): {_counts(found)}. "
        "Export the file again with the column formatted as text; if these are whole IDs, say so with "
        f"types: [{found[0][0]}:str]."
    ]


def _counts(found: list[tuple[str, int, int]]) -> str:
    return listed(f"{name} {strange} of {present}" for name, strange, present in found)


def _without_infinity(
    frame: pd.DataFrame, kinds: dict[str, str], spec: ReadSpec, problems: list[str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    found = {}
    for name in kinds:
        if frame[name].dtype.kind == "f" and np.isinf(frame[name]).any():
            found[name] = int(np.isinf(frame[name]).sum())
    if found and spec.infinite == "error":
        counts = listed(f"{name} {count} of {len(frame)}" for name, count in found.items())
        problems.append(f"infinite numbers: {counts}. Correct them, or set infinite: missing.")
    for name in found:
        frame[name] = frame[name].replace([np.inf, -np.inf], np.nan)
    return frame, found


def _complete(frame: pd.DataFrame, spec: ReadSpec, problems: list[str]) -> tuple[pd.DataFrame, int]:
    """Rows with all IDs and the label, and how many were not."""
    needed = [*spec.ids, *([spec.label] if spec.label else [])]
    gaps = {name: int((frame[name].isna() | (frame[name] == "")).sum()) for name in needed}
    if not any(gaps.values()):
        return frame, 0
    if spec.incomplete_rows == "error":
        counts = listed(f"{name} {count} of {len(frame)}" for name, count in gaps.items() if count)
        problems.append(f"rows without an ID or label: {counts}. Complete them, or set incomplete_rows: drop.")
        return frame, 0
    whole = (frame[needed].notna() & (frame[needed] != "")).all(axis=1)
    if not whole.any():
        problems.append(f"none of the {len(frame)} rows has all of {listed(needed)}.")
        return frame, 0
    kept = frame[whole].reset_index(drop=True)
    if spec.label and kept[spec.label].dtype.kind == "f" and spec.types.get(spec.label) in ("int", "bool"):
        kept[spec.label] = kept[spec.label].astype(np.int64)
    return kept, int((~whole).sum())


def _fact(column: pd.Series, kind: str, unreadable: int, infinite: int) -> ColumnFact:
    text = kind == "feature" and column.dtype == object
    return ColumnFact(
        name=str(column.name),
        kind=kind,
        type=field_type(column),
        missing=int(column.isna().sum()),
        unreadable=unreadable,
        infinite=infinite,
        numbers_in_text=looks_numeric(column) if text else 0,
    )
