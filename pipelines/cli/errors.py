"""How a command ends: exit codes, and what is printed for each kind of end.

0 ok, 1 a bug of ours, 2 wrong usage (click's own) or a file, a folder or a disk that cannot be used, 3 an invalid
pipeline, 4 a party failed, 5 refused by a policy, 130 interrupted.
"""

import os
import sys
import tempfile
import traceback
from typing import NoReturn

import click

from veilflow.components.machine import refusal
from veilflow.pipelines.cli.say import say

INTERRUPTED = 130
"""As shells count a process that the user interrupted."""


class Unusable(click.ClickException):
    """A file, a folder or the machine as it is cannot be used for this."""

    exit_code = 2


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
        Unusable: for what the machine refuses, such as a full disk.
        Exception: ``error`` itself when debugging.
        SystemExit: with code 1, after one line and a log for the traceback, for everything unexpected.
    """
    from veilflow.pipelines.spec.problem import PipelineFileError  # here, so that `--help` stays light

    if isinstance(error, PipelineFileError):
        raise InvalidPipeline(str(error)) from error
    if debug:
        raise error
    if _nowhere():
        raise Unusable("the working directory is not there any more; change to another one.") from error
    if advice := refusal(error):
        raise Unusable(f"{_place(error)}{advice}.") from error
    first = (str(error).splitlines() or [""])[0]
    say(f"Error: a bug in VeilFlow: {type(error).__name__}: {first}", err=True)
    try:
        handle, log = tempfile.mkstemp(prefix="veilflow-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
        say(f"The traceback is in {log}; --debug prints it here.", err=True)
    except OSError:
        say("--debug prints the traceback; no temporary file could be written for it.", err=True)
    sys.exit(1)


def _nowhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _place(error: Exception) -> str:
    name = error.filename if isinstance(error, OSError) else None
    return "" if name is None else f"{os.fsdecode(name) if isinstance(name, (str, bytes)) else name}: "
