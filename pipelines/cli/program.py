"""The group of all verbs."""

import sys
from importlib import import_module
from typing import Any

import click

import veilflow
from veilflow.pipelines.cli.errors import INTERRUPTED, debugging, end
from veilflow.pipelines.cli.say import errors_said, say

VERBS = {
    "run": ("run:run", "Run a pipeline, in simulation or as one party."),
    "check": ("check:check", "Check a pipeline file; all problems at once."),
    "plan": ("plan:plan", "Show the steps of a pipeline and what each party learns."),
    "graph": ("graph:graph", "Print a pipeline as a Mermaid flow chart."),
    "components": ("components:components", "List the components, or explain one."),
    "doctor": ("doctor:doctor", "Check this machine: versions, CPU, ports, memory."),
    "certs": ("certs:certs", "Make a private CA, certificates, signing keys and cluster files."),
    "bench": ("bench:bench", "Measure speed and traffic on this machine."),
}
"""Verb -> where it is, and its help line (so that `--help` imports none of them)."""


class Program(click.Group):
    """Imports a verb when it is called, and gives every end its exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, name = VERBS[cmd_name][0].split(":")
        found = getattr(import_module(f"veilflow.pipelines.cli.{module}"), name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from veilflow.pipelines.spec.problem import did_you_mean

            hint = did_you_mean(args[0], VERBS) or "; there are " + ", ".join(VERBS)
            ctx.fail(f"no command '{args[0]}'{hint}")
        return super().resolve_command(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with errors_said():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with errors_said():
            return self._ended(ctx)

    def _ended(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            say("\nInterrupted; nothing of it goes on. A run takes up from its last finished step.", err=True)
            sys.exit(INTERRUPTED)
        except Exception as error:
            end(error, debugging(ctx))


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(veilflow.__version__, message="veilflow %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error (or set VEILFLOW_DEBUG=1).")
def program(debug: bool) -> None:
    """Organisations that must not share rows train one model together.

    Start with `veilflow components`, write a pipeline file, then `veilflow check`, `plan` and `run` it.

    Exit codes: 0 ok, 1 a bug, 2 wrong usage, 3 an invalid pipeline, 4 a party failed, 5 refused by a policy.
    """
