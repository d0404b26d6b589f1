"""The party processes of a run: start them, give them jobs, hear their events, end them.

In simulation all parties are here; in production this machine's party only, and the same code watches just that one.
"""

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from veilflow.pipelines.cluster.hosts import join, split
from veilflow.pipelines.cluster.ports import Kept, PortTaken, in_the_way
from veilflow.pipelines.launch.forkserver import context
from veilflow.pipelines.party.setup import PartySetup

_GRACE_SECONDS = 4.0
"""After a first failure the others may still tell theirs, which is often the cause."""
_STOP_SECONDS = 20.0
_KILL_SECONDS = 10.0
_LOOK_SECONDS = 2.0
_FIRST_WORD_SECONDS = 180.0
"""The first process waits until SecretFlow is imported."""
_MUTE_SECONDS = 10.0
"""On top of the silence after which peers give a party up: theirs is the better message."""


@dataclass(frozen=True)
class Event:
    """Something a party process said, or (``exited``) that it ended."""

    party: str
    kind: str
    body: dict[str, Any]


class PartyFailed(Exception):
    """A party could not finish; carries whose fault it was, where, and what to read."""

    def __init__(self, party: str, node: str, message: str, log: str, lost: bool = False, taken: bool = False) -> None:
        where = f" in step '{node}'" if node else ""
        super().__init__(f"{party} failed{where}: {message}")
        self.party, self.node, self.message, self.log = party, node, message, log
        self.lost = lost
        """A process died or a peer is gone: the same run may succeed when all are there again."""
        self.taken = taken
        """A port cannot be listened on; at others the run may succeed."""


