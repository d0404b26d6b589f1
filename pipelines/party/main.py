"""The life of a party process: join, serve jobs, leave.

The process talks to the launcher that started it over a pipe, in JSON: jobs come in, events go out. Everything else
that is printed in here, SecretFlow's chatter included, goes to the party's log file.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import json
import logging
import os
import select
import signal
import sys
import threading
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

from veilflow.components.platforms import keep_compiled_programs
from veilflow.pipelines.party.setup import PartySetup
from veilflow.pipelines.profile.machine import wipe_tmp

log = logging.getLogger("veilflow")

_BEAT_SECONDS = 2.0
_MAX_SAID = 100
FAILED = 4
"""Exit code of a party process whose run failed."""


def serve(pipe: Connection, setup_json: str) -> None:
    """Entry point of a party process."""
    setup = PartySetup.from_json(setup_json)
    channel = _Channel(pipe)
    try:
        _private_output(setup)
        _Server(setup, channel).serve()
    except SystemExit:
        raise
    except BaseException as error:
        _fail(setup, channel, error, "", starting=True)


class _Channel:
    """The pipe to the launcher; safe to write from several threads."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._working = threading.Event()
        self._working.set()  # joining is work
        threading.Thread(target=self.watch, name="launcher-watch", daemon=True).start()

    def emit(self, event: str, body: dict[str, Any]) -> None:
        with self._lock:
            self._pipe.send_bytes(json.dumps({"event": event, **body}).encode())

    def receive(self) -> dict[str, Any]:
        """The next job; when the launcher is gone, so are we."""
        self._working.clear()
        try:
            job: dict[str, Any] = json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            os._exit(FAILED)
        self._working.set()
        return job

    def watch(self) -> None:
        """From a thread of its own: tell the launcher that we live, while we work; go when the launcher is gone.

        Without that, a killed launcher would leave a party that nobody watches, and that holds the ports.
        """
        hangup = select.poll()
        hangup.register(self._pipe.fileno(), 0)  # asks for nothing but the end
        while not hangup.poll(_BEAT_SECONDS * 1000):
            if self._working.is_set():
                self.emit("beat", {})
        log.error("the launcher is gone")
        os._exit(FAILED)


