"""From common statistics to the rules that data/apply_rules knows."""

from collections.abc import Mapping, Sequence
from typing import Any

from veilflow.components.data.federated_stats.spec import StatsSpec


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
            shift, width = found["0.5"], found["0.75"] - found["0.25"]
        elif spec.scale == "range":
            low = spec.clip or 0.01
            shift, width = found[f"{low:g}"], found[f"{1 - low:g}"] - found[f"{low:g}"]
        parts[name] = {"shift": shift, "factor": 1.0 / width if width > 1e-12 * max(1.0, abs(shift)) else 0.0}
    return {"type": "scale", "version": 1, "columns": {} if spec.scale == "none" else parts}
