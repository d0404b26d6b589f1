"""SecretFlow's door to our components: the entry point of group `secretflow_plugins`."""

import pkgutil
from importlib import import_module

import veilflow.components


def load_components() -> list[str]:
    """Import every module called ``component`` below `veilflow.components`, which registers what it defines.

    Returns:
        The names of these modules, sorted.
    """
    found = pkgutil.walk_packages(veilflow.components.__path__, "veilflow.components.", onerror=_refuse)
    modules = sorted(module.name for module in found if module.name.endswith(".component"))
    for name in modules:
        import_module(name)
    return modules


def plugin() -> None:
    """Called by SecretFlow when it loads plugins. We bring no resources of our own, so no `Plugin` is returned."""
    load_components()


def _refuse(package: str) -> None:
    raise ImportError(f"{package} cannot be imported: its components would be missing from the registry.")