class _Server:
    def __init__(self, setup: PartySetup, channel: _Channel) -> None:
        from veilflow.pipelines.party import bootstrap
        from veilflow.pipelines.party.context import Devices
        from veilflow.pipelines.party.control import ControlLink
        from veilflow.pipelines.party.facts import installation
        from veilflow.pipelines.party.front.front import Front
        from veilflow.pipelines.party.front.routes import Routes
        from veilflow.pipelines.party.session import Party
        from veilflow.pipelines.party.traffic import TrafficMeter
        from veilflow.pipelines.party.wire import link_check
        from veilflow.pipelines.party.wire.gate import Gate
        from veilflow.pipelines.party.wire.objects import ObjectLinks
        from veilflow.pipelines.party.wire.proxy import Wire
        from veilflow.pipelines.party.wire.transcript import Transcript

        self._setup = setup
        self._channel = channel
        self._node = ""
        self._joined = False
        self._said: set[str] = set()
        self._ending = threading.Lock()
        channel.emit("starting", {"pid": os.getpid()})
        identity = bootstrap.prepare(setup)
        keep_compiled_programs(Path(setup.folder) / "compiled")
        self._installed = installation(setup)
        front = Front.open(setup, identity, self._waiting)
        self._control = ControlLink(setup, identity, self._installed, front, self._lost, self._waiting)
        job = self._control.job
        parties, stall = list(setup.addresses.base), setup.stall_ms / 1000
        links = ObjectLinks(setup.party, parties, front.door, front.caller, job, stall)
        routes = None
        if setup.tls is not None:
            routes = Routes(setup.party, setup.folder / "tmp" / "links", front.door, front.caller, job)
        check = link_check.checker(identity, job)
        link_check.install(check)
        self._wire = Wire(identity, Gate(setup.party), Transcript(setup.folder), self._refused)
        try:
            cluster = bootstrap.join(setup, self._wire, links, routes, job)
        except BaseException as error:
            self._leave_word(error)
            raise
        # After joining: SecretFlow installs its own handler, which would end the process without a word.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._party = Party(setup, cluster, Devices(setup), TrafficMeter(), self._emit, self._wire, check, routes)
        self._joined = True
        channel.emit("ready", {})

    def _waiting(self, text: str) -> None:
        """What stands in the way of joining, and who was refused; said when it happens, each once."""
        if text in self._said or len(self._said) >= _MAX_SAID:  # strangers may come by the thousand
            return
        self._said.add(text)
        log.warning("%s", text)
        if not self._joined:
            self._channel.emit("waiting", {"text": text})

    def serve(self) -> None:
        while True:
            job = self._channel.receive()
            if job["job"] == "stop":
                self._stop()
                return
            try:
                result = self._work(job)
                self._channel.emit("job_done", {"result": result})
            except BaseException as error:
                # SecretFlow interrupts us once more when it has told a peer; we are already on our way out.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self._leave_word(error)
                _fail(self._setup, self._channel, error, self._node)

    def _leave_word(self, error: BaseException) -> None:
        from veilflow.pipelines.party.failure import is_expected

        if not is_expected(error, self._setup.party):
            self._control.hear_everyone()  # does not return where a peer is lost: `_lost` ends the process
        self._control.abort(self._node)

    def _work(self, job: dict[str, Any]) -> Any:
        if job["job"] == "call":
            return self._call(job)
        self._run(job)
        return None

    def _emit(self, event: str, body: dict[str, Any]) -> None:
        if event == "node_started":
            self._node = body["node"]
        self._channel.emit(event, body)

    def _run(self, job: dict[str, Any]) -> None:
        from veilflow.pipelines.party.runner import run_plan
        from veilflow.pipelines.plan import make_plan
        from veilflow.pipelines.spec import load

        pipeline = load(Path(job["file"]), job["overrides"])
        facts = {
            "pipeline file": pipeline.sha256,
            "overrides": "; ".join(pipeline.overrides),
            "policy": job["policy"],
        }
        party = self._party
        if job.get("folders"):
            folder = Path(job["folders"][self._setup.party])
            folder.mkdir(parents=True, exist_ok=True)
            party = replace(party, setup=replace(self._setup, folder=folder))
            self._wire.transcript.move(folder)
        run_plan(party, make_plan(pipeline), facts, self._installed["code"], job["use_cache"])

    def _call(self, job: dict[str, Any]) -> Any:
        """Call ``module:function(context, *args)`` here: how tests and benches drive a living cluster."""
        from veilflow.components.claims import Send
        from veilflow.components.errors import ComponentError

        if not self._setup.simulation:
            raise ComponentError("functions are called by name in simulation only.")
        place, name = job["function"].rsplit(":", 1)
        self._node = self._wire.step = name
        self._wire.gate.open({name: [Send("anything", kind="anything")]})
        return getattr(_module(place), name)(self._party.context(name, job.get("device")), *job["args"])

    def _stop(self) -> None:
        from veilflow.components.devices.labels import RUNTIME, sending
        from veilflow.pipelines.party.bootstrap import leave

        self._control.close()
        self._party.devices.close()
        self._wire.step = ""
        with sending(RUNTIME):  # SecretFlow waits for the others with a small message
            leave(on_error=False)
        self._wire.transcript.flush()
        self._channel.emit("stopped", {})
        wipe_tmp(self._setup.folder)
        # Threads of brpc and JAX may still be winding down; nothing is left to save.
        os._exit(0)

    def _refused(self, error: Exception) -> None:
        """A message was refused, ours or a peer's: from one of SecretFlow's threads. Nothing of the run goes on."""
        from veilflow.pipelines.party.wire.errors import PeerStalled

        with self._ending:
            stalled = error.peer if isinstance(error, PeerStalled) else ""
            self._control.abort(self._wire.step, stalled, gone=bool(stalled))
            _fail(self._setup, self._channel, error, self._wire.step)

    def _lost(self, peer: str, code: str, node: str) -> None:
        """A peer is gone. Nothing of this run can be finished, and C++ threads may wait for it: leave at once."""
        from veilflow.pipelines.party.control import LOST

        # First here: where all parties are on one machine, whoever noticed is heard before those who are told.
        with contextlib.suppress(OSError):  # the launcher may be gone, too
            lost = {"peer": peer, "code": code, "lost": code in LOST, "node": node or self._node}
            self._channel.emit("peer_lost", lost)
        self._control.abort(node or self._node, cause=peer, gone=code in LOST)
        logging.shutdown()
        wipe_tmp(self._setup.folder)
        os._exit(FAILED)


def _fail(setup: PartySetup, channel: _Channel, error: BaseException, node: str, starting: bool = False) -> None:
    from veilflow.pipelines.certs.private_files import KeyFileError
    from veilflow.pipelines.party.failure import describe
    from veilflow.pipelines.party.mesh import say_that_it_does_not_start
    from veilflow.pipelines.profile import ProfileError

    failure = describe(error, setup.party, node)
    log.error("step '%s' failed: %s", node, failure.message)
    channel.emit("failed", failure.to_dict())
    if starting and isinstance(error, (ProfileError, KeyFileError)):
        say_that_it_does_not_start(setup)
    logging.shutdown()
    wipe_tmp(setup.folder)
    os._exit(FAILED)


def _module(place: str) -> ModuleType:
    """A module by its name, or by the path of its file (tests are not importable by name)."""
    if not place.endswith(".py"):
        return importlib.import_module(place)
    name = "veilflow_call_" + hashlib.sha256(place.encode()).hexdigest()[:16]
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, place)
        assert spec is not None, "a .py file has a spec"
        assert spec.loader is not None, "a .py file has a loader"
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def _private_output(setup: PartySetup) -> None:
    """Files of this party are for this party; stdout and stderr, C++ included, go to its log."""
    os.umask(0o077)
    setup.folder.mkdir(parents=True, exist_ok=True)
    setup.folder.chmod(0o700)
    handle = os.open(setup.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
    logging.basicConfig(level=logging.WARNING)
