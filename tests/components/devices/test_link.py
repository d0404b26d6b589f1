"""Two parties find each other, in VeilFlow's clusters as in SecretFlow's, Kuscia's among them."""

import pytest

pytestmark = pytest.mark.cluster


class Stub:
    """The part of SecretFlow's `Context` that tells addresses."""

    def __init__(self, me, devices):
        self.self_party = me
        self._spu_configs = {name: {"cluster_def": {"nodes": nodes}, **extra} for name, nodes, extra in devices}


def _nodes(**addresses):
    return [{"party": party, "address": address, "listen_address": ""} for party, address in addresses.items()]


THREE = ("spu", _nodes(a="ha:1", b="hb:1", c="hc:1"), {})
PAIR = ("pair", _nodes(b="hb:2", a="ha:2"), {"link_desc": {"recv_timeout_ms": "7000", "connect_retry_times": 60}})
KUSCIA = ("spu", _nodes(a="0.0.0.0:20001", b="http://b.svc:80", c="http://c.svc:80"), {})


def routes(ctx, me, devices):
    from veilflow.components.devices.link import link_description, pair_route
    from veilflow.components.errors import ComponentError

    try:
        route = pair_route(Stub(me, devices), "a", "b")
    except ComponentError as refused:
        return str(refused)
    desc = link_description(route, "x", 9)
    seconds = desc.connect_retry_times * (desc.retry_opts.max_retry * (desc.retry_opts.max_retry) / 10)
    return [dict(route.addresses), desc.recv_timeout_ms, desc.enable_ssl, [p.host for p in desc.parties], seconds]


@pytest.mark.parametrize(
    ("devices", "addresses", "wait"),
    [
        ([THREE, PAIR], {"a": "ha:2", "b": "hb:2"}, 7000),
        ([THREE], {"a": "ha:1", "b": "hb:1"}, 9000),
        ([KUSCIA], {"a": "0.0.0.0:20001", "b": "http://b.svc:80"}, 9000),
    ],
    ids=["a device of their own", "a device with a third", "kuscia"],
)
def test_addresses_come_from_the_smallest_spu_that_holds_both(veilflow_cluster, devices, addresses, wait):
    found, recv, tls, hosts, seconds = veilflow_cluster.call(routes, "a", devices)["hospital"]
    assert found == addresses
    assert hosts == [addresses["a"], addresses["b"]]
    assert recv == wait
    assert not tls
    assert seconds == 20, "whatever the operator's number of attempts, each of which takes as long as its retries"


def test_a_cluster_without_a_common_spu_is_told_what_to_add(veilflow_cluster):
    lonely = [("spu", _nodes(a="ha:1", c="hc:1"), {})]
    for devices in (lonely, []):
        text = veilflow_cluster.call(routes, "a", devices)["hospital"]
        assert text.startswith("a and b need a link of their own, but the cluster has no SPU device that holds both")


def own_address(ctx, listen):
    from veilflow.components.devices.link import pair_route

    nodes = [
        {"party": "a", "address": "public:1", "listen_address": listen},
        {"party": "b", "address": "other:1", "listen_address": "0.0.0.0:9"},
    ]
    return dict(pair_route(Stub("a", [("spu", nodes, {})]), "a", "b").addresses)


def test_a_party_listens_where_it_is_told_to_and_calls_the_others_public_address(veilflow_cluster):
    assert veilflow_cluster.call(own_address, "0.0.0.0:7")["hospital"] == {"a": "0.0.0.0:7", "b": "other:1"}


def many_links(ctx, count):
    """One link after the other on the same addresses."""
    from veilflow.components.devices.link import pair_link, pair_route
    from veilflow.components.devices.pyu import publish, run_on

    holders = ("hospital", "insurer")
    route = pair_route(ctx, *holders)

    def use(party, number):
        with pair_link(route, party, f"n{number}", 20) as link:
            return list(link.all_gather(party))

    return [
        publish({party: run_on(party, use, party, number) for party in holders})["hospital"] for number in range(count)
    ]


def test_links_can_follow_each_other_on_the_same_ports(veilflow_cluster):
    assert veilflow_cluster.call(many_links, 12)["coordinator"] == [["hospital", "insurer"]] * 12
