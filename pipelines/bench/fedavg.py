"""What federated averaging's protections cost, in quality, time and bytes.

Quality      test AUC and accuracy on the real card-default tables of three banks: centralised training, plain FedAvg,
             FedAvg with record-level DP (epsilon 8) and whole numbers of 8 bits, and both with `SHORT` messages.
Weights      rounds until the best loss of size weights is reached, with contribution weights; one bank is noisy.
Rounds       seconds, and of all parties together processor seconds and bytes (TCP, without heartbeats) per round at two
             clients and a coordinator, protection by protection, against plain FedAvg with dense float32 over the same
             link.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from veilflow.pipelines.bench.result import Result

_PARTIES = ["hospital", "insurer", "coordinator"]
_SIDE = "veilflow.pipelines.bench.fedavg_party"
_PLAIN, _CENTRAL = "plain FedAvg", "centralised"
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

SHORT = (5, 0.4)
"""Bits of a value, and share of the coordinates: a tenth of the bytes of dense float32 with two clients."""
CASES: tuple[tuple[str, tuple[str, str, int, float, bool]], ...] = (
    ("whole numbers of 8 bits, masks", ("none", "masks", 8, 1.0, False)),
    ("+ record-level DP", ("record", "masks", 8, 1.0, False)),
    ("+ contribution weights", ("record", "masks", 8, 1.0, True)),
    ("DP, 5 bits, 40 % of the coordinates", ("record", "masks", *SHORT, False)),
    ("+ contribution weights (all on, compressed)", ("record", "masks", *SHORT, True)),
    ("packed HE, 8 bits, all coordinates, DP", ("record", "packed_he", 8, 1.0, False)),
    ("packed HE, all on", ("record", "packed_he", *SHORT, True)),
)

_PER_ROUND = (("round", "s"), ("processor time of a round, all parties", "s"), ("traffic", "bytes/round"))


def run(rows: int | None = None, repeats: int = 3, seeds: int = 10, count: int = 7) -> list[Result]:
    """Measure.

    Args:
        rows: of all clients together, for time and bytes; 100 000 by default.
        repeats: trainings per figure of quality.
        seeds: of the comparison of weights.
        count: timed rounds; the median counts.
    """
    from veilflow.pipelines.bench.fedavg_data import available

    results = []
    if available(DATA):
        results += quality(DATA, repeats)
    results += contribution(seeds)
    return results + per_round(rows or 100_000, count)


def quality(folder: Path, repeats: int) -> list[Result]:
    """AUC and accuracy on default_credit. Settings were chosen on held-out training rows; see docs/benchmarks.md."""
    from veilflow.components.horizontal.fedavg.budget import multipliers, spent
    from veilflow.components.horizontal.fedavg.settings import (
        Compress,
        Guard,
        LocalSettings,
        ModelSpec,
        Privacy,
        Server,
        Settings,
    )
    from veilflow.pipelines.bench.fedavg_data import credit
    from veilflow.pipelines.bench.fedavg_local import Federation

    banks, test = credit(folder)
    joined = {"all": tuple(np.concatenate(parts) for parts in zip(*banks.values(), strict=True))}
    sizes = {party: len(rows[1]) for party, rows in banks.items()}
    spec = ModelSpec("mlp", (32,), "tanh")
    exact = Guard(bits=30, follow=0.0)  # the baselines are not rounded, to speak of
    plain = Settings(50, LocalSettings(epochs=2, batch=256, rate=0.3), Privacy("none"), guard=exact)
    alone = Settings(30, LocalSettings(batch=128, rate=0.2), Privacy("none"), guard=exact)
    guarded = Settings(
        100,
        LocalSettings(epochs=2, batch=1024, rate=1.5),
        Privacy("record", clip=3.0, epsilon=8.0, delta=1e-5),
        server=Server(average=0.05),
    )
    noises = multipliers(guarded, sizes)
    cost = max(spent(guarded, sizes, noises, guarded.rounds).values())
    short: dict[str, Any] = {"guard": Guard(bits=SHORT[0]), "compress": Compress(SHORT[1], "rows")}
    trials: list[tuple[str, Settings, Any, list[float]]] = [
        (_CENTRAL, alone, joined, []),
        (_PLAIN, plain, banks, []),
        (f"record-level DP, epsilon {cost:.2f}", guarded, banks, noises),
        (f"plain FedAvg, {_short()}", replace(plain, **short), banks, []),
        (f"record-level DP, epsilon {cost:.2f}, {_short()}", replace(guarded, **short), banks, noises),
        (
            "the same, 8 bits, a tenth of the coordinates one by one",
            replace(guarded, compress=Compress(0.1)),
            banks,
            noises,
        ),
    ]
    results: list[Result] = []
    central: dict[str, float] = {}
    for name, settings, data, noise in trials:
        found = []
        for _ in range(repeats):
            federation = Federation(spec, settings, data, noise)
            for number in range(settings.rounds):
                federation.round(number)
            found.append(federation.quality(test))
        for metric in ("auc", "accuracy"):
            values = [float(getattr(each, metric)) for each in found]
            mean, spread = float(np.mean(values)), float(np.std(values))
            central.setdefault(metric, mean)
            case = f"{name}, default_credit, mean of {repeats} (deviation {spread:.4f})"
            results.append(Result(case, metric, "", mean, _CENTRAL, mean / central[metric]))
    return results


def _short() -> str:
    return f"{SHORT[0]} bits, {SHORT[1]:.0%} of the coordinates"


def contribution(seeds: int, most: int = 24) -> list[Result]:
    """Rounds to the best loss that size weights reach, as a share of the rounds that size weights need."""
    from veilflow.components.horizontal.fedavg.settings import LocalSettings, ModelSpec, Privacy, Settings, Weighting
    from veilflow.pipelines.bench.fedavg_data import noisy_banks
    from veilflow.pipelines.bench.fedavg_local import Federation

    base = Settings(most, LocalSettings(batch=64, rate=0.02), Privacy("none"))
    saved = []
    for seed in range(seeds):
        banks, reference, test = noisy_banks(seed)
        curves = {}
        for by in ("size", "contribution"):
            settings = replace(base, weighting=Weighting(by, largest=0.6))
            federation = Federation(ModelSpec("mlp", (16,)), settings, banks, [], reference, seed)
            curve = []
            for number in range(most):
                federation.round(number)
                curve.append(federation.quality(test).loss)
            curves[by] = curve
        goal = min(curves["size"])
        needed = curves["size"].index(goal) + 1
        ours = next((i + 1 for i, loss in enumerate(curves["contribution"]) if loss <= goal), 2 * most)
        saved.append(1 - ours / needed)
    low, high = interval(saved)
    case = f"contribution instead of size weights, {seeds} seeds, 95 % interval {low:.0%} to {high:.0%}"
    return [Result(case, "fewer rounds to the same loss", "", float(np.mean(saved)), "size weights")]


def interval(values: list[float], draws: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(np.asarray(values), (draws, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def per_round(rows: int, count: int, batch: int = 512) -> list[Result]:
    """Time and traffic of one round, protection by protection."""
    from veilflow.pipelines.launch.simulation import Simulation

    results = []
    with tempfile.TemporaryDirectory(prefix="veilflow-bench-") as folder, Simulation(Path(folder), _PARTIES) as parties:
        plain = parties.call(f"{_SIDE}:bare", rows, batch, count)
        base = _totals(plain)
        shape = f"28-64-32-1, {rows} rows, 2 clients"
        results += [
            Result(f"{_PLAIN}, dense float32, {shape}", metric, unit, value)
            for (metric, unit), value in zip(_PER_ROUND, base, strict=True)
        ]
        for name, case in CASES:
            found = _totals(parties.call(f"{_SIDE}:rounds", *case, rows, batch, count))
            results += [
                Result(f"{name}, {shape}", metric, unit, value, _PLAIN, value / first)
                for (metric, unit), value, first in zip(_PER_ROUND, found, base, strict=True)
            ]
    return results


def _totals(found: dict[str, Any]) -> tuple[float, float, float]:
    seconds = max(each["seconds"] for each in found.values())
    processor, sent = (sum(each[what] for each in found.values()) for what in ("processor", "bytes"))
    return seconds, processor, sent
