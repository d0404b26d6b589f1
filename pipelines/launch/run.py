"""Run a pipeline: in simulation with every party here, or as one party among others elsewhere."""

from collections.abc import Callable, Sequence
from pathlib import Path

from veilflow.pipelines.cluster.config import Cluster
from veilflow.pipelines.launch.processes import Event, PartyFailed, PartyProcesses
from veilflow.pipelines.launch.record import RunRecorder
from veilflow.pipelines.launch.setups import party_setup, simulation_setups
from veilflow.pipelines.ledger import Run, write_run
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.store import write_atomically
from veilflow.pipelines.plan import make_plan
from veilflow.pipelines.spec import load

Observer = Callable[[Event], None]


def run_here(
    file: Path,
    out: Path,
    overrides: Sequence[str] = (),
    use_cache: bool = True,
    observer: Observer | None = None,
    cluster: Cluster | None = None,
    party: str | None = None,
) -> Run:
    """Run a pipeline file and write ``out/run.json`` and ``out/report.html``, whatever happens.

    Args:
        file: the pipeline file.
        out: output folder; each party's own data goes below ``out/<party>/`` only.
        overrides: ``--set`` values, ``node.param=value``.
        use_cache: skip finished steps whose component, parameters and inputs have not changed.
        observer: told every event, e.g. a `progress.RunDisplay`.
        cluster: addresses of all parties; None for simulation.
        party: with ``cluster``, which of them this machine is.

    Returns:
        The ledger entry. A failed run is a returned entry with an ``error``, not an exception.

    Raises:
        PipelineFileError: the file is not valid; nothing has started.
        SetupError, AddressError: the parties cannot be reached as the files say; nothing has started.
    """
    plan = make_plan(load(file, overrides))
    pipeline = plan.pipeline
    if cluster is None or party is None:
        setups = simulation_setups(pipeline, out)
    else:
        setups = party_setup(pipeline, out, cluster, party)
    out.mkdir(parents=True, exist_ok=True)
    recorder = RunRecorder(plan, file, overrides, party if cluster is not None else None)
    # From here on a killed launcher leaves an entry that says "running", never an old "ok".
    write_run(recorder.run(done=False), out / "run.json")

    def on_event(event: Event) -> None:
        recorder.on_event(event)
        if observer is not None:
            observer(event)

    failure = _run(setups, run_job(file, overrides, use_cache), on_event)
    run = recorder.run(failure)
    write_run(run, out / "run.json")
    from veilflow.pipelines.report import render  # the parties need not wait for it

    write_atomically(out / "report.html", render(run))
    return run


def _run(setups: dict[str, PartySetup], job: dict[str, object], on_event: Observer) -> PartyFailed | None:
    processes = PartyProcesses(setups)
    try:
        with processes.start(on_event):
            processes.run(job, on_event)
    except PartyFailed as failure:
        return failure
    return None


def run_job(file: Path, overrides: Sequence[str], use_cache: bool) -> dict[str, object]:
    """What a party process is told to do for a pipeline file."""
    return {"job": "run", "file": str(file.resolve()), "overrides": list(overrides), "use_cache": use_cache}
