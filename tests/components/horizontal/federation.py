"""A federation of three banks without a pipeline around it, for tests on the cluster `banks` (see conftest)."""

from dataclasses import replace
from typing import Any

import numpy as np

CLIENTS = ("bank_a", "bank_b", "bank_c")
PARTIES = [*CLIENTS, "coordinator"]
ROWS, WIDTH = 120, 4


def rows_of(seed: int, shape: tuple[int, ...] = (WIDTH,)) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=(ROWS, *shape)).astype(np.float32)
    return x, (x.reshape(ROWS, -1).mean(axis=1) > 0).astype(np.float32)


class Federation:
    """A training at the parties without a pipeline around it, and what it did."""

    def __init__(self, ctx: Any, settings: Any, spec: Any, judge: str = "", shape: tuple[int, ...] = (WIDTH,)) -> None:
        from veilflow.components.devices.pyu import run_on
        from veilflow.components.horizontal.fedavg.budget import multipliers
        from veilflow.components.horizontal.fedavg.codec import value_bound
        from veilflow.components.horizontal.fedavg_train.standing import Cast
        from veilflow.components.horizontal.fedavg_train.training import FedAvgTraining
        from veilflow.components.privacy.secagg.secure_sum import SecureSum

        rows = dict.fromkeys(CLIENTS, ROWS)
        data = {party: run_on(party, rows_of, seed, shape) for seed, party in enumerate(CLIENTS)}
        reference = run_on(judge, rows_of, 77, shape) if judge else None
        noises = multipliers(settings, rows)
        self.summed: list[dict[str, float]] = []
        """Per round each client's weight, over the largest one."""

        def make_sum(size: int) -> SecureSum:
            bound = value_bound(settings, len(CLIENTS))
            return SecureSum(ctx, settings.secure_sum, CLIENTS, "coordinator", bound)

        cast = Cast(CLIENTS, "coordinator", judge, data, reference, rows, shape)
        self.training = FedAvgTraining(cast, spec, settings, noises, make_sum, None)
        self.training.distribute()
        add = self.training._aggregate

        def noted(number: int, vectors: Any, shares: Any) -> float:
            self.summed.append({party: share.factor for party, share in shares.items()})
            return add(number, vectors, shares)

        self.training._aggregate = noted  # type: ignore[method-assign]
        self.rounds = settings.rounds

    def run(self) -> list[dict[str, float]]:
        return [self.training.round(number) for number in range(self.rounds)]

    def models(self) -> dict[str, dict[str, float]]:
        """Party -> parameter -> its norm."""
        from veilflow.components.devices.pyu import publish, run_on

        def norms(part: Any) -> dict[str, float]:
            return {name: round(float(np.linalg.norm(each)), 6) for name, each in part[1].items()}

        found: dict[str, dict[str, float]] = publish(
            {party: run_on(party, norms, part) for party, part in self.training.model_sections().items()}
        )
        return found

    def column(self, figures: list[dict[str, float]], name: str) -> list[float]:
        return [each[name] for each in figures]


def plain(rounds: int, **changes: Any) -> Any:
    from veilflow.components.horizontal.fedavg.settings import LocalSettings, Privacy, Settings
    from veilflow.components.privacy.secagg.settings import SumSettings

    first = Settings(rounds, LocalSettings(batch=30, rate=0.3), Privacy("none"), secure_sum=SumSettings("plain"))
    return replace(first, **changes)


def same_everywhere(models: dict[str, dict[str, float]]) -> bool:
    return all(model == models["coordinator"] for model in models.values())
