"""Imports that every party process needs, done once in the forkserver that the processes are forked from.

SecretFlow takes 2.5 seconds to import, 5 to 8 on a busy machine; three processes doing it at once on two cores take 15
to 22.
"""

import gc

# What is imported stays for good, and looking through it again and again costs: 0.45 of 3 seconds here, and 0.5 seconds
# at the end of every party, where SecretFlow collects garbage.
gc.disable()

import flax.linen  # noqa: E402, F401
import optax  # noqa: E402, F401
import secretflow  # noqa: E402, F401
import spu.utils.frontend  # noqa: E402, F401
from jax.extend.backend import clear_backends  # noqa: E402

from veilflow.components.plugin import load_components  # noqa: E402
from veilflow.pipelines.party import main  # noqa: E402, F401

load_components()
# SecretFlow computes with JAX while it is imported. The threads JAX started for that do not survive the fork, and a
# party's first larger matrix product would wait for them for ever: every party starts its own.
clear_backends()
gc.freeze()
gc.enable()
