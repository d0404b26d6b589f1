"""Parties started one by one, as on machines of their own: one of them is killed, stopped, or loses its launcher."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster

PARTIES = ["hospital", "insurer"]
SILENCE_SECONDS = 6
# per_example needs no SPU, so two parties suffice; a thousand epochs are some ten seconds, long enough to be killed in.
PIPELINE = """
version: 1
name: long
parties: [hospital, insurer]
nodes:
  patients:
    uses: data/read_table
    with: {party: hospital, path: "sample://breast_cancer/hospital", id: [person], label: malignant}
  clients: {uses: data/read_table, with: {party: insurer, path: "sample://breast_cancer/insurer", id: [person]}}
  align: {uses: alignment/psi, needs: {left: patients.table, right: clients.table}}
  scale: {uses: data/scale, needs: {data: align.table}}
  train:
    uses: vertical/split_train
    needs: {table: scale.table}
    with: {release: per_example, epochs: EPOCHS, checkpoint_every: 5, batch_size: 64}
"""


class Party:
    """One party's command, which can be given again."""

    def __init__(self, name, folder, cluster, *options):
        self.name, self.folder = name, folder
        self._said = folder / f"{name}.out"
        self._command = [sys.executable, "-m", "veilflow.pipelines.cli", "run", str(folder / "long.yaml")]
        self._command += ["--cluster", str(cluster), "--party", name, "--out", str(folder / name), *options]

    def start(self):
        with self._said.open("a") as sink:
            self.process = subprocess.Popen(self._command, stdout=sink, stderr=sink, start_new_session=True)
        return self

    def said(self):
        return self._said.read_text()

    def wait_for(self, text, seconds=60):
        end = time.monotonic() + seconds
        while text not in self.said():
            assert time.monotonic() < end, f"{self.name} never said {text!r}: {self.said()}"
            time.sleep(0.02)

    def wait_for_checkpoint(self, seconds=60):
        """Until training goes on at this party for certain."""
        end = time.monotonic() + seconds
        while not list((self.folder / self.name / self.name / "checkpoints").glob("train/epoch-*.npz")):
            assert time.monotonic() < end, f"{self.name} stored no checkpoint: {self.said()}"
            time.sleep(0.02)

    def tree(self):
        """Process ids of the session: launcher, forkserver, party."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.getsid(int(entry.name)) == self.process.pid:
                        found.append(int(entry.name))
                except ProcessLookupError:
                    continue
        return found

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def run(self):
        return json.loads((self.folder / self.name / "run.json").read_text())


@pytest.fixture
def start(tmp_path, cluster_files):
    """Start both parties of the pipeline; whatever is left of them is killed at the end."""
    made = []

    def go(epochs, *options):
        (tmp_path / "long.yaml").write_text(PIPELINE.replace("EPOCHS", str(epochs)))
        files = cluster_files(tls=True, extra=[f"silence_seconds: {SILENCE_SECONDS}"])
        made.extend(Party(name, tmp_path, files[name], *options).start() for name in PARTIES)
        return made

    yield go
    for party in made:
        for pid in party.tree():
            os.kill(pid, signal.SIGKILL)
        party.process.wait()


def _gone(party, seconds=10):
    end = time.monotonic() + seconds
    while party.tree():
        assert time.monotonic() < end, f"{party.name} left processes {party.tree()}"
        time.sleep(0.05)


# The insurer is the harder one: it calls the hospital, whose old process may still be there to answer.
@pytest.mark.parametrize("victim", PARTIES if os.environ.get("VEILFLOW_FULL") else ["insurer"])
def test_a_killed_party_is_started_again_and_the_others_go_on_with_it(start, victim):
    parties = start(60, "--restarts", "2")
    dead, other = sorted(parties, key=lambda party: party.name != victim)
    other.wait_for_checkpoint()
    dead.signal(signal.SIGKILL)
    dead.process.wait()
    assert dead.run()["status"] == "running", "a killed launcher leaves no verdict"
    dead.start()  # at once: the other has hardly noticed
    assert [party.process.wait(120) for party in parties] == [0, 0], [party.said() for party in parties]
    assert f"{victim} failed in step 'train': is gone" in other.said()
    assert other.said().count("starting again") == 1
    for party in parties:
        run = party.run()
        assert (run["status"], run["metrics"]["train.epochs"]) == ("ok", 60)
        assert [node["status"] for node in run["nodes"]] == ["cached"] * 4 + ["ran"]
        _gone(party)


def test_a_killed_launcher_takes_its_party_with_it_and_frees_its_ports(start):
    parties = start(5000)
    parties[1].wait_for_checkpoint()
    os.kill(parties[0].process.pid, signal.SIGKILL)
    parties[0].process.wait()
    assert parties[1].process.wait(30) == 4
    assert "hospital failed in step 'train': is gone" in parties[1].said()
    for party in parties:
        _gone(party)


def test_a_stopped_party_is_noticed_and_ends_when_it_wakes(start):
    parties = start(5000)
    stopped, other = parties
    other.wait_for_checkpoint()
    stopped.signal(signal.SIGSTOP)
    began = time.monotonic()
    assert other.process.wait(SILENCE_SECONDS + 20) == 4
    assert time.monotonic() - began < SILENCE_SECONDS + 10
    assert "hospital failed in step 'train': is gone (no heartbeat)" in other.said()
    stopped.signal(signal.SIGCONT)
    assert stopped.process.wait(30) == 4
    assert "insurer failed in step 'train': waited in vain for this party" in stopped.said()
    assert stopped.run()["status"] == "failed"
    for party in parties:
        _gone(party)


def test_a_party_process_that_does_not_answer_its_own_launcher_ends_the_run(start):
    """Only the party process is stopped, for good: its launcher must not wait for it for ever."""
    parties = start(5000)
    parties[1].wait_for_checkpoint()
    held = [pid for pid in parties[0].tree() if Path(f"/proc/{pid}/net/tcp").exists() and _listens(pid)]
    assert len(held) == 1
    os.kill(held[0], signal.SIGSTOP)
    assert [party.process.wait(SILENCE_SECONDS + 30) for party in parties] == [4, 4]
    assert f"has not answered for {SILENCE_SECONDS + 10} s" in parties[0].said()
    for party in parties:
        _gone(party)


def _listens(pid):
    """Whether a process has many descriptors of sockets: the party has, launcher and forkserver have not."""
    links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()]
    return sum(link.startswith("socket:") for link in links) > 5
