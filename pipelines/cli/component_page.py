"""One component in full: what it does, takes and gives, its parameters, and a snippet to paste."""

from rich.console import RenderableType
from rich.text import Text

from veilflow.pipelines.catalog import Attribute, Definition, Input, Output
from veilflow.pipelines.cli.component_snippet import snippet, yaml_value
from veilflow.pipelines.plan.tables import PlainTable
from veilflow.pipelines.spec.values import bounds, counted, expected


def page(definition: Definition) -> list[RenderableType]:
    """The parts of the page, top to bottom."""
    parts: list[RenderableType] = [Text(definition.id, style="bold"), definition.doc.strip(), ""]
    if definition.devices:
        parts += [f"Needs a device of kind {' and '.join(definition.devices)}.", ""]
    if definition.inputs:
        parts += [_title("Inputs"), _io(definition.inputs), ""]
    if definition.outputs:
        parts += [_title("Outputs"), _io(definition.outputs), ""]
    if definition.attributes:
        parts += [_title("Parameters"), _parameters(definition), ""]
    return [*parts, _title("To paste under `nodes:`"), Text(snippet(definition))]


def _title(text: str) -> Text:
    return Text(text, style="bold underline")


def _io(entries: tuple[Input, ...] | tuple[Output, ...]) -> PlainTable:
    table = PlainTable("name", "type", kept=("name",))
    table.show_header = False
    for entry in entries:
        types = " or ".join(kind for kind in entry.types if kind != "sf.null")
        if isinstance(entry, Input) and entry.optional:
            types += "; may be left out"
        if isinstance(entry, Input) and entry.variable:
            types += f"; {counted(entry.min_items, entry.max_items, 'artifact')}"
        table.add_row(Text(f"  {entry.name}", style="cyan"), _with_doc(types, entry.doc))
    return table


def _parameters(definition: Definition) -> PlainTable:
    table = PlainTable("name", "takes", kept=("name",))
    table.show_header = False
    for attribute in definition.attributes:
        indent = "  " * (attribute.path.count("/") + 1)
        name = Text(f"{indent}{attribute.name}", style="cyan")
        table.add_row(name, _with_doc(takes(definition, attribute), attribute.doc))
    return table


def _with_doc(facts: str, doc: str) -> Text:
    line = " ".join(doc.split())
    return Text.assemble(facts, ("\n" + line if line else "", "dim"))


def takes(definition: Definition, attribute: Attribute) -> str:
    """``a whole number, at least 1; default 10``, or what kind of group it is."""
    if attribute.type == "choice":
        return "a choice"
    if attribute.type == "struct":
        parent = definition.attribute(attribute.path.rpartition("/")[0])
        return "a choice, with parameters:" if parent is not None and parent.type == "union" else "parameters:"
    parts = [f"one of {', '.join(str(choice) for choice in attribute.choices)}"] if attribute.choices else []
    if not parts or attribute.many:
        parts.insert(0, expected(attribute))
    if attribute.type == "columns" and attribute.table:
        parts[0] += f" of {attribute.table}"
    if attribute.many and (attribute.min_items or attribute.max_items is not None):
        parts.append(counted(attribute.min_items, attribute.max_items))
    if limits := bounds(attribute):
        parts.append(limits)
    return f"{', '.join(parts)}; {_default(attribute)}"


def _default(attribute: Attribute) -> str:
    if attribute.required:
        return "required"
    return "optional" if attribute.default is None else f"default {yaml_value(attribute.default)}"
