"""The ledger: what one run did, with what, for how long, and what it told whom. Written as `run.json`."""

from veilflow.pipelines.ledger.file import LedgerError, read_run, write_run
from veilflow.pipelines.ledger.model import (
    Column,
    Learned,
    Node,
    Objection,
    PipelineFile,
    PolicyInForce,
    Receipt,
    Run,
    RunError,
    Scalar,
    Sent,
    Tab,
    flat_metrics,
    metrics_of,
)

__all__ = [
    "Column",
    "Learned",
    "LedgerError",
    "Node",
    "Objection",
    "PipelineFile",
    "PolicyInForce",
    "Receipt",
    "Run",
    "RunError",
    "Scalar",
    "Sent",
    "Tab",
    "flat_metrics",
    "metrics_of",
    "read_run",
    "write_run",
]
