"""The `veilflow` command. One file per verb; a verb is imported only when called, so that light ones start fast."""

from veilflow.pipelines.cli.program import program
from veilflow.pipelines.cli.say import prepare_streams


def main() -> None:
    """Entry point of the `veilflow` command."""
    prepare_streams()
    program(prog_name="veilflow")
