"""Finding definitions, without SecretFlow where the shipped file knows them."""

import json
import subprocess
import sys
from importlib import metadata, resources

import pytest

from veilflow.pipelines.catalog import Attribute, Bound, Catalog, Definition, Input, Output, UnknownVersion, store
from veilflow.pipelines.catalog.definition import from_json, to_json

OLD = Definition(
    "demo/tool:1.2.0", "m", attributes=(Attribute("new", "int", since=2), Attribute("gone", "int", until=0))
)
NEW = Definition("demo/tool:2.0.1", "m")


def test_the_shipped_file_is_what_the_live_registry_says():
    """The slow one: imports SecretFlow and every component in a process of its own."""
    code = "from veilflow.pipelines.catalog.__main__ import shipped_text; print('\\n#' + shipped_text())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    live = done.stdout.split("\n#", 1)[1].rstrip("\n")
    shipped = resources.files("veilflow.components").joinpath("catalog.json").read_text(encoding="utf-8").rstrip("\n")
    assert shipped == live, "run `python -m veilflow.pipelines.catalog`"


def test_parameters_that_are_gone_are_not_offered():
    assert [attribute.path for attribute in Catalog([OLD]).find("demo/tool").attributes] == ["new"]


def test_without_a_version_the_newest_is_meant():
    assert Catalog([NEW, OLD]).find("demo/tool") == NEW


def test_an_older_minor_of_a_major_that_is_there_is_served_as_it_was():
    found = Catalog([NEW, OLD]).find("demo/tool:1.0.5")
    assert found is not None
    assert found.id == "demo/tool:1.0.5"
    assert [attribute.path for attribute in found.attributes] == ["gone"]
    newest = Catalog([OLD]).find("demo/tool:1.2.0")
    assert newest is not None
    assert [attribute.path for attribute in newest.attributes] == ["new"]


@pytest.mark.parametrize("version", ["1.3.0", "3.0.0"])
def test_a_version_that_is_not_there_says_which_are(version):
    with pytest.raises(UnknownVersion, match=f"installed in version 1.2.0, 2.0.1, which does not serve {version}"):
        Catalog([NEW, OLD]).find(f"demo/tool:{version}")


@pytest.mark.parametrize("uses", ["", "tool", "demo/", "demo/tool:1", "demo/tool:x.y.z", "a/b/c", "demo/other"])
def test_what_is_no_component_is_not_found(uses):
    assert Catalog([NEW, OLD]).find(uses) is None


def test_the_registry_is_asked_once_and_only_about_strangers():
    asked = []

    def more() -> Catalog:
        asked.append(1)
        return Catalog([Definition("other/plugin:1.0.0", "p"), NEW])

    catalog = Catalog([OLD], more=more)
    assert catalog.find("demo/tool").id == OLD.id
    assert asked == []
    assert catalog.find("other/plugin").module == "p"
    assert catalog.find("other/missing") is None
    assert catalog.find("other/plugin").module == "p"
    assert asked == [1]
    assert catalog.names() == ["demo/tool", "other/plugin"]


def test_another_secretflow_means_the_live_registry(monkeypatch):
    live = Catalog([NEW])
    monkeypatch.setattr(store, "live", lambda: live)
    monkeypatch.setattr(store.metadata, "version", lambda name: "1.15.0")
    store.load.cache_clear()
    try:
        assert store.load() is live
    finally:
        store.load.cache_clear()


def test_without_secretflow_files_can_still_be_checked(monkeypatch):
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(store.metadata, "version", missing)
    store.load.cache_clear()
    try:
        assert "data_prep/psi" in store.load().names()
    finally:
        store.load.cache_clear()


@pytest.mark.parametrize(("names", "asks"), [(["veilflow"], False), (["veilflow", "theirs"], True)])
def test_plugins_of_other_packages_are_looked_for_in_the_live_registry(monkeypatch, names, asks):
    entries = [metadata.EntryPoint(name, "m:f", store.PLUGIN_GROUP) for name in names]
    monkeypatch.setattr(store.metadata, "entry_points", lambda group: entries)
    monkeypatch.setattr(store, "live", lambda: Catalog([Definition("their/own:1.0.0", "t")]))
    assert (store.shipped().find("their/own") is not None) == asks


def test_json_keeps_everything():
    definition = Definition(
        "a/b:1.0.0",
        "m",
        "doc",
        (Input("x", ("t",), "d", True, True, 1, 3, 1, 2),),
        (Output("y", ("t", "u"), "d", 1, 2),),
        (
            Attribute("p", "float", "d", True, True, [0.5], (0.5, 1.0), Bound(0.0, True), Bound(1.0, False), 1, 2),
            Attribute("q", "columns", wire="input/x/q", table="x", since=1, until=2),
            Attribute("r", "bool", default=False),
        ),
        ("spu",),
    )
    assert from_json(json.loads(json.dumps(to_json(definition)))) == definition
    text = store.dump([definition, OLD], "9")
    parsed = store.parse(json.loads(text))
    assert list(parsed) == [definition, OLD]
    assert parsed.secretflow == "9"
