"""A digest of what the locks are made from, kept in tools/lock/inputs.sha256: a lock with another one is stale.

python tools/lock_inputs.py            # says whether the locks are made from today's files; exit code 1 if not
python tools/lock_inputs.py --write    # done by `make lock`
"""

import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "tools" / "lock" / "inputs.sha256"
LISTS = ("tools/lock/overrides.txt", "tools/lock/stock.txt", "tools/lock/uv.in", "tools/lock/audit.in")
LOCKS = ("requirements.txt", "requirements-stock.txt", "tools/lock/uv.txt", "tools/lock/audit.txt")


def digest(root: Path = ROOT) -> str:
    """SHA-256 of the declared dependencies, the lists beside them and the locks themselves."""
    found = hashlib.sha256()
    for entry in _declared(root / "pyproject.toml"):
        found.update(f"{entry}\n".encode())
    for name in (*LISTS, *LOCKS):
        lines = (root / name).read_text().splitlines()
        found.update("\n".join(line.split("#")[0].rstrip() for line in lines if line.split("#")[0].strip()).encode())
    return found.hexdigest()


def _declared(path: Path) -> list[str]:
    """The lines of `requires-python`, `dependencies` and the extras, without comments."""
    kept, inside = [], False
    for line in path.read_text().splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("[") and text.endswith("]"):
            inside = text in ("[project]", "[project.optional-dependencies]")
        elif inside and text and not text.startswith(("version", "description", "readme")):
            kept.append(text)
    return kept


def main() -> int:
    """Command line; see the top."""
    if "--write" in sys.argv[1:]:
        RECORD.write_text(digest() + "\n")
        return 0
    if RECORD.read_text().strip() == digest():
        return 0
    print("The locks are not made from today's pyproject.toml and tools/lock/: run `make lock`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
