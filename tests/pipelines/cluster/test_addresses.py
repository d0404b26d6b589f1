import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.cluster.addresses import (
    AddressError,
    Addresses,
    from_bases,
    on_loopback,
    pair_name,
    ports_needed,
)
from veilflow.pipelines.cluster.ports import is_free

PARTIES = ["hospital", "insurer", "coordinator"]


@given(
    parties=st.lists(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), min_size=2, max_size=6, unique=True),
    devices=st.integers(0, 8),
)
def test_no_two_links_of_a_party_share_a_port(parties, devices):
    bases = {party: ("10.0.0.1", 9000 + 100 * index) for index, party in enumerate(parties)}
    made = from_bases(bases, {f"spu{index}": parties for index in range(devices)})
    for party in parties:
        ports = made.own_ports(party)
        assert len(ports) == len(set(ports)) == 1 + devices + len(parties) - 1
        base = bases[party][1]
        assert all(base <= port < base + ports_needed(parties) for port in ports)


def test_addresses_are_the_same_at_every_party_whatever_the_order_of_the_table():
    bases = {party: ("10.0.0.1", 9000 + 100 * index) for index, party in enumerate(PARTIES)}
    turned = dict(reversed(bases.items()))
    one, other = from_bases(bases, {}), from_bases(turned, {})
    assert one.pairs == other.pairs
    assert one.of_pair("insurer", "hospital") == other.of_pair("hospital", "insurer")


def test_more_devices_than_the_port_layout_holds_are_refused():
    bases = {"a": ("h", 1), "b": ("h", 100)}
    with pytest.raises(AddressError, match="9 SPU devices, but the port layout holds 8"):
        from_bases(bases, {f"d{index}": ["a", "b"] for index in range(9)})


def test_loopback_addresses_can_all_be_listened_on():
    made = on_loopback(PARTIES, {"spu": PARTIES})
    for party in PARTIES:
        assert all(is_free("127.0.0.1", port) for port in made.own_ports(party))


def test_a_port_in_use_is_not_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not is_free("127.0.0.1", taken.getsockname()[1])


def test_with_tls_a_party_has_one_port_and_the_last_one_will_do():
    made = Addresses({"a": "10.0.0.1:65535", "b": "[2001:db8::1]:9100"}, {}, {})
    assert (made.own_ports("a"), made.own_ports("b")) == ([65535], [9100])
    assert on_loopback(PARTIES, {"spu": PARTIES}).with_one_port().devices == {}


def test_without_tls_a_base_port_that_leaves_too_few_is_refused_with_the_highest_that_will_do():
    bases = {"a": ("127.0.0.1", 65530), "b": ("127.0.0.1", 9000)}
    with pytest.raises(AddressError, match=r"a needs 10 ports from 65530 on.*a base port up to 65526\."):
        from_bases(bases, {})
    from_bases({**bases, "a": ("127.0.0.1", 65526)}, {f"d{index}": ["a", "b"] for index in range(8)})


def test_addresses_survive_json():
    made = on_loopback(PARTIES, {"spu": PARTIES})
    assert Addresses.from_json(made.to_json()) == made


def test_a_pair_has_one_name():
    assert pair_name("b", "a") == pair_name("a", "b") == "a|b"
