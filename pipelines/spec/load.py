"""A pipeline file -> a valid `Pipeline`, or every problem it has."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from veilflow.pipelines import catalog as catalogs
from veilflow.pipelines.catalog import Catalog
from veilflow.pipelines.spec import overrides as options
from veilflow.pipelines.spec.check import check
from veilflow.pipelines.spec.document import parse
from veilflow.pipelines.spec.model import Pipeline
from veilflow.pipelines.spec.problem import PipelineFileError, Problem
from veilflow.pipelines.spec.structure import read

_LARGEST = 4 * 2**20


def load(path: Path, overrides: Sequence[str] = (), *, catalog: Catalog | None = None) -> Pipeline:
    """Read and check a pipeline file.

    Args:
        path: the YAML file.
        overrides: ``node.param=value`` texts, applied in order.
        catalog: the components to check against; by default those of this installation.

    Raises:
        PipelineFileError: with every problem of the file at once.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise PipelineFileError(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None
    if len(raw) > _LARGEST:
        raise PipelineFileError(str(path), [Problem(f"larger than {_LARGEST >> 20} MiB; this is no pipeline file")])
    return loads(raw, overrides, file=str(path), catalog=catalog)


def loads(
    raw: bytes, overrides: Sequence[str] = (), *, file: str = "pipeline", catalog: Catalog | None = None
) -> Pipeline:
    """`load` from the bytes of a file; ``file`` is its name in messages."""
    document = parse(raw)
    options.apply(document, overrides)
    readable = document.data is not None or not document.problems
    if readable:
        draft = read(document)
        check(document, draft, catalog or catalogs.load())
    if document.problems:
        raise PipelineFileError(file, document.problems)
    assert draft.header is not None, "a file without problems has a header"
    return Pipeline(
        **dict(draft.header),
        nodes=draft.nodes,
        sha256=hashlib.sha256(raw).hexdigest(),
        overrides=tuple(overrides),
    )
