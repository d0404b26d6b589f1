"""`veilflow doctor`."""

import sys
from pathlib import Path

import click
from rich.text import Text

from veilflow.pipelines.cli.output import show


@click.command()
@click.option("--deep", is_flag=True, help="Also import SecretFlow and all components, which takes seconds.")
@click.option(
    "--cluster",
    "cluster_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also check this machine against a cluster file; needs --party.",
)
@click.option("--party", help="The party whose machine this is.")
def doctor(deep: bool, cluster_file: Path | None, party: str | None) -> None:
    """Check this machine: what is wrong, and the fix.

    With --cluster and --party also the party's certificates, keys, folders and ports.

    Exits with 0 when pipelines can run here, with 1 otherwise.
    """
    from veilflow.pipelines.cli import doctor_machine, doctor_software
    from veilflow.pipelines.cli.doctor_finding import Finding, render

    if (party is None) != (cluster_file is None):
        raise click.UsageError("--party and --cluster go together: whose machine this is, and where the others are.")
    findings: list[Finding] = [*doctor_software.findings(), *doctor_machine.findings()]
    if cluster_file is not None and party is not None:
        from veilflow.pipelines.cli import doctor_cluster

        findings += doctor_cluster.findings(cluster_file, party)
    if deep:
        findings.append(doctor_software.imports())
    wrong = sum(finding.state == "wrong" for finding in findings)
    show(render(findings), "")
    if wrong:
        show(Text(f"{wrong} thing{'' if wrong == 1 else 's'} to mend.", style="bold red"))
        sys.exit(1)
    show(Text("Pipelines can run here.", style="bold green"))
