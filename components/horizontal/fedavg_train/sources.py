"""From the step's inputs to arrays at the clients, with every complaint about columns before any row is read."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from veilflow.components.data.apply import apply_rules
from veilflow.components.data.columns import Columns, common_columns
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.arrays import image_arrays, table_arrays
from veilflow.components.privacy.people import People
from veilflow.components.training.labels import require_number_label
from veilflow.components.training.parts import merge


@dataclass(frozen=True)
class Source:
    """One client's rows: a table's frame and public schema, or images."""

    party: str
    frame: Any
    """A frame, or ``(document, arrays)`` of an image set, at the party."""
    features: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    types: Mapping[str, str] | None = None
    shape: tuple[int, ...] = ()
    """Of one image; empty for a table."""
    labelled: bool = True
    ids: tuple[str, ...] = ()
    """Columns that say whose row it is."""


def agree(sources: Sequence[Source], categories: Mapping[str, tuple[str, ...]]) -> tuple[Columns, tuple[int, ...]]:
    """The columns that all have (none for images), and the shape of one row as a model takes it.

    Raises:
        ComponentError: tables and images together, other columns, other image sizes, a party with two tables, a label
            that is text: decided on public schemas, before any row is looked at.
    """
    parties = [source.party for source in sources]
    twice = sorted({party for party in parties if parties.count(party) > 1})
    if twice:
        raise ComponentError(
            f"{', '.join(twice)} has more than one of the tables; a client brings one: join its files first."
        )
    shapes = {source.shape for source in sources}
    if len(shapes) > 1:
        seen = ", ".join(f"{s.party} {'x'.join(map(str, s.shape)) or 'a table'}" for s in sources)
        raise ComponentError(f"the clients' rows differ in shape: {seen}. Bring tables alone, or images of one size.")
    shape = shapes.pop()
    if shape:
        bare = [source.party for source in sources if not source.labelled]
        if bare:
            raise ComponentError(
                f"the images of {', '.join(bare)} have no labels to train with; read them with labels."
            )
        return Columns((), "label", {}), shape
    features = {source.party: source.features for source in sources}
    labels = {source.party: source.labels for source in sources}
    types = {source.party: source.types or {} for source in sources}
    columns = common_columns(features, labels, types, categories)
    for source in sources:
        require_number_label(source.party, types[source.party].get(columns.label, ""), columns.label)
    return columns, (columns.width,)


def load(source: Source, columns: Columns, rules: Sequence[Any], label: bool = True, both: bool = False) -> Any:
    """``(x, y)`` at the party, after ``rules``; with ``both`` both classes must be there."""

    def arrays(held: Any, *stored: Any) -> tuple[np.ndarray, np.ndarray | None]:
        if isinstance(held, pd.DataFrame):
            return table_arrays(apply_rules(held, [document for document, _ in stored]), columns, label, both)
        return image_arrays(held[1]["images"], held[1].get("labels") if label else None, both)

    return run_on(source.party, arrays, source.frame, *rules)


def row_counts(data: Mapping[str, Any]) -> dict[str, int]:
    """Rows per client, known to all; what failed while they were read is raised here, at every party."""
    counts: dict[str, int] = publish({party: run_on(party, lambda pair: len(pair[0]), d) for party, d in data.items()})
    return {party: counts[party] for party in data}


def rules_at(rules: Sequence[Mapping[str, Any]], party: str) -> list[Any]:
    """The party's part of each rule."""
    lacking = [rule for rule in rules if party not in rule]
    if lacking:
        raise ComponentError(f"a rule has no part for {party}; fit it with data/federated_stats over all clients.")
    return [rule[party] for rule in rules]


def people_digest(held: Any, ids: Sequence[str]) -> str:
    """Names the people whose rows these are, in any order: by ``ids``, where there are any, else by all they hold.

    It stays at its party. Other rules, or fewer columns, do not make other people of them.
    """
    if isinstance(held, pd.DataFrame):
        columns = list(ids) or sorted(held.columns)
        marks = np.sort(pd.util.hash_pandas_object(_comparable(held[columns], bool(ids)), index=False).to_numpy())
        return hashlib.sha256(marks.tobytes()).hexdigest()
    images = np.ascontiguousarray(held[1]["images"])
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(each.tobytes()).digest() for each in images))).hexdigest()


def people_of(held: Any, ids: Sequence[str], features: Sequence[str]) -> People:
    """The people whose rows these are, as the party's own register of budgets knows them. Stays at its party."""
    digest = people_digest(held, ids)
    if not isinstance(held, pd.DataFrame):
        images = np.ascontiguousarray(held[1]["images"])
        hashes = [hashlib.sha256(each.tobytes()).digest()[:8] for each in images]
        return People(digest, ("",), False, lambda _: np.frombuffer(b"".join(hashes), np.uint64))

    def hashes_of(columns: Sequence[str]) -> np.ndarray:
        named = list(columns) or list(ids)
        frame = _comparable(held[named], not columns)
        found: np.ndarray = pd.util.hash_pandas_object(frame, index=False).to_numpy()
        return found

    return People(digest, tuple(sorted(features)), bool(ids), hashes_of)


def _comparable(frame: pd.DataFrame, as_text: bool) -> pd.DataFrame:
    """Values that are the same whatever a file format made of them: see `_written_alike`; numbers to 7 digits.

    Numbers stay numbers where there are many columns: text of 28 columns took 4 s for 100 000 rows.
    """
    number = {name: not as_text and pd.api.types.is_numeric_dtype(frame[name]) for name in frame.columns}
    text = _written_alike if as_text else lambda column: column.astype(str)
    # 0.0 is added since -0.0 has other bits.
    with np.errstate(over="ignore"):
        return pd.DataFrame({n: frame[n].astype(np.float32) + 0.0 if number[n] else text(frame[n]) for n in number})


def _written_alike(ids: pd.Series) -> pd.Series:
    """IDs without what differs from export to export: case, width, blanks, signs between, leading zeros, 7 for 7.0.

    Two people whose IDs differ in nothing else share their budget, which is then too small and never too large.
    """
    text = pa.array(ids.astype(str), pa.string())
    if not pc.all(pc.string_is_ascii(text)).as_py():
        text = pc.utf8_normalize(text, "NFKC")
    text = pc.utf8_lower(text)
    # What nearly no ID has is looked for first: each replacement takes 0.2 s per million.
    plain = text
    if pc.any(pc.match_substring(plain, ".0")).as_py():
        plain = pc.replace_substring_regex(plain, r"^\s*([0-9]+)\.0+\s*$", r"\1")
    if not pc.all(pc.utf8_is_alnum(plain)).as_py():
        plain = pc.replace_substring_regex(plain, r"[^\pL\pN]+", "")
    if pc.any(pc.starts_with(plain, "0")).as_py():
        plain = pc.replace_substring_regex(plain, r"^0+([0-9]+)$", r"\1")
    found = pc.if_else(pc.equal(plain, ""), text, plain)
    return pd.Series(found.to_numpy(zero_copy_only=False), ids.index, object)


def merger(identity: str) -> Any:
    """(part of the model, rules...) -> what a party stores."""
    return lambda part, *rules: merge(identity, {"model": part}, rules)
