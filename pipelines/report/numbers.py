"""Figures as a reader expects them: few digits, thin spaces between thousands, units that fit the size."""

import math
from datetime import datetime, timezone

from veilflow.pipelines.ledger import Scalar

NARROW_SPACE = "\u202f"
SPACE = "\u00a0"
"""Between number and unit, where a line must not break."""
UNDEFINED = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def scalar(value: Scalar) -> str:
    """One reported value: 4 significant digits, yes and no, a dash for what is undefined."""
    if value is None:
        return UNDEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    return _decimal(value) if isinstance(value, float) else value


def count(value: int) -> str:
    """A whole number with thin spaces from five digits on."""
    return f"{value:,}".replace(",", NARROW_SPACE) if abs(value) >= 10_000 else str(value)


def _decimal(value: float) -> str:
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e7):
        digits, exponent = f"{value:.2e}".split("e")
        return f"{digits}·10{str(int(exponent)).translate(_SUPERSCRIPT)}".replace("-", "−")
    if size >= 10_000:
        written = count(round(value))
    else:
        places = 3 if size < 1 else max(0, 3 - math.floor(math.log10(size)))
        written = f"{value:.{places}f}"
    return written.replace("-", "−")


def seconds(value: float) -> str:
    """A duration: ``0.04 s``, ``12.3 s``, ``4 min 05 s``, ``2 h 10 min``."""
    if value < 60:
        return f"{value:.2f}{SPACE}s" if value < 1 else f"{value:.1f}{SPACE}s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60}{SPACE}min {whole % 60:02d}{SPACE}s"
    return f"{whole // 3600}{SPACE}h {whole % 3600 // 60:02d}{SPACE}min"


def size(value: float) -> str:
    """Bytes in decimal units: ``0 B``, ``812 B``, ``1.25 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.5:
            return f"{value:.0f}{SPACE}B" if unit == "B" else f"{_three_digits(value)}{SPACE}{unit}"
        value /= 1000
    return f"{_three_digits(value)}{SPACE}TB"


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")


def setting(value: Scalar) -> str:
    """A parameter, as exact as it was given: ``1.0`` is 1, ``0.8`` stays 0.8."""
    return f"{value:.12g}".replace("-", "−") if isinstance(value, float) else scalar(value)


def moment(iso: str) -> str:
    """``2 January 2026, 03:04 UTC``; what is not ISO 8601 is shown as it is."""
    try:
        parsed = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    except ValueError:
        return iso
    if parsed.tzinfo is None:
        return f"{parsed.day} {parsed:%B %Y, %H:%M}"
    return f"{parsed.astimezone(timezone.utc).day} {parsed.astimezone(timezone.utc):%B %Y, %H:%M} UTC"
