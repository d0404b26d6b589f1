"""A k-anonymous version of a table, judged before it is handed out."""

from typing import Any

import numpy as np
import pandas as pd

from veilflow.components.data.k_anonymity.diversity import group_test
from veilflow.components.data.k_anonymity.generalise import as_numbers, generalised, loss
from veilflow.components.data.k_anonymity.measure import class_sizes, k_of, l_of
from veilflow.components.data.k_anonymity.partition import equal_rows, members, mondrian
from veilflow.components.data.k_anonymity.spec import AnonymitySpec
from veilflow.components.data.names import listed, require_columns
from veilflow.components.errors import ComponentError


def anonymise(frame: pd.DataFrame, spec: AnonymitySpec) -> tuple[pd.DataFrame, dict[str, Any]]:
    """``frame`` with its quasi-identifiers generalised, or rows dropped, until it is k-anonymous and l-diverse.

    Args:
        frame: quasi-identifiers and the sensitive column without missing cells; other columns are kept as they are.

    Returns:
        The table, rows in their order, and public figures: ``k`` and ``l`` as measured, sizes of classes, suppressed
        rows, loss per column.

    Guarantees (tests/components/data/k_anonymity): every combination of quasi-identifiers in the result occurs at
    least ``k`` times and its class is l-diverse, measured on the result itself.

    Not covered: columns outside ``quasi_identifiers`` and IDs can still single out a person.

    Raises:
        ComponentError: unknown or incomplete columns, fewer than ``k`` rows, all rows together not l-diverse, more
            rows to suppress than allowed, or (which would be our fault) a result that fails the measurement.
    """
    spec.check()
    _check_columns(frame, spec)
    quasi = list(spec.quasi_identifiers)
    columns = np.column_stack([as_numbers(frame[name]) for name in quasi])
    codes = None if spec.l == 1 else pd.factorize(frame[spec.sensitive])[0]
    test = group_test(spec.k, codes, spec.l, spec.diversity)
    if spec.method == "mondrian":
        _check_whole(frame, spec, test(np.arange(len(frame))))
        groups = members(mondrian(columns, test))
    else:
        groups = [group for group in members(equal_rows(columns)) if test(group)]
    kept = np.sort(np.concatenate(groups)) if groups else np.empty(0, dtype=np.int64)
    _check_suppressed(len(frame), len(kept), spec)
    shown = frame.copy()
    if spec.method == "mondrian":
        for name in quasi:
            shown[name] = generalised(frame[name], groups, spec.release)
    shown = shown.iloc[kept].reset_index(drop=True)
    return shown, _figures(frame, shown, groups, spec)


def _check_columns(frame: pd.DataFrame, spec: AnonymitySpec) -> None:
    needed = [*spec.quasi_identifiers, *([spec.sensitive] if spec.l > 1 else [])]
    require_columns([name for name in needed if name], frame.columns, "the table")
    if spec.l > 1 and not spec.sensitive:
        raise ComponentError(f"l is {spec.l}, but no sensitive column is named and the table has no single label.")
    gaps = {name: int(frame[name].replace([np.inf, -np.inf], np.nan).isna().sum()) for name in needed}
    if any(gaps.values()):
        counts = listed(f"{name} {count} of {len(frame)}" for name, count in gaps.items() if count)
        raise ComponentError(
            f"missing or infinite cells: {counts}. Run data/clean first: a gap may single somebody out."
        )


def _check_whole(frame: pd.DataFrame, spec: AnonymitySpec, valid: bool) -> None:
    if len(frame) < spec.k:
        raise ComponentError(f"{len(frame)} rows cannot be {spec.k}-anonymous; give more rows or a smaller k.")
    if not valid:
        raise ComponentError(
            f"even all {len(frame)} rows together are not {spec.l}-diverse ({spec.diversity}) in '{spec.sensitive}'; "
            "lower l."
        )


def _check_suppressed(rows: int, kept: int, spec: AnonymitySpec) -> None:
    share = (rows - kept) / rows
    if share > spec.max_suppressed or kept == 0:
        raise ComponentError(
            f"{rows - kept} of {rows} rows are in classes smaller than k = {spec.k} or not {spec.l}-diverse, more than "
            f"max_suppressed {spec.max_suppressed:g} allows. Use method: mondrian, fewer quasi_identifiers, or a "
            "smaller k."
        )


def _figures(frame: pd.DataFrame, shown: pd.DataFrame, groups: list[np.ndarray], spec: AnonymitySpec) -> dict[str, Any]:
    """Public figures of a result; refuses it if it is not what was asked for."""
    quasi = list(spec.quasi_identifiers)
    measured_k = k_of(shown, quasi)
    measured_l = l_of(shown, quasi, spec.sensitive, spec.diversity) if spec.l > 1 else 1.0
    if measured_k < spec.k or measured_l < spec.l - 1e-9:
        raise ComponentError(
            f"the result is {measured_k}-anonymous and {measured_l:.3g}-diverse, less than k = {spec.k}, l = {spec.l}: "
            "it is not handed out. Please report this."
        )
    sizes = np.array(list(class_sizes(shown, quasi).values()))
    rows, suppressed = len(frame), len(frame) - len(shown)
    lost = dict.fromkeys(quasi, 0.0)
    if spec.method == "mondrian":
        lost = {name: loss(frame[name], groups) for name in quasi}
    lost = {name: (value * len(shown) + suppressed) / rows for name, value in lost.items()}
    return {
        "k": measured_k,
        "l": measured_l,
        "rows_in": rows,
        "rows": len(shown),
        "suppressed": suppressed,
        "classes": len(sizes),
        "discernibility": int((sizes.astype(object) ** 2).sum() + suppressed * rows),
        "loss": lost,
        "sizes": _histogram(sizes, spec.k),
    }


def _histogram(sizes: np.ndarray, k: int) -> list[tuple[int, int, int]]:
    """(smallest size, largest size, classes) in bands k to 2k-1, 2k to 4k-1, ... up to the largest class."""
    bands, low = [], k
    while low <= sizes.max():
        high = 2 * low - 1
        bands.append((low, high, int(((sizes >= low) & (sizes <= high)).sum())))
        low = high + 1
    return bands
