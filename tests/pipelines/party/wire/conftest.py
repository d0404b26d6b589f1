"""Keys of three parties, whole clusters of processes, and no hypothesis deadline: machines may be busy."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import settings

from veilflow.pipelines.cluster.addresses import on_loopback
from veilflow.pipelines.launch import forkserver
from veilflow.pipelines.launch import processes as processes_module
from veilflow.pipelines.launch.processes import PartyFailed, PartyProcesses
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.party.wire.identity import Identity

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

PARTIES = ("alice", "bob", "carol")


@pytest.fixture(scope="session")
def keys() -> dict[str, Ed25519PrivateKey]:
    return {party: Ed25519PrivateKey.generate() for party in PARTIES}


@pytest.fixture(scope="session")
def identity(keys: dict[str, Ed25519PrivateKey]) -> Callable[..., Identity]:
    """``identity(party)``; with ``claims``, ``party``'s key under another name, as only that party itself pins it."""
    pins = {party: key.public_key() for party, key in keys.items()}

    def make(party: str, claims: str | None = None) -> Identity:
        if claims is None:
            return Identity(party, keys[party], pins)
        return Identity(claims, keys[party], {**pins, claims: pins[party]})

    return make


@dataclass
class Outcome:
    """How one scenario ended."""

    folder: Path
    message: str = ""
    """Of the `PartyFailed`; empty where it did not fail."""
    log: str = ""
    results: dict[str, Any] | None = None
    seconds: float = 0.0
    """From giving the job to the end of the last process."""
    events: list[Any] = field(default_factory=list)

    def codes(self) -> dict[str, int]:
        return {event.party: event.body["code"] for event in self.events if event.kind == "exited"}

    def files(self, party: str) -> bytes:
        return b"\n".join(path.read_bytes() for path in (self.folder / party).rglob("*") if path.is_file())

    def crossed(self, party: str, step: str) -> list[dict[str, Any]]:
        """Lines of ``party``'s transcript."""
        lines = (self.folder / party / "transcript.jsonl").read_text().splitlines()
        return [found for found in map(json.loads, lines) if found["step"] == step]


def play(folder: Path, setups: Mapping[str, Any], job: Mapping[str, Any] | None) -> Outcome:
    """Start the parties, give them the job, and tell how it ended."""
    outcome, started = Outcome(folder), time.monotonic()
    try:
        with PartyProcesses(setups).start(outcome.events.append) as processes:
            started = time.monotonic()
            if job is not None:
                outcome.results = processes.run(job, outcome.events.append)
    except PartyFailed as failure:
        outcome.message, outcome.log = str(failure), failure.log
    outcome.seconds = time.monotonic() - started
    return outcome


@pytest.fixture(scope="session")
def loopback() -> Callable[..., dict[str, PartySetup]]:
    """``loopback(folder, parties, devices)``: setups on ports that no other scenario uses, without keys."""
    used: set[int] = set()

    def make(folder: Path, parties: Sequence[str], devices: Mapping[str, Any] | None = None) -> dict[str, PartySetup]:
        devices = dict(devices or {})
        while True:
            addresses = on_loopback(parties, {name: device.parties for name, device in devices.items()})
            ports = {port for party in parties for port in addresses.own_ports(party)}
            if not ports & used:
                break
        used.update(ports)
        return {
            party: PartySetup(party, list(parties), addresses, folder / party, None, devices, connect_seconds=10)
            for party in parties
        }

    return make


@pytest.fixture(scope="session")
def play_all() -> Callable[..., dict[str, Outcome]]:
    """``play_all({name: (folder, setups, job)})``: most of a scenario is waiting, so some are played at a time."""

    def run(scenarios: Mapping[str, tuple[Path, Mapping[str, Any], Any]], at_once: int = 4) -> dict[str, Outcome]:
        server = forkserver.context()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(processes_module, "context", lambda: server)  # it moves stdout, which threads share
            with ThreadPoolExecutor(at_once) as pool:
                playing = {name: pool.submit(play, *scenario) for name, scenario in scenarios.items()}
                return {name: each.result() for name, each in playing.items()}

    return run
