"""Run a pipeline: in simulation with every party here, or as one party among others elsewhere."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from veilflow.components.files import write_whole
from veilflow.pipelines.cluster.config import Cluster
from veilflow.pipelines.launch.anywhere import start_anywhere
from veilflow.pipelines.launch.lock import locked
from veilflow.pipelines.launch.processes import Event, PartyFailed, PartyProcesses
from veilflow.pipelines.launch.record import RunRecorder
from veilflow.pipelines.launch.setups import party_setup, require_declared, simulation_setups, tell_the_others
from veilflow.pipelines.ledger import Run, write_run
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.plan import make_plan
from veilflow.pipelines.policy import LoadedPolicy, agreed_text, judge_all, load_policies
from veilflow.pipelines.policy.digest import NONE
from veilflow.pipelines.policy.load import require_distinct
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
    policies: Sequence[LoadedPolicy] = (),
    tls: bool = False,
    restarts: int = 0,
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
        policies: those that all parties agreed on; the cluster file's own are added.
        tls: in simulation, encrypt every link as between machines.
        restarts: how often to start again, from the last finished step, when a party was lost.

    Returns:
        The ledger entry. A failed or refused run is a returned entry with an ``error``, not an exception.

    Raises:
        PipelineFileError: the file, or a policy, is not valid; nothing has started.
        FolderBusy: another run writes into ``out``; nothing has started.
        SetupError, AddressError, ProfileError: the parties cannot be reached as the files say; nothing has started.
    """
    plan = make_plan(load(file, overrides))
    pipeline = plan.pipeline
    # Party processes are children on this machine and trust it: they need not judge again what was judged here.
    in_force = [*policies, *load_policies(cluster.policies if cluster is not None else [], private=True)]
    require_distinct(in_force)
    verdicts = judge_all(in_force, plan)
    own = party if cluster is not None else None
    recorder = RunRecorder(plan, file, overrides, own, verdicts)

    def on_event(event: Event) -> None:
        recorder.on_event(event)
        if observer is not None:
            observer(event)

    with locked(out, [name for name in pipeline.parties if own in (None, name)]):
        if any(verdict.refused for verdict in verdicts):
            return _finish(recorder.refused(), out)
        if cluster is None or party is None:
            simulated = simulation_setups(pipeline, out, tls)
            start = lambda: start_anywhere(simulated, on_event)  # noqa: E731
            absent = lambda failure: None  # noqa: E731 - all are here
        else:
            require_declared(plan, cluster)
            setups = party_setup(pipeline, out, cluster, party)
            start = lambda: PartyProcesses(setups).start(on_event)  # noqa: E731
            absent = partial(_say_if_own, setups)
        # From here on a killed launcher leaves an entry that says "running", never an old "ok".
        write_run(recorder.run(done=False), out / "run.json")
        failure = _run(start, run_job(file, overrides, use_cache, agreed_text(in_force)), on_event, restarts, absent)
        return _finish(recorder.run(failure), out)


def _finish(run: Run, out: Path) -> Run:
    from veilflow.pipelines.report import render  # the parties need not wait for it

    try:
        write_run(run, out / "run.json")
        write_whole(out / "report.html", render(run))
    except OSError as error:
        if run.error is None:
            raise
        # What went wrong in the run is the news, and often the cause of this too.
        run.error.message += f" (run.json and report.html could not be written: {error.strerror})"
    return run


def _run(
    start: Callable[[], PartyProcesses],
    job: dict[str, object],
    on_event: Observer,
    restarts: int,
    absent: Callable[[PartyFailed], None],
) -> PartyFailed | None:
    for left in range(restarts, -1, -1):
        joined = False
        try:
            with start() as processes:
                joined = True
                processes.run(job, on_event)
        except PartyFailed as failure:
            if not (failure.lost and left):
                if not joined:
                    absent(failure)
                return failure
            on_event(Event(failure.party, "restarting", {"message": str(failure), "left": left - 1}))
            continue
        return None
    raise AssertionError("the last attempt returns")


def _say_if_own(setups: dict[str, PartySetup], failure: PartyFailed) -> None:
    """A party whose process has ended while it joined cannot say so itself, and the others would wait for it.

    Not where its port is taken: perhaps by the same party, started twice, whose run shall not end.
    """
    if failure.lost and not failure.taken and failure.party in setups:
        tell_the_others(setups[failure.party], "ended")


def run_job(file: Path, overrides: Sequence[str], use_cache: bool, policy: str = NONE) -> dict[str, object]:
    """What a party process is told to do for a pipeline file.

    Args:
        policy: `agreed_text` of the policies in force; the parties compare it before they start.
    """
    return {
        "job": "run",
        "file": str(file.resolve()),
        "overrides": list(overrides),
        "use_cache": use_cache,
        "policy": policy,
    }
