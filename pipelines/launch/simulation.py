"""A simulation that stays alive between runs: for tests, benches and notebooks.

Starting the parties costs seconds, a run in a living simulation only what its steps cost. A failed run ends the party
processes (their links are in no state to go on), so the next one starts them anew.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.launch.anywhere import start_anywhere
from veilflow.pipelines.launch.identities import with_new_identities
from veilflow.pipelines.launch.lock import locked
from veilflow.pipelines.launch.processes import Event, PartyFailed, PartyProcesses
from veilflow.pipelines.launch.record import RunRecorder
from veilflow.pipelines.launch.run import Observer, run_job
from veilflow.pipelines.launch.setups import spu_devices
from veilflow.pipelines.ledger import Run, write_run
from veilflow.pipelines.party.setup import PartySetup, SpuDevice
from veilflow.pipelines.plan import Plan, make_plan
from veilflow.pipelines.spec import load


class Simulation:
    """Party processes on loopback, started when first needed.

    Args:
        folder: where the parties keep what has no other place (logs).
        parties: who takes part.
        tls: encrypt every link, with certificates made for this simulation.
        stall_minutes: how long a party waits for one message.
        devices: SPUs by name; by default one ABY3 SPU named ``spu`` where there are three parties.
    """

    def __init__(
        self,
        folder: Path,
        parties: Sequence[str],
        devices: Mapping[str, SpuDevice] | None = None,
        tls: bool = False,
        stall_minutes: float = 60,
    ) -> None:
        self._tls, self._stall = tls, stall_minutes
        self._folder = folder
        self._parties = list(parties)
        if devices is None:
            devices = {"spu": SpuDevice(self._parties)} if len(self._parties) == 3 else {}
        self._devices = dict(devices)
        self._processes: PartyProcesses | None = None

    def run(
        self,
        file: Path,
        out: Path,
        overrides: Sequence[str] = (),
        use_cache: bool = True,
        observer: Observer | None = None,
    ) -> Run:
        """Run a pipeline file into ``out``, as `veilflow run` would.

        Raises:
            ValueError: the file's parties or devices are not this simulation's.
            PipelineFileError: the file is not valid.
            FolderBusy: another run writes into ``out``.
        """
        plan = make_plan(load(file, overrides))
        self._require_fit(plan)
        recorder = RunRecorder(plan, file, overrides, None)

        def on_event(event: Event) -> None:
            recorder.on_event(event)
            if observer is not None:
                observer(event)

        failure = None
        with locked(out, self._parties):
            try:
                folders = {party: str((out / party).resolve()) for party in self._parties}
                self._alive().run({**run_job(file, overrides, use_cache), "folders": folders}, on_event)
            except PartyFailed as error:
                failure = error
            run = recorder.run(failure)
            write_run(run, out / "run.json")
        return run

    def call(self, function: str, *args: Any, device: str | None = None) -> dict[str, Any]:
        """Call ``module:name(context, *args)`` (or ``file.py:name``) at every party; JSON-able arguments and results.

        Raises:
            PartyFailed: it failed at a party.
        """
        job = {"job": "call", "function": function, "args": list(args), "device": device}
        return self._alive().run(job)

    def pid(self, party: str) -> int:
        """Process id of a party."""
        return self._alive().pid(party)

    def close(self) -> None:
        """End the party processes."""
        if self._processes is not None:
            self._processes.stop()
            self._processes = None

    def __enter__(self) -> "Simulation":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _alive(self) -> PartyProcesses:
        if self._processes is None or not self._processes.alive:
            if self._processes is not None:
                self._processes.kill()
            addresses = on_loopback(self._parties, {name: d.parties for name, d in self._devices.items()})
            setups = {
                party: PartySetup(
                    party=party,
                    parties=self._parties,
                    addresses=addresses,
                    folder=(self._folder / party).resolve(),
                    data_root=None,
                    devices=self._devices,
                    stall_minutes=self._stall,
                )
                for party in self._parties
            }
            self._processes = start_anywhere(with_new_identities(setups, self._tls))
        return self._processes

    def _require_fit(self, plan: Plan) -> None:
        wanted, devices = list(plan.pipeline.parties), spu_devices(plan.pipeline)
        if wanted != self._parties or devices != self._devices:
            raise ValueError(
                f"this simulation has {_words(self._parties, self._devices)}; "
                f"the pipeline has {_words(wanted, devices)}."
            )


def _words(parties: Sequence[str], devices: Mapping[str, SpuDevice]) -> str:
    return f"parties {', '.join(parties)} and devices {', '.join(devices) or 'none'}"
