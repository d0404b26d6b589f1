"""What a step needs to know of the run's SPU to make shares for it, without connecting it."""

from types import SimpleNamespace

from secretflow.component.core import Context

from veilflow.components.devices.secret import require_secure
from veilflow.components.devices.secret_table import SpuFacts
from veilflow.components.errors import ComponentError


def spu_facts(ctx: Context) -> SpuFacts:
    """Protocol and parties of the SPU that this step's shares are for: the first one, as `Context.make_spu` takes it.

    Raises:
        ComponentError: there is none, or it does not keep secrets (see `secret.require_secure`).
    """
    configs = list((ctx._spu_configs or {}).values())
    if not configs:
        raise ComponentError("this step makes shares for an SPU, but the pipeline's devices hold none.")
    definition = configs[0]["cluster_def"]
    require_secure(definition)
    return SpuFacts.of(SimpleNamespace(cluster_def=definition))
