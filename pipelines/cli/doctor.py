"""`veilflow doctor`."""

import sys

import click
from rich.text import Text

from veilflow.pipelines.cli.output import show


@click.command()
@click.option("--deep", is_flag=True, help="Also import SecretFlow and all components, which takes seconds.")
def doctor(deep: bool) -> None:
    """Check this machine: what is wrong, and the fix.

    Exits with 0 when pipelines can run here, with 1 otherwise.
    """
    from veilflow.pipelines.cli import doctor_machine, doctor_software
    from veilflow.pipelines.cli.doctor_finding import Finding, render

    findings: list[Finding] = [*doctor_software.findings(), *doctor_machine.findings()]
    if deep:
        findings.append(doctor_software.imports())
    wrong = sum(finding.state == "wrong" for finding in findings)
    show(render(findings), "")
    if wrong:
        show(Text(f"{wrong} thing{'' if wrong == 1 else 's'} to mend.", style="bold red"))
        sys.exit(1)
    show(Text("Pipelines can run here.", style="bold green"))
