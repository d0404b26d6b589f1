"""Policy files -> valid policies, or every problem they have, each with its line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from veilflow.pipelines import catalog as catalogs
from veilflow.pipelines.catalog import Catalog
from veilflow.pipelines.policy.model import Components, Policy, Require, Selector
from veilflow.pipelines.policy.problems import report
from veilflow.pipelines.spec.document import Document, parse
from veilflow.pipelines.spec.problem import Path as Place
from veilflow.pipelines.spec.problem import PipelineFileError, Problem, closest
from veilflow.pipelines.spec.values import described

_LARGEST = 2**20


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy and where it came from."""

    policy: Policy
    file: str
    private: bool = False
    """Of one party's own: enforced at that party, neither compared with the others nor told them."""


def load_policies(files: Sequence[Path], *, private: bool = False) -> list[LoadedPolicy]:
    """`load_policy` for several files; the same name twice is an error.

    Raises:
        PipelineFileError: for the first file that has problems, with all of them.
    """
    loaded = [load_policy(file, private=private) for file in files]
    require_distinct(loaded)
    return loaded


def require_distinct(loaded: Iterable[LoadedPolicy]) -> None:
    """No two policies have one name: a refusal must say clearly which one refuses.

    Raises:
        PipelineFileError: two have.
    """
    first: dict[str, str] = {}
    for each in loaded:
        name = each.policy.name
        if name in first:
            raise PipelineFileError(each.file, [Problem(f"name '{name}' is taken by {first[name]}; rename one")])
        first[name] = each.file


def load_policy(file: Path, *, private: bool = False, catalog: Catalog | None = None) -> LoadedPolicy:
    """Read and check a policy file.

    Raises:
        PipelineFileError: with every problem of the file at once.
    """
    try:
        with file.open("rb") as source:
            raw = source.read(_LARGEST + 1)
    except OSError as error:
        raise PipelineFileError(str(file), [Problem(f"cannot be read: {error.strerror}")]) from None
    if len(raw) > _LARGEST:
        raise PipelineFileError(str(file), [Problem(f"larger than {_LARGEST >> 20} MiB; this is no policy file")])
    return LoadedPolicy(loads_policy(raw, file=str(file), catalog=catalog), str(file), private)


def loads_policy(raw: bytes, *, file: str = "policy", catalog: Catalog | None = None) -> Policy:
    """`load_policy` from the bytes of a file; ``file`` is its name in messages.

    Args:
        catalog: the components that patterns are checked against; by default those of this installation.
    """
    document = parse(raw)
    if document.data is None:
        if not document.problems or not raw.strip():
            document.problems[:] = [Problem("the file is empty; a policy has version, name and default", line=1)]
        raise PipelineFileError(file, document.problems)
    policy = _read(document)
    if policy is not None:
        _check_components(document, policy, catalog or catalogs.load())
    if document.problems:
        raise PipelineFileError(file, document.problems)
    assert policy is not None, "a file without problems is a policy"
    return policy


def _read(document: Document) -> Policy | None:
    if not isinstance(document.data, dict):
        message = f"expected a mapping with version, name, default and rules, got {described(document.data)}"
        document.problem((), message)
        return None
    return report(Policy, document.data, document)


def _check_components(document: Document, policy: Policy, catalog: Catalog) -> None:
    """A pattern that fits no component is a slip of the pen, and its rule would never bite."""
    names = catalog.names()
    ids = [definition.id for definition in catalog]
    for place, pattern in _patterns(policy):
        if any(fnmatchcase(name, pattern) for name in (*names, *ids)):
            continue
        near = closest(pattern, names)
        hint = f"; did you mean '{near}'?" if near else "; `veilflow components` lists them"
        document.problem(place, f"'{pattern}' fits no component{hint}")


def _patterns(policy: Policy) -> Iterable[tuple[Place, str]]:
    sections: dict[str, Sequence[Selector | Require]] = {
        "forbid": policy.forbid,
        "allow": policy.allow,
        "require": policy.require,
    }
    for section, rules in sections.items():
        for index, rule in enumerate(rules):
            for pattern in rule.component or ():
                yield (section, index, "component"), pattern
    found: Components | None = policy.components
    if found is not None:
        for key in ("allow", "forbid"):
            for pattern in getattr(found, key) or ():
                yield ("components", key), pattern
