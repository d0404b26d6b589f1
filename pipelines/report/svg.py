"""SVG elements as escaped markup. Colours and fonts come from the page's style sheet by class."""

from collections.abc import Iterable, Mapping

from markupsafe import Markup, escape

Attribute = str | int | float


def element(name: str, attributes: Mapping[str, Attribute] | None = None, *children: str | Markup) -> Markup:
    """``<name ...>children</name>``; attribute values and plain text are escaped, `Markup` children are kept."""
    written = "".join(f' {key}="{escape(number(value))}"' for key, value in (attributes or {}).items())
    return Markup(f"<{name}{written}>{''.join(escape(child) for child in children)}</{name}>")


def number(value: Attribute) -> str:
    """Coordinates with one decimal and no trailing zeros."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(x: float, y: float, content: str, css: str, anchor: str = "start") -> Markup:
    """A line of text with its baseline at ``y``."""
    return element("text", {"x": float(x), "y": float(y), "class": css, "text-anchor": anchor}, content)


def picture(width: float, height: float, title: str, children: Iterable[Markup], css: str = "") -> Markup:
    """A drawing that shrinks with the page but never beyond its natural size; ``title`` is its alternative text."""
    attributes: dict[str, Attribute] = {
        "class": f"picture {css}".strip(),
        "viewBox": f"0 0 {number(float(width))} {number(float(height))}",
        "style": f"max-width:{number(float(width))}px",
        "role": "img",
        "aria-label": title,
    }
    return element("svg", attributes, *children)
