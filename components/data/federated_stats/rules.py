"""From common statistics to the rules that data/apply_rules knows."""

from collections.abc import Mapping, Sequence
from typing import Any

from veilflow.components.data.federated_stats.spec import NARROW, StatsSpec
from veilflow.components.data.federated_stats.statistics import exponent
from veilflow.components.data.names import listed
from veilflow.components.errors import ComponentError


def clean_rule(columns: Sequence[str], spec: StatsSpec, stats: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Bounds and fillings as `clean.rule` writes them; without columns where nothing is to be done."""
    if spec.fill == "none" and not spec.clip:
        return {"type": "clean", "version": 1, "columns": {}}
    parts = {}
    for name in columns:
        found = stats[name]
        fill = None if spec.fill == "none" else found["mean" if spec.fill == "mean" else "0.5"]
        bounds = [found[f"{spec.clip:g}"], found[f"{1 - spec.clip:g}"]] if spec.clip else None
        if fill is not None and bounds is not None:
            fill = min(max(fill, bounds[0]), bounds[1])
        parts[name] = {"text": False, "bounds": bounds, "action": "clip", "fill": fill, "missing": spec.fill}
    return {"type": "clean", "version": 1, "columns": parts}


def treated_units(columns: Sequence[str], units: Sequence[int], cleaning: Mapping[str, Any]) -> list[int]:
    """Exponents of the cleaned values: those of the bounds where values are cut off."""
    found = []
    for name, unit in zip(columns, units, strict=True):
        bounds = cleaning["columns"].get(name, {}).get("bounds")
        found.append(min(unit, exponent(max(map(abs, bounds)))) if bounds else unit)
    return found


def require_visible(columns: Sequence[str], spec: StatsSpec, stats: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse a scale in which a column's usual values are all alike: a few that are far out would hide them.

    Args:
        stats: as for `scale_rule`, with ``cleaned deviation``.

    Raises:
        ComponentError: names the columns.
    """
    if spec.scale != "standard":
        return  # the others measure by quantiles
    hidden = [n for n in columns if 0 < stats[n]["0.75"] - stats[n]["0.25"] < NARROW * stats[n]["cleaned deviation"]]
    if hidden:
        raise ComponentError(
            f"{listed(hidden)}: the middle half of the values lies within less than {NARROW:g} of the deviation, so a "
            "few values far out (a code for 'unknown', such as 999999?) would hide all others after scaling. Cut them "
            "off with clip: 0.01, use method: robust, or correct them."
        )


def scale_rule(
    columns: Sequence[str],
    spec: StatsSpec,
    stats: Mapping[str, Mapping[str, float]],
    mean: Sequence[float],
    variance: Sequence[float],
) -> dict[str, Any]:
    """Shift and factor per column; a column without spread gets factor 0, as in `scale.rule`.

    Args:
        mean, variance: of the cleaned columns.
    """
    parts = {}
    for name, middle, square in zip(columns, mean, variance, strict=True):
        found = stats[name]
        shift, width = middle, square**0.5
        if spec.scale == "robust":
            # Where half of the values are equal (flags, amounts that are mostly 0), the deviation stands in.
            shift, width = found["0.5"], found["0.75"] - found["0.25"] or square**0.5
        elif spec.scale == "range":
            low = spec.clip or 0.01
            shift, width = found[f"{low:g}"], found[f"{1 - low:g}"] - found[f"{low:g}"]
        parts[name] = {"shift": shift, "factor": 1.0 / width if width > 1e-12 * max(1.0, abs(shift)) else 0.0}
    return {"type": "scale", "version": 1, "columns": {} if spec.scale == "none" else parts}
