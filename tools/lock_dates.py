"""Print name, version and day of publication of every package of a `pylock.toml`, one a line, tab-separated."""

import sys
from pathlib import Path
from typing import Any

import tomllib


def rows(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, version, ISO day of its earliest file), sorted by name."""
    found = []
    for package in document["packages"]:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        days = sorted(str(file["upload-time"].date()) for file in files if "upload-time" in file)
        found.append((package["name"], package["version"], days[0] if days else "unknown"))
    return sorted(found)


if __name__ == "__main__":
    for row in rows(tomllib.loads(Path(sys.argv[1]).read_text())):
        print("\t".join(row))
