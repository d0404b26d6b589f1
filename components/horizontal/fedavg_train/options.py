"""From the attributes of `fedavg_train` to its settings."""

from typing import Any

import numpy as np

from veilflow.components.horizontal.fedavg.settings import (
    Compress,
    Guard,
    LocalSettings,
    ModelSpec,
    Privacy,
    Server,
    Settings,
    Weighting,
    parse_by_round,
    parse_slow,
)
from veilflow.components.privacy.secagg.settings import SumSettings


def spec_of(net: Any) -> ModelSpec:
    """From the attributes ``net``."""
    layers = () if net.kind == "logistic" else tuple(net.layers or ())
    return ModelSpec(net.kind, layers, net.activation, net.norm, net.module, net.arguments, tuple(net.keep_local or ()))


def settings_of(step: Any) -> Settings:
    """From the attributes of the step.

    Raises:
        ComponentError: entries of another form.
    """
    protect, weigh, guard, adding = step.privacy, step.weights, step.guard, step.secure_sum
    rate = decimal(step.learning_rate)
    return Settings(
        rounds=int(step.rounds),
        local=LocalSettings(int(step.local_epochs), int(step.batch_size), step.optimiser, rate, decimal(step.proximal)),
        privacy=Privacy(
            protect.unit,
            decimal(protect.clip),
            decimal(protect.noise),
            decimal(protect.epsilon),
            decimal(protect.delta),
            protect.schedule,
            decimal(protect.noise_last),
            decimal(protect.first_floor),
            parse_by_round(protect.by_round or ()),
            decimal(protect.adaptive_clip),
            decimal(protect.vote_noise),
            int(protect.colluding),
        ),
        weighting=Weighting(
            weigh.by,
            weigh.method,
            int(weigh.every),
            decimal(weigh.smallest),
            decimal(weigh.largest),
            decimal(weigh.memory),
        ),
        server=Server(step.server.optimiser, decimal(step.server.learning_rate), decimal(step.server.average)),
        guard=Guard(
            decimal(guard.update_norm),
            int(guard.bits),
            decimal(guard.least_cosine),
            decimal(guard.veto),
            decimal(guard.follow),
        ),
        compress=Compress(
            decimal(step.compress.keep),
            step.compress.choose,
            step.compress.train,
            decimal(step.compress.feedback),
        ),
        participation=decimal(step.participation),
        slow=parse_slow(step.slow or ()),
        max_staleness=int(step.max_staleness),
        secure_sum=SumSettings(
            adding.backend, adding.keeper, int(adding.key_bits), int(adding.minimum_clients), adding.combine
        ),
        patience=int(step.patience),
        checkpoint_every=int(step.checkpoint_every),
    )


def decimal(value: float) -> float:
    """The number the user wrote: attributes travel as 32-bit floats, which make 0.3 a little more than 0.3."""
    return float(str(np.float32(value)))
