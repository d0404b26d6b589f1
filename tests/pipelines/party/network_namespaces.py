"""Three hosts in one kernel: a network namespace per party, joined by a bridge in a fourth; each has its own links,
addresses and loopback. Needs root and iproute2."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

from veilflow.pipelines.certs.folder import ephemeral

PARTIES = ["hospital", "insurer", "coordinator"]
SILENCE_SECONDS = 6
_PORT = 9100
_KNOCK = """
import socket, sys, time
for _ in range(2):  # the first asks for the hardware address, too
    began = time.monotonic()
    try:
        socket.create_connection((sys.argv[1], 9), 5)
    except ConnectionRefusedError:
        took = time.monotonic() - began
print(took)
"""


def why_not() -> str:
    """Why namespaces cannot be used here; empty where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no `ip` (apt-get install iproute2)"
    name = f"vf-probe-{secrets.token_hex(3)}"
    commands = [["ip", "netns", "add", name], ["ip", "-n", name, "link", "add", "br0", "type", "bridge"]]
    try:
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"this kernel makes no namespaces or bridges: {done.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    return ""


class Hosts:
    """The network, and a cluster file for each host; a context manager that leaves no namespace and no process.

    Args:
        slow: (delay in seconds, bits per second) of every host's way out; None for a bridge at full speed.
    """

    def __init__(self, folder: Path, slow: tuple[float, float] | None = None) -> None:
        self._folder = folder
        self._slow = slow
        self._run = f"{os.getpid()}-{secrets.token_hex(3)}"  # whose it is, for `_sweep`
        self._started: list[subprocess.Popen] = []
        self._address = {party: f"10.77.0.{number}" for number, party in enumerate(PARTIES, 1)}
        self._names = {party: f"vf-{self._run}-{party}" for party in [*PARTIES, "hub"]}

    def __enter__(self) -> "Hosts":
        _sweep()
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            if process.poll() is None:
                os.killpg(process.pid, 9)
            process.wait()
        for name in self._names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def run(self, pipeline: Path, name: str, *options: str) -> dict[str, subprocess.Popen]:
        """Start all parties, each on its host; each says what it says in ``<folder>/<name>.<party>.out``."""
        return {party: self._start(party, pipeline, name, options) for party in PARTIES}

    def said(self, name: str, party: str) -> str:
        return (self._folder / f"{name}.{party}.out").read_text()

    def out(self, name: str, party: str) -> Path:
        return self._folder / name / party

    def wait_for(self, name: str, party: str, text: str, seconds: float = 60) -> None:
        """Until ``party`` has said ``text``."""
        end = time.monotonic() + seconds
        while text not in self.said(name, party):
            assert time.monotonic() < end, f"{party} never said {text!r}: {self.said(name, party)}"
            time.sleep(0.05)

    def cut(self, party: str) -> None:
        """Pull the cable: no packet, no reset."""
        _ip("-n", self._names["hub"], "link", "set", f"to-{party[:8]}", "down")

    def mend(self, party: str) -> None:
        _ip("-n", self._names["hub"], "link", "set", f"to-{party[:8]}", "up")

    def round_trip(self) -> float:
        """Seconds from the first host to the second and back: a connection that nobody takes."""
        command = ["ip", "netns", "exec", self._names[PARTIES[0]], sys.executable, "-c", _KNOCK]
        done = subprocess.run([*command, self._address[PARTIES[1]]], capture_output=True, check=True)
        return float(done.stdout)

    def _build(self) -> None:
        for name in self._names.values():
            _ip("netns", "add", name)
        if self._slow is None:
            self._bridge()
        else:
            self._switch(*self._slow)
        for party in PARTIES:
            host = self._names[party]
            _ip("-n", host, "address", "add", f"{self._address[party]}/24", "dev", "eth0")
            _ip("-n", host, "link", "set", "eth0", "up")
            _ip("-n", host, "link", "set", "lo", "up")
        made = ephemeral(self._folder / "certs", PARTIES)
        for party in PARTIES:
            rows = [
                f'  {name}: {{address: "{self._address[name]}:{_PORT}", signing_key: "{made[name].pin}"}}'
                for name in PARTIES
            ]
            head = ["version: 1", f"identity: {made[party].identity}", f"tls: {json.dumps(made[party].tls)}"]
            head.append(f"silence_seconds: {SILENCE_SECONDS}")
            (self._folder / f"{party}.yaml").write_text("\n".join([*head, "parties:", *rows, ""]))

    def _bridge(self) -> None:
        hub = self._names["hub"]
        _ip("-n", hub, "link", "add", "br0", "type", "bridge")
        _ip("-n", hub, "link", "set", "br0", "up")
        for party in PARTIES:
            port = f"to-{party[:8]}"
            _ip("-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self._names[party])
            _ip("-n", hub, "link", "set", port, "master", "br0", "up")

    def _switch(self, delay: float, rate: float) -> None:
        command = [sys.executable, str(Path(__file__).with_name("slow_switch.py")), str(delay), str(rate)]
        command += [self._names[party] for party in PARTIES]
        switch = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        self._started.append(switch)
        assert switch.stdout is not None
        with switch.stdout as said:
            assert said.readline() == b"up\n", "the switch did not start"

    def _start(self, party: str, pipeline: Path, name: str, options: tuple[str, ...]) -> subprocess.Popen:
        command = ["ip", "netns", "exec", self._names[party], sys.executable, "-m", "veilflow.pipelines.cli", "run"]
        command += [str(pipeline), "--party", party, "--cluster", str(self._folder / f"{party}.yaml")]
        command += ["--out", str(self.out(name, party)), *options]
        with (self._folder / f"{name}.{party}.out").open("w") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT, start_new_session=True)
        self._started.append(process)
        return process


def _sweep() -> None:
    """Remove what test processes that were killed have left: nobody else can."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        found = re.match(r"vf-(\d+)-[0-9a-f]{6}-", line)
        if found and not Path(f"/proc/{found[1]}").exists():
            name = line.split()[0]
            held = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
            for pid in held.split():
                os.kill(int(pid), 9)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()}"
