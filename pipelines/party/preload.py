"""Imports that every party process needs, done once in the forkserver that the processes are forked from.

SecretFlow takes 5 to 8 seconds to import; three processes doing it at once on two cores take 15 to 22.
"""

import flax.linen  # noqa: F401
import optax  # noqa: F401
import secretflow  # noqa: F401
import spu.utils.frontend  # noqa: F401
from jax.extend.backend import clear_backends

from veilflow.components.plugin import load_components
from veilflow.pipelines.party import main  # noqa: F401

load_components()
# SecretFlow computes with JAX while it is imported. The threads JAX started for that do not survive the fork, and a
# party's first larger matrix product would wait for them for ever: every party starts its own.
clear_backends()
