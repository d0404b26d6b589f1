"""`run.json` as one page a person reads: self-contained HTML, no scripts, no network."""

from veilflow.pipelines.report.render import render

__all__ = ["render"]
