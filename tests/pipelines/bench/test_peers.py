"""`bench peers` compares equal work: our side runs the task as written; a side that did other work is not counted."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from veilflow.pipelines.bench import peers
from veilflow.pipelines.bench.peers import PeersFailed, Side, Turn
from veilflow.pipelines.bench.peers_task import BACKENDS, Task, forward, quality, write
from veilflow.pipelines.cli.bench import bench
from veilflow.pipelines.spec import load


def _turn(seconds: float, loss: float = 0.4, auc: float = 0.8) -> Turn:
    return Turn(seconds, 2 * seconds, seconds / 10, loss, auc)


def _model(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = (28, 64, 32, 1)
    model = {f"Dense_{i}/kernel": rng.normal(size=sizes[i : i + 2]) / 5 for i in range(3)}
    return model | {f"Dense_{i}/bias": rng.normal(size=sizes[i + 1]) for i in range(3)}


def test_ratios_are_taken_within_a_turn():
    turns = {peers.REFERENCE: [_turn(10), _turn(100), _turn(1)], "other": [_turn(30), _turn(500), _turn(4)]}
    found = {(each.case.split(";")[0], each.metric): each for each in peers.results(turns, "")}
    other = found["other", "end to end"]
    assert (other.value, other.ratio, other.baseline) == (30, 4, peers.REFERENCE)
    assert found[peers.REFERENCE, "end to end"].ratio is None
    assert found["other", "processor, all processes"].value == 60


@pytest.mark.parametrize("other", [_turn(1, loss=0.5), _turn(1, auc=0.7), _turn(1, loss=float("nan"))])
def test_a_side_that_did_other_work_is_not_compared(other):
    peers.require_alike({peers.REFERENCE: [_turn(1)], "other": [_turn(9)]})
    with pytest.raises(PeersFailed, match="other reaches"):
        peers.require_alike({peers.REFERENCE: [_turn(1)], "other": [other]})


def test_the_round_that_compiles_is_no_further_round():
    assert peers.per_round([0, 50, 51, 53, 54.5]) == pytest.approx(1.5)
    with pytest.raises(PeersFailed, match="too few rounds"):
        peers.per_round([0, 50])


def test_the_numpy_model_is_the_networks_own(tmp_path):
    from veilflow.components.horizontal.fedavg.networks import network
    from veilflow.components.horizontal.fedavg.settings import ModelSpec

    model, x = _model(1), np.random.default_rng(2).normal(size=(50, 28))
    flax = network(ModelSpec("mlp", (64, 32))).apply(model, {}, x.astype(np.float32))
    np.testing.assert_allclose(forward(model, x), flax, atol=1e-5)


def test_all_sides_read_the_same_rows_and_settings(tmp_path):
    import pandas as pd

    task = Task(rows=300, rounds=7, batch=16, rate=0.25)
    write(task, tmp_path, seed=5)
    assert json.loads((tmp_path / "task.json").read_text())["rounds"] == 7
    for number in (1, 2, 3):
        frame = pd.read_parquet(tmp_path / f"bank_{number}.parquet")
        x = np.load(tmp_path / f"bank_{number}_x.npy")
        assert x.shape == (100, 28)
        np.testing.assert_array_equal(frame.drop(columns=["default"]).to_numpy(np.float32), x)
        np.testing.assert_array_equal(frame["default"], np.load(tmp_path / f"bank_{number}_y.npy"))
    for backend in BACKENDS:
        settings = load(tmp_path / f"{backend}.yaml").nodes["train"].params
        assert (settings["rounds"], settings["batch_size"], settings["learning_rate"]) == (7, 16, 0.25)
        assert settings["secure_sum"]["backend"] == backend


def test_our_side_trains_and_leaves_what_the_bench_reads(tmp_path):
    write(Task(rows=3000, rounds=4, batch=128, epochs=3, rate=0.3), tmp_path, seed=3)
    (side,) = (each for each in peers.sides(None, None) if each.name == peers.REFERENCE)
    turn = peers.one(side, tmp_path, tmp_path / "out", seed=3)
    untrained, _ = quality(_model(0), 3)
    assert turn.loss < untrained
    assert turn.auc > 0.7
    assert 0 < turn.per_round < turn.seconds
    assert turn.processor > 1, "four party processes and their server, which are no children of the command"


def test_a_failing_side_is_named_with_what_it_printed(tmp_path):
    (tmp_path / "broken.py").write_text("import sys\nprint('no such module here')\nsys.exit(3)\n")
    side = Side("Other framework", sys.executable, str(tmp_path / "broken.py"))
    with pytest.raises(PeersFailed, match="Other framework ended with exit code 3") as error:
        peers.timed(side, side.command(tmp_path, tmp_path), tmp_path, tmp_path / "log.txt")
    assert "no such module here" in str(error.value)


def test_what_a_side_leaves_running_is_ended(tmp_path):
    script = tmp_path / "daemon.py"
    script.write_text(
        "import pathlib, subprocess, sys, time\n"
        "left = subprocess.Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True)\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(left.pid))\n"
        "time.sleep(0.6)\n"
    )
    side = Side("daemons", sys.executable, str(script))
    _, processor = peers.timed(side, side.command(tmp_path, tmp_path), tmp_path, tmp_path / "log.txt")
    assert processor > 0.05, "the daemon's time counts"
    pid = (tmp_path / "pid").read_text()
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["peers"], "give --flower-python, --nvflare-python"),
        (["wire", "--flower-python", sys.executable, "--rounds", "5"], "wire has no --flower-python, --rounds"),
        (["wire", "--columns", "5"], "wire has no --columns; only alignment has"),
        (["peers", "--flower-python", "/no/such/python"], "does not exist"),
        (["peers", "--flower-python", sys.executable, "--rounds", "3"], "is not in the range"),
        (["peers", "--flower-python", sys.executable, "--repeats", "0"], "is not in the range"),
    ],
)
def test_options_that_fit_no_bench_are_refused(arguments, message):
    done = CliRunner().invoke(bench, arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_the_options_reach_the_bench(monkeypatch):
    said = {}
    monkeypatch.setattr(peers, "run", lambda rows, **given: said.update(rows=rows, **given) or [])
    sizes = ["--rows", "900", "--rounds", "7", "--repeats", "2"]
    done = CliRunner().invoke(bench, ["peers", "--flower-python", sys.executable, *sizes])
    assert done.exit_code == 0, done.output
    assert (said["rows"], said["rounds"], said["repeats"]) == (900, 7, 2)
    assert str(said["flower_python"]) == sys.executable
    scripts = [side.script for side in peers.sides(said["flower_python"], None)]
    assert scripts == ["", "", "flower_app.py", "flower_documented.py"]
    everybody = peers.sides(said["flower_python"], said["flower_python"])
    assert all((peers.SCRIPTS / side.script).exists() for side in everybody)
    assert len({side.name for side in everybody}) == len(everybody), "sides are told apart by their names"
