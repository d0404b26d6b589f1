"""Finding a definition: in the shipped `catalog.json` first, in the live registry where that cannot know.

The live registry is asked when the installed SecretFlow is not the one the file was written for, or when a component is
unknown and other packages have registered plugins.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import metadata, resources
from typing import Any

from veilflow.pipelines.catalog.definition import Definition, from_json, to_json

PLUGIN_GROUP = "secretflow_plugins"
_OURS = "veilflow"
_USES = re.compile(r"(?P<key>[\w.-]+/[\w.-]+)(:(?P<version>\d+\.\d+\.\d+))?")

log = logging.getLogger("veilflow")


class UnknownVersion(LookupError):
    """The component exists, but not in the version asked for; the message says which are there."""


class Catalog:
    """Definitions by id.

    Args:
        definitions: one per component id.
        secretflow: the SecretFlow version they were read from.
        more: called once, when a component is not among them, for definitions that only the live registry knows.
    """

    def __init__(
        self,
        definitions: Iterable[Definition],
        secretflow: str = "",
        more: Callable[[], "Catalog | None"] | None = None,
    ) -> None:
        self._by_key: dict[str, list[Definition]] = {}
        for definition in sorted(definitions, key=lambda d: d.id):
            self._by_key.setdefault(definition.key, []).append(definition)
        self.secretflow = secretflow
        self._more = more

    def __iter__(self) -> Iterator[Definition]:
        return (definition for same in self._by_key.values() for definition in same)

    def names(self) -> list[str]:
        """Every ``domain/name``, sorted."""
        return sorted(self._by_key)

    def find(self, uses: str) -> Definition | None:
        """The definition that ``domain/name`` or ``domain/name:version`` means; None when there is none.

        Without a version the newest is meant; with one, the component must have the same major and at least that minor
        (SecretFlow's own rule), and attributes younger than that minor are hidden.

        Raises:
            UnknownVersion: the component exists, but not in a version that serves the one asked for.
        """
        match = _USES.fullmatch(uses)
        if match is None:
            return None
        same = self._by_key.get(match["key"])
        if same is None:
            wider = self._ask_more()
            return wider.find(uses) if wider else None
        return _serve(same, match["version"] or max((d.version for d in same), key=_numbers))

    def _ask_more(self) -> "Catalog | None":
        ask, self._more = self._more, None
        wider = ask() if ask else None
        if wider is not None:
            for key in wider.names():
                self._by_key.setdefault(key, wider._by_key[key])
        return wider


def _serve(same: list[Definition], version: str) -> Definition:
    wanted = _numbers(version)
    for definition in same:
        major, minor, _ = _numbers(definition.version)
        if major == wanted[0] and minor >= wanted[1]:
            return definition.at(version)
    there = ", ".join(definition.version for definition in same)
    raise UnknownVersion(f"'{same[0].key}' is installed in version {there}, which does not serve {version}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def dump(definitions: Iterable[Definition], secretflow: str) -> str:
    """The text of `catalog.json`: one component a line, sorted, so that a diff shows which component changed."""
    lines = [
        json.dumps(to_json(definition), ensure_ascii=False) for definition in sorted(definitions, key=lambda d: d.id)
    ]
    return f'{{"secretflow": {json.dumps(secretflow)},\n"components": [\n' + ",\n".join(lines) + "\n]}\n"


def parse(raw: Mapping[str, Any], more: Callable[[], Catalog | None] | None = None) -> Catalog:
    """The inverse of `dump`, from parsed JSON."""
    return Catalog([from_json(entry) for entry in raw["components"]], raw["secretflow"], more)


def shipped() -> Catalog:
    """What `catalog.json` says."""
    text = resources.files("veilflow.components").joinpath("catalog.json").read_text(encoding="utf-8")
    return parse(json.loads(text), more=_ask_plugins)


@cache
def load() -> Catalog:
    """The catalog of this installation."""
    found = shipped()
    try:
        installed = metadata.version("secretflow")
    except metadata.PackageNotFoundError:
        return found  # a machine that only checks files
    if installed != found.secretflow:
        log.info("catalog.json is for secretflow %s, installed is %s", found.secretflow, installed)
        return live()
    return found


def live() -> Catalog:
    """The registry itself; imports SecretFlow and every plugin, which takes seconds."""
    from veilflow.pipelines.party.registry import definitions

    return Catalog(definitions(), metadata.version("secretflow"))


def _ask_plugins() -> Catalog | None:
    if all(entry.name == _OURS for entry in metadata.entry_points(group=PLUGIN_GROUP)):
        return None
    return live()
