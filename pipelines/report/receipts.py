"""The protections that fired; equal receipts of several parties are one row."""

import json
from dataclasses import dataclass
from typing import Any

from veilflow.pipelines.ledger import Run
from veilflow.pipelines.report.numbers import setting
from veilflow.pipelines.report.words import label, listed


@dataclass(frozen=True)
class ReceiptRow:
    """A protection with its parameters, and at which parties it fired."""

    step: str
    protection: str
    parties: str
    parameters: list[tuple[str, str]]


def receipt_rows(run: Run) -> list[ReceiptRow]:
    """Rows in run order."""
    at: dict[tuple[str, str, str], list[str]] = {}
    for node in run.nodes:
        for receipt in node.receipts:
            key = (node.name, receipt.protection, json.dumps(receipt.parameters, sort_keys=True, default=str))
            parties = at.setdefault(key, [])
            if receipt.party not in parties:
                parties.append(receipt.party)
    return [
        ReceiptRow(
            step, label(protection), listed(parties), [(label(k), _said(v)) for k, v in json.loads(text).items()]
        )
        for (step, protection, text), parties in at.items()
    ]


def _said(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str)):
        return setting(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return listed(value) or "none"
    if isinstance(value, dict) and value:
        return ", ".join(f"{key}: {_said(each)}" for key, each in value.items())
    return json.dumps(value)
