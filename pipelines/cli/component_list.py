"""All components as tables, one per domain."""

import re

from rich.console import RenderableType
from rich.text import Text

from veilflow.pipelines.catalog import Catalog, Definition
from veilflow.pipelines.plan.tables import PlainTable

_OURS = "veilflow"
_PARAGRAPH_END = re.compile(r"\n\s*\n|\n(?=\s*(?:\d+\.|[-*])\s)")
_SENTENCE_END = re.compile(r"\.\s+(?=[A-Z])")


def listing(catalog: Catalog) -> list[RenderableType]:
    """VeilFlow's domains first, then SecretFlow's and other plugins'."""
    domains: dict[tuple[str, str], list[Definition]] = {}
    for definition in catalog:
        package = definition.module.split(".", 1)[0]
        domains.setdefault((package, definition.domain), []).append(definition)
    parts: list[RenderableType] = []
    for package, domain in sorted(domains, key=lambda entry: (entry[0] != _OURS, entry)):
        parts += [Text.assemble((domain, "bold"), (f"  {package}", "dim")), _table(domains[package, domain]), ""]
    count = sum(len(found) for found in domains.values())
    return [*parts, f"{count} components. `veilflow components NAME` explains one."]


def _table(definitions: list[Definition]) -> PlainTable:
    table = PlainTable("name", "about", kept=("name",))
    table.show_header = False
    for definition in definitions:
        table.add_row(Text(f"  {definition.key}", style="cyan"), first_sentence(definition.doc))
    return table


def first_sentence(doc: str) -> str:
    """The first sentence of a description, on one line."""
    paragraph = " ".join(_PARAGRAPH_END.split(doc.strip(), maxsplit=1)[0].split())
    return _SENTENCE_END.split(paragraph, maxsplit=1)[0].rstrip(".,;:")
