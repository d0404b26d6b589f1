"""An SPU in threads on the deployed ring."""

from collections.abc import Callable
from typing import Any

import pytest
import spu.utils.simulation as simulation
from spu import libspu


@pytest.fixture(scope="session")
def on_spu() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``on_spu(fn)(*arrays)``: three ABY3 parties, 64-bit ring, 18 fraction bits."""
    config = libspu.RuntimeConfig(protocol=libspu.ProtocolKind.ABY3, field=libspu.FieldType.FM64, fxp_fraction_bits=18)
    parties = simulation.Simulator(3, config)
    return lambda fn: simulation.sim_jax(parties, fn)
