"""SecretFlow finds every component of ours through the plugin entry point."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest

import veilflow.components


def loaded(ctx: object) -> list[str]:
    """At a party: the modules the plugin imports."""
    from veilflow.components.plugin import load_components

    return load_components()


@pytest.mark.cluster
def test_every_component_module_is_loaded(veilflow_cluster):
    (root,) = veilflow.components.__path__
    files = Path(root).rglob("component.py")
    expected = [f"veilflow.components.{'.'.join(file.relative_to(root).with_suffix('').parts)}" for file in files]
    found = veilflow_cluster.call(loaded)
    assert found["hospital"] == sorted(expected)
    assert "veilflow.components.data.read.component" in expected


def test_the_entry_point_names_the_plugin():
    (entry,) = entry_points(group="secretflow_plugins", name="veilflow")
    assert entry.value == "veilflow.components.plugin:plugin"
