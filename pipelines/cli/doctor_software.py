"""Checks of what is installed."""

import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

from veilflow.pipelines import catalog
from veilflow.pipelines.catalog.store import PLUGIN_GROUP
from veilflow.pipelines.cli.doctor_finding import Finding

_AGAIN = "run `make setup`, which installs the locked versions"
_IMPORT_SECONDS = 180


def findings() -> Iterator[Finding]:
    """Python, packages, plugin, catalog."""
    yield python()
    yield packages()
    yield plugin()
    yield shipped_catalog()


def python() -> Finding:
    """SPU has wheels for CPython 3.10 (with SecretFlow's own pins) and 3.11 (our lock)."""
    found = f"{platform.python_implementation()} {platform.python_version()}"
    good = found.startswith(("CPython 3.10.", "CPython 3.11."))
    fix = "install Python 3.11 (for example `pyenv install 3.11`) and run `make setup`"
    return Finding(
        "Python", "ok" if good else "wrong", found if good else f"{found}, needs CPython 3.11 (or 3.10)", fix
    )


def packages() -> Finding:
    """Every dependency at a version that our pins allow."""
    try:
        required = metadata.requires("veilflow") or []
    except metadata.PackageNotFoundError:
        return Finding("packages", "wrong", "veilflow itself is not installed", _AGAIN)
    bad = [problem for text in required if (problem := _mismatch(text))]
    if bad:
        return Finding("packages", "wrong", "; ".join(bad), _AGAIN)
    shown = ", ".join(f"{name} {metadata.version(name)}" for name in ("secretflow", "spu", "jax"))
    return Finding("packages", "ok", f"as pinned ({shown})")


def _mismatch(text: str) -> str | None:
    from packaging.requirements import Requirement

    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    try:
        found = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing, needs {requirement.specifier}"
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name} is {found}, needs {requirement.specifier}"


def plugin() -> Finding:
    """SecretFlow finds our components through this entry point."""
    entries = metadata.entry_points(group=PLUGIN_GROUP)
    others = sorted(entry.name for entry in entries if entry.name != "veilflow")
    if all(entry.name != "veilflow" for entry in entries):
        return Finding("plugin", "wrong", f"SecretFlow sees no entry point 'veilflow' in {PLUGIN_GROUP}", _AGAIN)
    also = f"; also {', '.join(others)}" if others else ""
    return Finding("plugin", "ok", f"SecretFlow sees our components{also}")


def shipped_catalog() -> Finding:
    """`check` is only fast when the catalog was written for the SecretFlow that is installed."""
    shipped = catalog.shipped()
    count = len(list(shipped))
    try:
        installed = metadata.version("secretflow")
    except metadata.PackageNotFoundError:
        return Finding(
            "catalog", "note", f"{count} components; SecretFlow is not installed, so nothing can run", _AGAIN
        )
    if installed != shipped.secretflow:
        detail = f"written for secretflow {shipped.secretflow}, installed is {installed}: check and plan are slow"
        return Finding("catalog", "note", detail, "run `python -m veilflow.pipelines.catalog`")
    return Finding("catalog", "ok", f"{count} components")


def imports() -> Finding:
    """Import SecretFlow and every plugin in a process of its own, as a party does."""
    code = "from veilflow.pipelines.party.registry import definitions; print(len(definitions()))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_IMPORT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        detail = f"importing SecretFlow takes longer than {_IMPORT_SECONDS} s"
        return Finding("import", "wrong", detail, "close other programs, or use a faster machine")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        return Finding("import", "wrong", f"SecretFlow cannot be imported: {last}", _AGAIN)
    return Finding("import", "ok", f"SecretFlow and {done.stdout.split()[-1]} components")
