"""How a command ends: exit codes, and what is printed for each kind of end.

0 ok, 1 a bug of ours, 2 wrong usage (click's own), 3 an invalid pipeline, 4 a party failed, 5 refused by a policy.
"""

import os
import sys
import tempfile
import traceback
from typing import NoReturn

import click


class InvalidPipeline(click.ClickException):
    """The files given cannot run; nothing has started."""

    exit_code = 3


class PartyFailure(click.ClickException):
    """A party failed while the pipeline ran."""

    exit_code = 4


class Refused(click.ClickException):
    """A policy forbids what the pipeline would do; nothing has started."""

    exit_code = 5


def debugging(context: click.Context) -> bool:
    """Whether the user wants tracebacks: ``--debug``, or VEILFLOW_DEBUG set to anything but 0."""
    return bool(context.params.get("debug")) or os.environ.get("VEILFLOW_DEBUG", "0") not in ("", "0")


def end(error: Exception, debug: bool) -> NoReturn:
    """Turn an exception into the right end of the command.

    Raises:
        InvalidPipeline: for a pipeline file with problems.
        Exception: ``error`` itself when debugging.
        SystemExit: with code 1, after one line and a log for the traceback, for everything unexpected.
    """
    from veilflow.pipelines.spec.problem import PipelineFileError  # here, so that `--help` stays light

    if isinstance(error, PipelineFileError):
        raise InvalidPipeline(str(error)) from error
    if debug:
        raise error
    handle, log = tempfile.mkstemp(prefix="veilflow-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    first = (str(error).splitlines() or [""])[0]
    click.echo(f"Error: a bug in VeilFlow: {type(error).__name__}: {first}", err=True)
    click.echo(f"The traceback is in {log}; --debug prints it here.", err=True)
    sys.exit(1)
