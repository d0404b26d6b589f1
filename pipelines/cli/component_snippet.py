"""A step for a component, ready to paste: what is required filled with placeholders, the rest as comments."""

import json
import re
from typing import Any

from veilflow.pipelines.catalog import Attribute, Definition
from veilflow.pipelines.spec.document import parse_value

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")


def snippet(definition: Definition) -> str:
    """YAML for one entry of ``nodes:``. Valid once the capital placeholders are replaced, comments put in or not."""
    lines = [f"  {definition.key.split('/', 1)[1]}:", f"    uses: {definition.key}"]
    needs = [f"{entry.name}: {_needs(entry.variable)}" for entry in definition.inputs if not entry.optional]
    if needs:
        lines.append(f"    needs: {{{', '.join(needs)}}}")
    children = definition.children()
    required = [_line(definition, child) for child in children if _is_required(definition, child)]
    optional = [_line(definition, child) for child in children if not _is_required(definition, child)]
    if required:
        lines += ["    with:", *(f"      {line}" for line in required)]
    elif optional:
        lines.append("    # with:")
    return "\n".join([*lines, *(f"    #   {line}" for line in optional)])


def _needs(variable: bool) -> str:
    return "[NODE.OUTPUT]" if variable else "NODE.OUTPUT"


def _line(definition: Definition, attribute: Attribute) -> str:
    return f"{attribute.name}: {yaml_value(example(definition, attribute))}"


def _is_required(definition: Definition, attribute: Attribute) -> bool:
    if attribute.type == "struct":
        return any(_is_required(definition, child) for child in definition.children(attribute.path))
    if attribute.type == "union":
        chosen = definition.attribute(f"{attribute.path}/{attribute.default}")
        return chosen is not None and _is_required(definition, chosen)
    return attribute.required


def example(definition: Definition, attribute: Attribute) -> Any:
    """A value that fits: the default, or a placeholder."""
    if attribute.type == "struct":
        children = definition.children(attribute.path)
        return {child.name: example(definition, child) for child in children}
    if attribute.type == "union":
        chosen = definition.attribute(f"{attribute.path}/{attribute.default}")
        if chosen is None or chosen.type == "choice":
            return attribute.default
        return {attribute.default: example(definition, chosen)}
    if attribute.default is not None:
        return attribute.default
    if attribute.many:
        return [_placeholder(attribute)] * max(1, attribute.min_items)
    return _placeholder(attribute)


def _placeholder(attribute: Attribute) -> Any:
    if attribute.choices:
        return attribute.choices[0]
    if attribute.type in ("int", "float"):
        return _number(attribute)
    return {"party": "PARTY", "columns": "COLUMN", "string": "TEXT", "bool": True, "protobuf": {}}[attribute.type]


def _number(attribute: Attribute) -> float:
    low, high = attribute.lower, attribute.upper
    if low is not None and high is not None and not low.closed:
        middle = (low.value + high.value) / 2
        return int(middle) if attribute.type == "int" else middle
    if low is not None:
        return low.value if low.closed else low.value + 1
    return 0 if high is None else high.value - 1


def yaml_value(value: Any) -> str:
    """A value as YAML in flow style; text is quoted where YAML would read something else."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(yaml_value(entry) for entry in value)}]"
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and parse_value(value) == value else json.dumps(value)
    return json.dumps(value)
