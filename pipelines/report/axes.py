"""The frame of a chart: scales, round ticks, hairlines and labels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from veilflow.pipelines.report.numbers import scalar
from veilflow.pipelines.report.svg import element, text

Point = tuple[float, float]

WIDTH, HEIGHT = 372.0, 268.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 12.0, 26.0, 40.0


@dataclass(frozen=True)
class Axes:
    """Maps data to the drawing. The ranges are those of the outer ticks."""

    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    def at(self, x: float, y: float) -> Point:
        """Where a data point lies in the drawing."""
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * _share(x, self.x_ticks),
            HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _share(y, self.y_ticks),
        )

    def frame(self, x_label: str, y_label: str) -> list[Markup]:
        """Horizontal hairlines, a base line, tick labels and the axes' names, all set level."""
        drawn = []
        for tick in self.y_ticks:
            y = self.at(self.x_ticks[0], tick)[1]
            drawn.append(element("path", {"class": "grid", "d": f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}"}))
            drawn.append(text(LEFT - 7, y + 4, _tick(tick, self.y_ticks), "tick", "end"))
        base = HEIGHT - BOTTOM
        drawn.append(element("path", {"class": "base", "d": f"M{LEFT} {base}H{WIDTH - RIGHT}"}))
        for tick in self.x_ticks:
            x = self.at(tick, self.y_ticks[0])[0]
            drawn.append(text(x, base + 16, _tick(tick, self.x_ticks), "tick", "middle"))
        drawn.append(text(4.0, 12.0, y_label, "axis"))
        drawn.append(text(WIDTH - RIGHT, HEIGHT - 6, x_label, "axis", "end"))
        return drawn

    def line(self, points: Iterable[Point | None], css: str) -> Markup:
        """A line through data points; None leaves a gap."""
        path, pen = [], "M"
        for point in points:
            if point is None:
                pen = "M"
                continue
            x, y = self.at(*point)
            path.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        return element("path", {"class": f"line {css}", "d": "".join(path)})

    def dot(self, x: float, y: float, radius: float, css: str) -> Markup:
        """A filled circle at a data point."""
        cx, cy = self.at(x, y)
        return element("circle", {"cx": cx, "cy": cy, "r": float(radius), "class": f"dot {css}"})


def ticks(low: float, high: float, about: int = 5, whole: bool = False) -> list[float]:
    """Round numbers from at or below ``low`` to at or above ``high``, in steps of 1, 2 or 5 times a power of ten.

    Args:
        about: how many steps to aim at.
        whole: only whole numbers, for counts such as epochs.
    """
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-200):  # as good as constant
        high = low + (abs(low) if abs(low) > 1e-200 else 1.0)
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 5, 10) if power * nice >= raw * 0.999)
    if whole:
        step = max(1.0, round(step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, max(last, first + 1) + 1)]


def _share(value: float, scale: Sequence[float]) -> float:
    return (value - scale[0]) / (scale[-1] - scale[0])


def _tick(value: float, scale: Sequence[float]) -> str:
    """As many decimals as the step needs, the same for all ticks."""
    step = scale[1] - scale[0]
    if step < 1e-4 or abs(scale[-1]) >= 1e7:
        return scalar(float(value))
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{places}f}".replace(",", "\u202f").replace("-", "−")
