"""`veilflow run`: run a pipeline here, or one party of it."""

from pathlib import Path

import click

from veilflow.pipelines.cli.errors import InvalidPipeline, PartyFailure, Refused, Unusable
from veilflow.pipelines.cli.options import pipeline_file, policy_files, set_values
from veilflow.pipelines.cli.output import console


@click.command()
@pipeline_file
@set_values
@policy_files
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Output folder; runs/NAME of the pipeline by default.",
)
@click.option("--party", help="Run this party only, as on its own machine; needs --cluster.")
@click.option(
    "--cluster",
    "cluster_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Where the parties are; without it all of them run here, in simulation.",
)
@click.option("--tls", is_flag=True, help="In simulation: encrypt every link, with certificates made for this run.")
@click.option(
    "--restarts",
    type=click.IntRange(0, 100),
    default=0,
    help="When a party is lost, start again from the last finished step, up to so many times.",
)
@click.option("--no-cache", is_flag=True, help="Run every step, also those whose inputs have not changed.")
def run(
    file: Path,
    overrides: tuple[str, ...],
    policy_paths: tuple[Path, ...],
    out: Path | None,
    party: str | None,
    cluster_file: Path | None,
    no_cache: bool,
    tls: bool,
    restarts: int,
) -> None:
    """Run FILE and write run.json and report.html.

    Without --party every party of FILE runs on this machine, each in a process of its own with real cryptography.

    Policies given with --policy are agreed: all parties must name the same ones. Those of the cluster file are this
    party's own: they are enforced here, and the others do not hear of them. If one refuses, nothing starts.
    """
    if (party is None) != (cluster_file is None):
        raise click.UsageError("--party and --cluster go together: which party this is, and where the others are.")
    if tls and party is not None:
        raise click.UsageError("--tls is for simulations; a party's TLS files are named in its cluster file.")
    from veilflow.pipelines.launch import forkserver

    forkserver.context()  # it imports SecretFlow while the files are read here

    from veilflow.pipelines.cluster.addresses import AddressError
    from veilflow.pipelines.cluster.config import load_cluster
    from veilflow.pipelines.launch.lock import FolderBusy
    from veilflow.pipelines.launch.progress import RunDisplay
    from veilflow.pipelines.launch.run import run_here
    from veilflow.pipelines.launch.setups import SetupError
    from veilflow.pipelines.plan import make_plan
    from veilflow.pipelines.policy import load_policies
    from veilflow.pipelines.profile import ProfileError
    from veilflow.pipelines.spec import load

    plan = make_plan(load(file, overrides))
    policies = load_policies(policy_paths)
    folder = out or Path("runs") / plan.pipeline.name
    screen = console()
    where = f"as {party}" if party else f"SIMULATION of {', '.join(plan.pipeline.parties)} on this machine"
    screen.print(f"{plan.pipeline.name}: {len(plan.steps)} steps, {where}")
    here = 1 if party else len(plan.pipeline.parties)
    try:
        cluster = None if cluster_file is None else load_cluster(cluster_file)
        with RunDisplay(screen, here, [step.name for step in plan.steps]) as display:
            observer = display.on_event
            done = run_here(
                file, folder, overrides, not no_cache, observer, cluster, party, policies, tls=tls, restarts=restarts
            )
    except FolderBusy as error:
        raise Unusable(str(error)) from error
    except (AddressError, SetupError, ProfileError) as error:
        raise InvalidPipeline(str(error)) from error
    report = folder / "report.html"
    see = f"\n  report: {report}" if report.exists() else ""
    if done.status == "refused" and done.error is not None:
        raise Refused(f"{file}: {done.error.message}{see}")
    if done.error is not None:
        at = f" in step '{done.error.node}'" if done.error.node else ""
        own = folder / (done.error.party or "") / (done.error.log or "log.txt")
        log = f"\n  log: {own}" if own.exists() else ""
        raise PartyFailure(f"{done.error.party} failed{at}: {done.error.message}{log}{see}")
    screen.print(f"done in {done.seconds:.1f} s; what each party learned is in {report}")
