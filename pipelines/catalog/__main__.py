"""``python -m veilflow.pipelines.catalog`` writes `components/catalog.json` anew from the live registry.

Only SecretFlow's components and ours go into the file; other plugins' are found through the live registry.
"""

from importlib import metadata, resources
from pathlib import Path

from veilflow.pipelines.catalog.store import dump


def shipped_text() -> str:
    """What `catalog.json` ought to hold for the installed packages."""
    from veilflow.pipelines.party.registry import definitions

    ours = [d for d in definitions() if d.module.split(".", 1)[0] in ("secretflow", "veilflow")]
    return dump(ours, metadata.version("secretflow"))


def main() -> None:
    """Write the file and say how many components it holds."""
    text = shipped_text()
    with resources.as_file(resources.files("veilflow.components")) as folder:
        Path(folder, "catalog.json").write_text(text, encoding="utf-8")
    print(f"components/catalog.json: {text.count(chr(10)) - 3} components")


if __name__ == "__main__":
    main()
