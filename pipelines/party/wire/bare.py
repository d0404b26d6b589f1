"""The wire without its protections, as the baseline that `veilflow bench wire` compares with.

Nothing reaches this but a job of the bench, in processes that the bench has started; between organisations no job calls
functions by name (`main._Server._call`).
"""

import importlib
from typing import Any

import spu.libspu.link as yacl
from secretflow.distributed.fed.global_context import get_global_context
from secretflow.distributed.fed.proxy.brpc_link.brpc_link import BrpcLinkProxy
from secretflow.utils import secure_pickle

from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.errors import ComponentError
from veilflow.pipelines.party.wire.proxy import SecureLinkProxy


def strip(ctx: Any, addresses: dict[str, str]) -> None:
    """Leave SecretFlow's own sending and receiving in this process, on a brpc link without TLS.

    Args:
        addresses: party -> ``host:port`` of that link, on loopback.

    Raises:
        ComponentError: outside of a simulation.
    """
    if not ctx.simulation:
        raise ComponentError("the wire's protections can be taken off in a simulation only.")
    publish(run_on(ctx.setup.parties[0], lambda: True))  # what is on its way arrives by the rules it was sent under
    proxy = get_global_context()._proxy
    desc = yacl.Desc()
    for party in ctx.setup.addresses.base:  # in the order of ranks
        desc.add_party(party, addresses[party])
    desc.recv_timeout_ms, desc.http_timeout_ms = ctx.setup.stall_ms, 120 * 1000
    proxy._linker = yacl.create_brpc(desc, proxy._rank)
    importlib.reload(secure_pickle)
    for name in ("send", "recv"):
        setattr(SecureLinkProxy, name, getattr(BrpcLinkProxy, name))
