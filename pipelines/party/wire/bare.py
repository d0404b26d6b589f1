"""The wire without its protections, as the baseline that `veilflow bench wire` compares with.

Nothing reaches this but a job of the bench, in processes that the bench has started; between organisations no job calls
functions by name (`main._Server._call`).
"""

import importlib
from typing import Any

from secretflow.distributed.fed.proxy.brpc_link.brpc_link import BrpcLinkProxy
from secretflow.utils import secure_pickle

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.pipelines.party.wire.proxy import SecureLinkProxy


def strip(ctx: Any) -> None:
    """Leave SecretFlow's own sending and receiving in this process.

    Raises:
        ComponentError: outside of a simulation.
    """
    if not ctx.simulation:
        raise ComponentError("the wire's protections can be taken off in a simulation only.")
    publish(run_on(ctx.setup.parties[0], lambda: True))  # what is on its way arrives by the rules it was sent under
    importlib.reload(secure_pickle)
    for name in ("send", "recv"):
        setattr(SecureLinkProxy, name, getattr(BrpcLinkProxy, name))
