"""Attributes of a secure sum that several components have, each in a class of its own (see `parameters`)."""

from typing import Any

from secretflow.component.core import Field, Interval

from veilflow.components.privacy.secagg.settings import BACKENDS, MIN_KEY_BITS, SumSettings


def backend() -> Any:
    return Field.attr(
        desc="masks: pairwise masks; packed_he: Paillier; spu: secret shares; plain: no protection, simulation only.",
        default=SumSettings.backend,
        choices=list(BACKENDS),
    )


def keeper() -> Any:
    return Field.attr(desc="packed_he: who holds the key; empty: the first client.", default=SumSettings.keeper)


def key_bits() -> Any:
    return Field.attr(
        desc="packed_he: of the key.",
        default=SumSettings.key_bits,
        bound_limit=Interval.closed(MIN_KEY_BITS, 8192),
    )
