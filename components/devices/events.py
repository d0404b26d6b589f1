"""What a running component tells its surroundings: progress, and receipts of protections that fired.

Under VeilFlow's own party runtime both reach the run's ledger; under SecretFlow's `comp_eval` progress goes to
SecretFlow's progressor and receipts to the log.
"""

import logging
from typing import Any

from secretflow.component.core import Context

log = logging.getLogger("veilflow")


def progress(ctx: Context, fraction: float, **values: float | int | str) -> None:
    """Report that ``fraction`` (0 to 1) of the step is done, with public values such as the epoch and its loss."""
    ctx.update_progress(float(fraction), {key: str(value) for key, value in values.items()})


def sizes(ctx: Context, **values: int) -> None:
    """Make known what the names in the step's `Claims.sends` stand for, such as ``batch=64``; before what they describe
    is sent, the same at every party. Public figures only."""
    record = getattr(ctx, "record_sizes", None)
    if record is not None:
        record({name: int(value) for name, value in values.items()})


def receipt(ctx: Context, protection: str, **parameters: Any) -> None:
    """Record that ``protection`` fired, with its public parameters (never data)."""
    record = getattr(ctx, "record_receipt", None)
    if record is None:
        log.info("receipt %s %s", protection, parameters)
    else:
        record(protection, parameters)