class PartyProcesses:
    """One process per entry of ``setups``; a context manager that leaves none behind.

    Args:
        setups: by party.
        keep_ports: keep every other run of this machine from them as long as the parties run; they must be nobody's.
    """

    def __init__(self, setups: Mapping[str, PartySetup], keep_ports: bool = False) -> None:
        self._setups = dict(setups)
        self._keep_ports, self._kept = keep_ports, Kept()
        self._pipes: dict[str, Connection] = {}
        self._processes: dict[str, BaseProcess] = {}
        self._handles: dict[str, int] = {}
        """The kernel's: what `multiprocessing` knows of a process it knows from its forkserver, which may be killed."""
        self._ended: set[str] = set()
        self._node: dict[str, str] = {}
        self._heard: dict[str, float] = {}

    @property
    def parties(self) -> list[str]:
        return list(self._setups)

    @property
    def alive(self) -> bool:
        return bool(self._handles) and not any(_ended(handle) for handle in self._handles.values())

    def pid(self, party: str) -> int:
        found = self._processes[party].pid
        assert found is not None, "a started process has an id"
        return found

    def start(self, on_event: Callable[[Event], None] | None = None) -> "PartyProcesses":
        """Start the processes and wait until every party has joined.

        Raises:
            PartyFailed: a port is taken, a peer did not appear in time, or a party could not join.
        """
        self._require_ports()
        start = context()
        for party, setup in self._setups.items():
            setup.folder.mkdir(parents=True, exist_ok=True)
            mine, theirs = start.Pipe()
            process = start.Process(target=_entry, args=(theirs, setup.to_json()), name=f"veilflow-{party}")
            try:
                process.start()
                self._handles[party] = os.pidfd_open(process.pid or 0)
            except (EOFError, OSError):
                mine.close()
                self.kill()
                log = str(setup.folder / "log.txt")
                raise PartyFailed(party, "", _NO_HELPER, log, lost=True) from None
            finally:
                theirs.close()
            self._pipes[party], self._processes[party] = mine, process
            self._heard[party] = time.monotonic() + _FIRST_WORD_SECONDS
        self._until("ready", on_event)
        return self

    def run(self, job: Mapping[str, Any], on_event: Callable[[Event], None] | None = None) -> dict[str, Any]:
        """Give every party the same job and return each one's result.

        Raises:
            PartyFailed: after which no process is left.
        """
        raw = json.dumps(dict(job)).encode()
        for party, pipe in self._pipes.items():
            self._heard[party] = time.monotonic()
            pipe.send_bytes(raw)
        return {party: body.get("result") for party, body in self._until("job_done", on_event).items()}

    def stop(self) -> None:
        """End the processes in order; whatever does not end in time is killed."""
        if self.alive:
            raw = json.dumps({"job": "stop"}).encode()
            for pipe in self._pipes.values():
                try:
                    pipe.send_bytes(raw)
                except OSError:
                    break  # it has just died; kill() below clears up
            deadline = time.monotonic() + _STOP_SECONDS
            for handle in self._handles.values():
                _ended(handle, max(0.0, deadline - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        """End every process at once."""
        for handle in self._handles.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        for handle in self._handles.values():
            _ended(handle, _KILL_SECONDS)  # until then it holds its ports
            os.close(handle)
        for process in self._processes.values():
            process.join(_KILL_SECONDS)
        for pipe in self._pipes.values():
            pipe.close()
        self._pipes.clear()
        self._handles.clear()
        self._processes.clear()
        self._ended.clear()
        self._kept.release()

    def __enter__(self) -> "PartyProcesses":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _until(self, kind: str, on_event: Callable[[Event], None] | None) -> dict[str, dict[str, Any]]:
        done: dict[str, dict[str, Any]] = {}
        try:
            while len(done) < len(self._setups):
                for event in self._next_events(_LOOK_SECONDS):
                    if on_event is not None:
                        on_event(event)
                    if event.kind == kind:
                        done[event.party] = event.body
                    elif event.kind in _FAILURES:
                        raise self._failed(event, on_event)
                self._require_life(set(self._setups) - set(done))
        except BaseException:
            self.kill()
            raise
        return done

    def _require_life(self, working: set[str]) -> None:
        """Every process says every other second that it lives: one that is stopped, or stuck as a whole, does not."""
        for party in working:
            patience = self._setups[party].silence_seconds + _MUTE_SECONDS
            if time.monotonic() - self._heard[party] > patience:
                log = str(self._setups[party].folder / "log.txt")
                what = f"the process has not answered for {patience:.0f} s (stopped, or out of memory?)"
                raise PartyFailed(party, self._node.get(party, ""), what, log, lost=True)

    def _failed(self, first: Event, on_event: Callable[[Event], None] | None) -> PartyFailed:
        """Collect what the other parties still say and name the most telling failure."""
        failures = [first]
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline and len(self._ended) < len(self._processes):
            for event in self._next_events(deadline - time.monotonic()):
                if on_event is not None:
                    on_event(event)
                said = any(event.party == earlier.party for earlier in failures)
                if event.kind in _FAILURES and not (event.kind == "exited" and said):  # it told us why, then left
                    failures.append(event)
        return self._explain(the_cause(failures))

    def _explain(self, event: Event) -> PartyFailed:
        body, party = event.body, event.party
        log = str(self._setups[party].folder / "log.txt")
        node = str(body.get("node") or self._node.get(party, ""))
        if event.kind == "failed":
            kind = body.get("kind")
            return PartyFailed(str(body["party"]), node, str(body["message"]), log, kind == "lost", kind == "port")
        if event.kind == "peer_lost":
            what = _LOSSES[body["code"]]
            return PartyFailed(str(body["peer"]), node, f"{what}; its own log says why", log, body["lost"])
        code = body.get("code")
        how = f"was killed by signal {-code}" if isinstance(code, int) and code < 0 else f"ended with code {code}"
        return PartyFailed(party, node, f"the process {how} before it was done", log, lost=True)

    def _next_events(self, timeout: float | None) -> Iterator[Event]:
        live = {party: pipe for party, pipe in self._pipes.items() if party not in self._ended}
        owners: dict[Any, str] = {pipe: party for party, pipe in live.items()}
        for ready in wait(list(owners), timeout):
            party = owners[ready]
            try:
                body = json.loads(live[party].recv_bytes())
            except (EOFError, OSError):
                self._ended.add(party)
                self._processes[party].join(5)
                yield Event(party, "exited", {"code": self._processes[party].exitcode})
                continue
            self._heard[party] = time.monotonic()
            if body["event"] == "beat":
                continue
            if body["event"] == "node_started":
                self._node[party] = body["node"]
            yield Event(party, body.pop("event"), body)

    def _require_ports(self) -> None:
        """Before anything starts: ports that libraries listen on later would be missed in the middle of the run."""
        for party, setup in self._setups.items():
            host = setup.listen or split(setup.addresses.base[party])[0]
            missed = dict.fromkeys(why for port in setup.own_ports if (why := in_the_way(host, port)))
            if missed:
                raise self._taken(party, "; ".join([*missed][:_MAX_SHOWN]))
        if not self._keep_ports:
            return
        for party, setup in self._setups.items():
            host = setup.listen or split(setup.addresses.base[party])[0]
            try:
                self._kept.add(join(host, port) for port in setup.own_ports)
            except PortTaken as error:
                self._kept.release()
                raise self._taken(party, str(error)) from None

    def _taken(self, party: str, why: str) -> PartyFailed:
        log = str(self._setups[party].folder / "log.txt")
        return PartyFailed(party, "", f"{why}; {_MEND}", log, taken=True)


_MAX_SHOWN = 3
_MEND = "end what has it, or change the address"
_NO_HELPER = "the helper process that parties are started from was killed (out of memory?)"


def _ended(handle: int, seconds: float = 0.0) -> bool:
    """Whether the process of a `pidfd_open` has ended, at most ``seconds`` from now."""
    ready = select.poll()
    ready.register(handle, select.POLLIN)
    return bool(ready.poll(1000 * seconds))


_FAILURES = {"failed": 0, "exited": 2, "peer_lost": 4}
_LATER = {"remote": 1, "lost": 3}
_GIVEN_UP = 5


_LOSSES = {
    "aborted": "stopped",
    "gone": "is gone (its process has ended, or cannot be reached)",
    "silent": "is gone (no heartbeat)",
    "given_up": "waited in vain for this party, which is stuck or cannot be reached, and stopped",
    "refused": "sent a control message that is not signed by it, or out of order",
}


def the_cause(failures: Sequence[Event]) -> Event:
    """The most telling of what was heard, in whichever order it came."""
    return min(failures, key=_rank)


def _rank(event: Event) -> int:
    """The cause first: a party's own failure, then a death, then what others noticed of it.

    Last the word of a party that was itself given up: it blames who gave it up.
    """
    if event.kind == "failed" and event.body.get("kind") in _LATER:
        return _LATER[event.body["kind"]]
    if event.kind == "peer_lost" and event.body["code"] == "given_up":
        return _GIVEN_UP
    return _FAILURES[event.kind]


def _entry(pipe: Connection, setup: str) -> None:
    # Imported here: the launcher itself never imports SecretFlow, the forkserver already has.
    from veilflow.pipelines.party.main import serve

    serve(pipe, setup)
