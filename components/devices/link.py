"""A link between two parties only, for protocols that bring their own messages (PSI).

Its addresses come from VeilFlow's context, which reserves some for every pair of parties. Under SecretFlow's
`comp_eval` they come from the cluster's SPU devices: the one over exactly these two parties, or else any that holds
both (Kuscia gives addresses to one SPU only). The latter is safe only as long as no SPU of that device is running, so a
component that opens a pair link must not make an SPU.
"""

import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spu.libspu.link as yacl
from secretflow.component.core import Context

from veilflow.components.errors import ComponentError

CONNECT_SECONDS = 20
"""How long a party waits for the other to appear. Both come here at the same time."""
SEND_RETRIES = 10
_LINGER_SECONDS = 0.2
_UNIX = "unix:"
_RETRY_MS = 100
_RETRY_STEP_MS = 200
_INT_OPTIONS = ("recv_timeout_ms", "http_timeout_ms", "http_max_payload_size", "throttle_window_size")
_TEXT_OPTIONS = ("brpc_channel_protocol", "brpc_channel_connection_type")
"""What an operator may set (SPU's ``link_desc``). How often to try connecting is ours: see `link_description`."""


@dataclass(frozen=True)
class PairRoute:
    """How two parties reach each other; as one of the two, or a bystander, sees it."""

    addresses: Mapping[str, str]
    """Both parties in a fixed order; the own address is the one to listen on."""
    options: Mapping[str, Any]
    """Link options that the operator set for the SPU device whose addresses these are."""
    check: Callable[[Any, Sequence[str], str], None] | None = None
    """Proves who is at the other end; None where the platform sees to that (`comp_eval`)."""


def pair_route(ctx: Context, one: str, other: str) -> PairRoute:
    """Where ``one`` and ``other`` can talk.

    Raises:
        ComponentError: the cluster offers no addresses for these two.
    """
    offer = getattr(ctx, "pair_addresses", None)
    if offer is not None:
        table = offer(one, other)
        addresses = {party: table[party] for party in (one, other)}
        return PairRoute(addresses, {}, getattr(ctx, "link_check", None))
    holding = [
        config
        for config in (ctx._spu_configs or {}).values()
        if {one, other} <= {node["party"] for node in config["cluster_def"]["nodes"]}
    ]
    if not holding:
        raise ComponentError(
            f"{one} and {other} need a link of their own, but the cluster has no SPU device that holds both: "
            f"add one over these two parties."
        )
    config = min(holding, key=lambda found: len(found["cluster_def"]["nodes"]))
    nodes = {node["party"]: node for node in config["cluster_def"]["nodes"]}
    addresses = {party: nodes[party]["address"] for party in (one, other)}
    own = nodes.get(ctx.self_party, {}).get("listen_address")
    if own and ctx.self_party in addresses:
        addresses[ctx.self_party] = own
    return PairRoute(addresses, config.get("link_desc") or {})


def link_description(route: PairRoute, name: str, recv_seconds: int) -> Any:
    """yacl's description of the link; an operator's own time limits and channel settings win over ours."""
    desc = yacl.Desc()
    desc.id = name
    # A lost message is sent again after 0.1 s, 0.3 s, ...; yacl's default is 1, 3 and 5 s. An attempt to connect is
    # such a message, with all its retries: 10 s in all where nobody listens.
    desc.retry_opts.max_retry = SEND_RETRIES
    desc.retry_opts.retry_interval_ms = _RETRY_MS
    desc.retry_opts.retry_interval_incr_ms = _RETRY_STEP_MS
    attempt_ms = SEND_RETRIES * _RETRY_MS + SEND_RETRIES * (SEND_RETRIES - 1) // 2 * _RETRY_STEP_MS
    desc.connect_retry_times = max(1, CONNECT_SECONDS * 1000 // attempt_ms)
    desc.connect_retry_interval_ms = _RETRY_MS
    ours = {"recv_timeout_ms": recv_seconds * 1000, "http_timeout_ms": 120 * 1000}
    for option, value in {**ours, **route.options}.items():
        if option in _INT_OPTIONS:
            setattr(desc, option, int(value))
        elif option in _TEXT_OPTIONS:
            setattr(desc, option, str(value))
    for party, address in route.addresses.items():
        desc.add_party(party, address)
    return desc


def clear(address: str) -> None:
    """Remove what an earlier listener has left at a Unix socket's address: brpc leaves it, and then cannot listen."""
    if address.startswith(_UNIX):
        Path(address.removeprefix(_UNIX)).unlink(missing_ok=True)


def require_free_port(route: PairRoute, me: str) -> bool:
    """Whether ``me`` can listen on its address, asked before anybody waits for a link; returns True.

    Raises:
        ComponentError: the port is taken.
    """
    if route.addresses[me].startswith(_UNIX):
        return True  # in a folder of this process alone
    host, _, port = route.addresses[me].rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as brpc does
        try:
            probe.bind((host, int(port)))
        except socket.gaierror:
            return True  # a name that only others resolve; opening the link will tell
        except OSError:
            raise ComponentError(_taken(route, me)) from None
    return True


@contextmanager
def pair_link(route: PairRoute, me: str, name: str, recv_seconds: int) -> Iterator[Any]:
    """A connected link, for ``me``, one of the two; closed afterwards, its port free again.

    Args:
        name: the same at both parties.
        recv_seconds: how long to wait for one message of the other.

    Raises:
        ComponentError: the port is taken, or the other party does not appear within `CONNECT_SECONDS`.
    """
    peer = next(party for party in route.addresses if party != me)
    clear(route.addresses[me])
    try:
        link = yacl.create_brpc(link_description(route, name, recv_seconds), list(route.addresses).index(me))
    except RuntimeError as error:
        raise ComponentError(_why_no_link(str(error), route, me, peer)) from None
    try:
        # Libraries connect a second time on a link they are given. Where that comes before the other side has taken
        # the first greeting, the two become one and it waits for ever: measured in 1 of 10 links, never after this.
        link.barrier()
        if route.check is not None:
            route.check(link, list(route.addresses), name)
        yield link
        # Not `stop_link`: it closes at the peer's last word, whose receipt is then lost with TLS on a busy machine;
        # yacl tries for 10 s and ends the process (2 of 7 runs). So nothing is on its way when the link goes.
        link.barrier()
        time.sleep(_LINGER_SECONDS)
    finally:
        del link  # the port is released with the last reference


def lost_peer(error: RuntimeError) -> bool:
    """Whether a protocol on a link failed because the other side did not answer in time."""
    return re.search(r"timeout|connect", str(error), re.IGNORECASE) is not None


def _why_no_link(text: str, route: PairRoute, me: str, peer: str) -> str:
    if "server failed start" in text:
        return _taken(route, me)
    place = route.addresses[peer]
    where = "" if place.startswith(_UNIX) else f" at {place}"
    return f"{me} waited {CONNECT_SECONDS} s for {peer}{where}: it did not answer."


def _taken(route: PairRoute, me: str) -> str:
    others = ", ".join(party for party in route.addresses if party != me)
    return f"{me} cannot listen on {route.addresses[me]} for its link with {others}: free the port or change it."
