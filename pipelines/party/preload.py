"""What every party process needs, done once in the forkserver that the processes are forked from.

SecretFlow takes 2.5 seconds to import, 5 to 8 on a busy machine; three processes doing it at once on two cores take 15
to 22.
"""

import contextlib
import gc
import sys
from typing import Any

# What is imported stays for good, and looking through it again and again costs: 0.45 of 3 seconds here, and 0.5 seconds
# at the end of every party, where SecretFlow collects garbage.
gc.disable()
# SecretFlow looks for Ray in every single call at a party, and there is none: it need not search the whole path.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("ray", None)

import flax.linen  # noqa: E402, F401
import optax  # noqa: E402, F401

from veilflow.components.platforms import nothing_compiled  # noqa: E402

with nothing_compiled():
    import secretflow  # noqa: F401
    import spu.utils.frontend  # noqa: F401

    from veilflow.components.plugin import load_components
    from veilflow.pipelines.party import bootstrap, control, main, registry, runner, session  # noqa: F401
    from veilflow.pipelines.party.facts import own_code

    load_components()
    with contextlib.suppress(Exception):  # another's plugin: a party that cannot import it tries again, and says so
        registry.load()
own_code()
gc.freeze()
gc.enable()
