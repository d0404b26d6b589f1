"""The shape of `run.json`, version 1.

Everything in it is public to every party of the run: parameters, schemas, counts, reports, metrics. No cell values.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _defined(value: Any) -> Any:
    """JSON has no NaN and no infinity: what is undefined is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Scalar = Annotated[bool | int | float | str | None, BeforeValidator(_defined)]
"""One reported value; null stands for undefined or missing."""


class Strict(BaseModel):
    """Unknown fields are errors; values keep their types."""

    model_config = ConfigDict(extra="forbid", strict=True, validate_assignment=True)


class Column(Strict):
    """A column of a reported table."""

    name: str
    type: str = ""
    """``bool``, ``int``, ``float`` or ``str``."""
    desc: str = ""


class Tab(Strict):
    """One part of a component's report: named values, or a table."""

    name: str
    desc: str = ""
    kind: Literal["values", "table"]
    values: dict[str, Scalar] = Field(default_factory=dict)
    columns: list[Column] = Field(default_factory=list)
    rows: list[list[Scalar]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _rows_fit_the_columns(self) -> "Tab":
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"tab '{self.name}': a row has not {len(self.columns)} cells, one per column")
        return self

    def column(self, name: str) -> list[Scalar]:
        """The cells of a column, top to bottom; KeyError if there is none of this name."""
        at = {column.name: index for index, column in enumerate(self.columns)}[name]
        return [row[at] for row in self.rows]


class Receipt(Strict):
    """A protection that fired, with its public parameters."""

    protection: str
    party: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class Learned(Strict):
    """A line of the disclosure table: after the step, ``to`` know ``what`` about ``about``'s data."""

    to: list[str]
    """Party names, or ``*`` for all."""
    what: str
    about: list[str] = Field(default_factory=list)
    note: str = ""
    kind: str = "other"
    """What it is about, in the words of policy files (`components.claims.KINDS`)."""


class Objection(Strict):
    """Something a policy does not allow."""

    step: str
    rule: str
    """Where in the policy, such as ``forbid rule 2``."""
    what: str
    reason: str
    """The policy's own words."""
    kind: str = ""
    """Of a disclosure line; empty where it is about a component or a protection."""
    to: list[str] = Field(default_factory=list)
    about: list[str] = Field(default_factory=list)


class PolicyInForce(Strict):
    """A policy that was asked before anything started."""

    name: str
    sha256: str
    """Of its content, see `pipelines.policy.digest`."""
    path: str = ""
    verdict: Literal["allowed", "refused"]
    private: bool = False
    """Of this party's own: not compared with the others', and named in this party's run.json only."""
    description: str = ""
    objections: list[Objection] = Field(default_factory=list)


class Sent(Strict):
    """Objects that one party sent another in a step, as its egress check saw them."""

    sender: str
    to: str
    what: str
    kind: str
    type: str = ""
    """dtype and shape of an array."""
    objects: int
    bytes: int


class Node(Strict):
    """A step of the pipeline and what became of it."""

    name: str
    component: str
    status: Literal["ran", "cached", "failed", "skipped"]
    seconds: float = 0.0
    seconds_by_party: dict[str, float] = Field(default_factory=dict)
    bytes_sent: dict[str, int] = Field(default_factory=dict)
    """Per party, to all peers together."""
    takes_part: list[str] = Field(default_factory=list)
    needs: dict[str, list[str]] = Field(default_factory=dict)
    """Input name -> ``node.output`` references."""
    metrics: dict[str, Scalar] = Field(default_factory=dict)
    report: list[Tab] = Field(default_factory=list)
    receipts: list[Receipt] = Field(default_factory=list)
    sent: list[Sent] = Field(default_factory=list)
    """Empty for a cached step; links inside SPU and PSI do not pass the egress check."""
    discloses: list[Learned] = Field(default_factory=list)

    def tab(self, name: str) -> Tab | None:
        """The first tab of this name."""
        return next((tab for tab in self.report if tab.name == name), None)


class PipelineFile(Strict):
    """The pipeline file that was run."""

    path: str
    sha256: str
    overrides: list[str] = Field(default_factory=list)
    """``node.param=value``, as given on the command line."""


class RunError(Strict):
    """Why a run ended early."""

    exit_code: int
    node: str | None = None
    party: str | None = None
    message: str
    log: str | None = None
    """Where the party's own log is."""


class Run(Strict):
    """One run of a pipeline, as one launcher saw it."""

    version: Literal[1] = 1
    name: str
    status: Literal["ok", "failed", "refused", "running"]
    mode: Literal["simulation", "party"]
    party: str | None = None
    """In mode ``party``: whose run this is."""
    file: PipelineFile
    versions: dict[str, str] = Field(default_factory=dict)
    started: str
    """ISO 8601 with time zone."""
    seconds: float = 0.0
    parties: list[str]
    error: RunError | None = None
    nodes: list[Node] = Field(default_factory=list)
    metrics: dict[str, Scalar] = Field(default_factory=dict)
    """``node.metric`` -> value, of all nodes."""
    policies: list[PolicyInForce] = Field(default_factory=list)


def metrics_of(tabs: Iterable[Tab]) -> dict[str, Scalar]:
    """A node's metrics: the values of its report's tabs named ``metrics``."""
    found: dict[str, Scalar] = {}
    for tab in tabs:
        if tab.name == "metrics" and tab.kind == "values":
            found.update(tab.values)
    return found


def flat_metrics(nodes: Iterable[Node]) -> dict[str, Scalar]:
    """All nodes' metrics under ``node.metric``."""
    return {f"{node.name}.{name}": value for node in nodes for name, value in node.metrics.items()}
