"""What every component accepts and gives, readable without importing SecretFlow.

`components/catalog.json` is written by ``python -m veilflow.pipelines.catalog`` from the live registry. Checking a
pipeline file needs nothing else; only a component that the file does not know (another plugin, another SecretFlow)
makes `Catalog.find` ask the live registry, which costs the seconds that importing SecretFlow takes.
"""

from veilflow.pipelines.catalog.definition import Attribute, Bound, Definition, Input, Output
from veilflow.pipelines.catalog.store import Catalog, UnknownVersion, load, shipped

__all__ = ["Attribute", "Bound", "Catalog", "Definition", "Input", "Output", "UnknownVersion", "load", "shipped"]
