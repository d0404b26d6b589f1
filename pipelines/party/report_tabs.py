"""SecretFlow's Report protobuf as the ledger's tabs.

Reports come from our own components (`components/devices/report.py`) and from SecretFlow's, which nest divisions in
divisions, leave types out, and put row names beside the cells. Every table and every group of values in a report
becomes one tab; a path of names tells where it stood.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from secretflow_spec.v1.component_pb2 import Attribute
from secretflow_spec.v1.data_pb2 import DistData
from secretflow_spec.v1.report_pb2 import Descriptions, Div, Report, Table

from veilflow.pipelines.ledger import Column, Scalar, Tab

_ZERO: dict[str, Scalar] = {"bool": False, "int": 0, "float": 0.0, "str": ""}
_Leaf: TypeAlias = Descriptions | Table


def tabs_from_report(dist_data: DistData) -> list[dict[str, Any]]:
    """The tabs of a report, in order, each as JSON-able fields of `ledger.Tab`.

    Args:
        dist_data: of type ``sf.report``; one without content (SecretFlow writes these too) has no tabs.

    Raises:
        ValueError: ``dist_data`` is not a report.
    """
    if dist_data.type != "sf.report":
        raise ValueError(f"tabs_from_report: expected a DistData of type sf.report, got '{dist_data.type}'.")
    report = Report()
    dist_data.meta.Unpack(report)
    tabs = [found for tab in report.tabs for found in _tabs(tab.name or report.name, tab.desc, list(tab.divs))]
    return [tab.model_dump(mode="json") for tab in tabs]


def _tabs(name: str, desc: str, divs: list[Div]) -> list[Tab]:
    leaves = [leaf for div in divs for leaf in _leaves(div, ())]
    if len(leaves) == 1:
        path, leaf = leaves[0]
        return [_tab(name or leaf.name or next(iter(path), "report"), desc or leaf.desc, leaf)]
    return [_tab(" / ".join(_distinct([name, *path, leaf.name])), leaf.desc or desc, leaf) for path, leaf in leaves]


def _leaves(div: Div, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _Leaf]]:
    path = (*above, div.name)
    for child in div.children:
        # The declared type may be missing; what is set tells.
        if child.HasField("descriptions"):
            yield path, child.descriptions
        elif child.HasField("table"):
            yield path, child.table
        elif child.HasField("div"):
            yield from _leaves(child.div, path)


def _distinct(names: list[str]) -> list[str]:
    """The names without empty ones and without immediate repetitions."""
    kept: list[str] = []
    for name in names:
        if name and name != (kept[-1] if kept else ""):
            kept.append(name)
    return kept or ["report"]


def _tab(name: str, desc: str, leaf: _Leaf) -> Tab:
    if isinstance(leaf, Descriptions):
        return Tab(name=name, desc=desc, kind="values", values=_values(leaf))
    columns = [Column(name=head.name, type=head.type, desc=head.desc) for head in leaf.headers]
    rows = [[_scalar(cell, column.type) for cell, column in zip(row.items, columns, strict=True)] for row in leaf.rows]
    if any(row.name != str(index) for index, row in enumerate(leaf.rows)):
        columns.insert(0, Column(name="row", type="str"))
        rows = [[line.name, *row] for line, row in zip(leaf.rows, rows, strict=True)]
    return Tab(name=name, desc=desc, kind="table", columns=columns, rows=rows)


def _values(leaf: Descriptions) -> dict[str, Scalar]:
    values: dict[str, Scalar] = {}
    for item in leaf.items:
        name, again = item.name, 2
        while name in values:
            name, again = f"{item.name} ({again})", again + 1
        values[name] = _scalar(item.value, item.type)
    return values


def _scalar(value: Attribute, declared: str) -> Scalar:
    """The one field that is set. None set means zero, false or empty: protobuf does not send those."""
    if value.is_na:
        return None
    fields = value.ListFields()
    if not fields:
        return _ZERO.get(declared)
    content = fields[0][1]
    if isinstance(content, (bool, int, str)):
        return content
    if isinstance(content, float):
        return _decimal(content)
    return ", ".join(str(_decimal(each) if isinstance(each, float) else each) for each in content)


def _decimal(value: float) -> float:
    """The number that was written: reports carry 32-bit floats, in which 0.1 reads 0.10000000149."""
    return float(str(np.float32(value)))
