"""What production refuses, one by one and in any combination; and the little that a simulation refuses."""

import copy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spu import libspu

from veilflow.pipelines.party.setup import HeuDevice
from veilflow.pipelines.profile import Facts, ProfileError, banner, check_spu, check_start, violations
from veilflow.pipelines.profile.facts import Spu
from veilflow.pipelines.profile.heu import MIN_BITS, NO_ENCRYPTION
from veilflow.pipelines.profile.spu import ALLOWED

THREE, TWO = ("hospital", "insurer", "coordinator"), ("hospital", "insurer")
ABY3 = {"protocol": "ABY3", "field": "FM64", "fxp_fraction_bits": 18}
CHEETAH = {**ABY3, "protocol": "CHEETAH"}


def _facts(good, **changes) -> Facts:
    return replace(good, **changes)


def _said(facts: Facts) -> list[str]:
    return [str(violation) for violation in violations(facts)]


def _spu(good, options, parties=THREE) -> list[str]:
    return _said(replace(good, spus={"spu": Spu(tuple(parties), options)}))


def test_a_good_setup_passes(good):
    assert violations(good) == []
    check_start(good)


@pytest.mark.parametrize(
    ("options", "parties"),
    [
        (ABY3, THREE),
        (CHEETAH, TWO),
        ({**ABY3, "field": "FM128", "fxp_fraction_bits": 40}, THREE),
        ({**ABY3, "fxp_exp_mode": 3, "experimental_enable_exp_prime": True}, THREE),
    ],
)
def test_what_is_secure_is_accepted(good, options, parties):
    assert _spu(good, options, parties) == []


@pytest.mark.parametrize("protocol", ["SEMI2K", "REF2K", "SECURENN", "SWIFT", "", "aby3", "PROT_INVALID"])
@pytest.mark.parametrize("parties", [TWO, THREE])
def test_insecure_and_unknown_protocols_are_refused(good, protocol, parties):
    (said,) = _spu(good, {**ABY3, "protocol": protocol}, parties)
    assert said.startswith(f"device spu: protocol {protocol or 'not given'}. Refused because ")
    assert said.endswith("Fix: use ABY3 with three parties or CHEETAH with two")


def test_the_reason_of_semi2k_is_its_triples(good):
    assert "triples come from the first party" in _spu(good, {**ABY3, "protocol": "SEMI2K"})[0]


def test_every_protocol_of_the_installed_spu_is_judged_on_purpose(good):
    accepted = {name for name in libspu.ProtocolKind.__members__ if not _spu(good, {**ABY3, "protocol": name})}
    accepted |= {name for name in libspu.ProtocolKind.__members__ if not _spu(good, {**ABY3, "protocol": name}, TWO)}
    assert accepted == {"ABY3", "CHEETAH"}


@pytest.mark.parametrize(
    ("protocol", "parties"),
    [("ABY3", TWO), ("ABY3", (*THREE, "auditor")), ("CHEETAH", THREE), ("CHEETAH", ("a",)), ("ABY3", ("a", "a", "b"))],
)
@pytest.mark.parametrize("profile", ["production", "simulation"])
def test_a_protocol_has_its_number_of_parties_in_any_profile(good, protocol, parties, profile):
    found = _said(replace(good, profile=profile, spus={"spu": Spu(parties, {**ABY3, "protocol": protocol})}))
    assert len(found) == 1
    assert "is defined for exactly" in found[0]


@pytest.mark.parametrize(
    ("field", "bits", "ok"),
    [
        ("FM64", 18, True),
        ("FM64", 23, True),
        ("FM64", 24, False),
        ("FM64", 7, False),
        ("FM64", None, False),
        ("FM64", True, False),
        ("FM64", "18", False),
        ("FM128", 40, True),
        ("FM128", 55, True),
        ("FM128", 56, False),
        ("FM32", 8, False),
        ("", 18, False),
    ],
)
def test_ring_and_fraction_must_leave_room_for_a_product(good, field, bits, ok):
    assert (_spu(good, {**ABY3, "field": field, "fxp_fraction_bits": bits}) == []) is ok


@given(
    name=st.text(min_size=1, max_size=40).filter(lambda name: name not in ALLOWED),
    value=st.one_of(st.booleans(), st.integers(), st.text(max_size=5), st.none()),
)
def test_any_option_off_the_list_is_refused_whatever_its_value(good, name, value):
    (said,) = _spu(good, {**ABY3, name: value})
    assert said.startswith(f"device spu: option {name}. Refused because ")


def test_every_option_of_the_installed_spu_is_judged_on_purpose(good):
    """An SPU upgrade that brings an option must not make it allowed by accident."""
    config = libspu.RuntimeConfig()
    names = {name for name in dir(config) if name.islower() and not name.startswith("_")}
    refused = {name for name in names if any(f"option {name}." in said for said in _spu(good, {**ABY3, name: 1}))}
    assert names - refused == set(ALLOWED)
    assert {"enable_pphlo_trace", "enable_action_trace", "enable_runtime_snapshot", "beaver_type"} <= refused


INSECURE = [
    ("option enable_pphlo_trace", "spu", {"enable_pphlo_trace": True}),
    ("option enable_action_trace", "spu", {"enable_action_trace": True}),
    ("option enable_runtime_snapshot", "spu", {"enable_runtime_snapshot": True}),
    ("option trace_log_path", "spu", {"trace_log_path": "/tmp/x"}),
    ("option experimental_enable_colocated", "spu", {"experimental_enable_colocated_optimization": True}),
    ("protocol REF2K", "spu", {"protocol": "REF2K"}),
    ("field FM32", "spu", {"field": "FM32"}),
    ("schema mock", "heu", HeuDevice("mock", 3072)),
    ("there is no TLS", "tls", None),
    ("insurer has no signing_key", "pins", "insurer"),
    ("the variable SSLKEYLOGFILE is set", "environment", {"SSLKEYLOGFILE": "/tmp/keys"}),
    ("XLA_FLAGS holds a dump option", "environment", {"XLA_FLAGS": "--xla_dump_to=/tmp"}),
    ("umask 0022", "umask", 0o022),
    ("option debug_mode", "options", {"debug_mode": True}),
    ("option tee_simulation", "options", {"tee_simulation": True}),
]


@given(chosen=st.sets(st.integers(0, len(INSECURE) - 1), min_size=1))
def test_any_set_of_insecure_settings_is_refused_in_full(good, chosen):
    spu, environment, options, changes = dict(ABY3), {}, {}, {}
    for _, kind, value in (INSECURE[index] for index in sorted(chosen)):
        if kind == "spu":
            spu |= value
        elif kind == "environment":
            environment |= value
        elif kind == "options":
            options |= value
        elif kind == "pins":
            changes["pins"] = {party: pin for party, pin in good.pins.items() if party != value}
        else:
            changes[kind] = value
    facts = replace(good, spus={"spu": Spu(THREE, spu)}, environment=environment, options=options, **changes)
    with pytest.raises(ProfileError) as caught:
        check_start(facts)
    text = str(caught.value)
    missing = [INSECURE[index][0] for index in chosen if INSECURE[index][0] not in text]
    assert not missing
    assert len(caught.value.violations) >= len(chosen)


@pytest.mark.parametrize("schema", [*MIN_BITS, "PAILLIER", " ZPaillier "])
def test_key_sizes_are_those_of_the_schema(good, schema):
    least = MIN_BITS[schema.strip().lower()]
    assert _said(replace(good, heu=HeuDevice(schema, least))) == []
    (said,) = _said(replace(good, heu=HeuDevice(schema, least - 1)))
    assert f"Fix: set key_bits: {least} or more" in said


def test_elgamal_has_its_one_curve(good):
    assert _said(replace(good, heu=HeuDevice("elgamal", 256))) == []
    assert "HEU has one curve" in _said(replace(good, heu=HeuDevice("elgamal", 3072)))[0]


@pytest.mark.parametrize("schema", ["fpaillier", "ipcl", "dgk", "dj", "ic-paillier", "bfv", "", "rot13"])
def test_unexamined_schemas_are_refused_at_any_size(good, schema):
    (said,) = _said(replace(good, heu=HeuDevice(schema, 8192)))
    assert f"schema {schema}. Refused because" in said


@given(schema=st.text(max_size=20), bits=st.integers(-10, 10_000))
def test_any_other_schema_is_refused(good, schema, bits):
    known = {*MIN_BITS, "elgamal"}
    if schema.strip().lower() not in known:
        assert violations(replace(good, heu=HeuDevice(schema, bits)))


@pytest.mark.parametrize("schema", [*NO_ENCRYPTION, "Mock", " PLAIN "])
@pytest.mark.parametrize("profile", ["production", "simulation"])
def test_no_encryption_is_refused_in_every_profile(good, schema, profile):
    (said,) = _said(replace(good, profile=profile, heu=HeuDevice(schema, 8192)))
    assert "It does not encrypt at all." in said


def test_a_simulation_allows_conveniences():
    bare = Facts(
        "simulation", "hospital", THREE, spus={"spu": Spu(TWO, {"protocol": "REF2K", "enable_pphlo_trace": 1})}
    )
    assert violations(replace(bare, heu=HeuDevice("ou", 2048))) == []


def test_a_simulation_stays_on_this_machine(good):
    (said,) = _said(Facts("simulation", "hospital", THREE, outside=("insurer",)))
    assert "the address of insurer leaves this machine" in said
    assert violations(replace(good, outside=("insurer", "coordinator"))) == []


@pytest.mark.parametrize("profile", ["", "debug", "Production", "SIMULATION"])
def test_a_profile_that_does_not_exist_is_refused_and_gets_no_convenience(profile):
    facts = Facts(profile, "hospital", THREE, spus={"spu": Spu(THREE, {**ABY3, "protocol": "REF2K"})})
    said = _said(facts)
    assert any("production or simulation" in line for line in said)
    assert any("REF2K" in line for line in said)


def test_an_identity_that_others_have_not_pinned_is_refused(good):
    (said,) = _said(replace(good, signing_key=good.pins["insurer"]))
    assert "the identity is not the one pinned for hospital" in said


def test_one_key_for_two_parties_is_refused(good):
    pins = {**good.pins, "coordinator": good.pins["insurer"]}
    (said,) = _said(replace(good, pins=pins))
    assert "insurer and coordinator have the same signing_key" in said


def test_an_spu_that_a_component_asks_for_is_judged_too():
    check_spu("production", "spu", THREE, ABY3)
    check_spu("simulation", "spu", TWO, {"protocol": "REF2K"})
    with pytest.raises(ProfileError, match="option enable_pphlo_trace"):
        check_spu("production", "spu", THREE, {**ABY3, "enable_pphlo_trace": True})


def test_a_refusal_travels_between_processes():
    error = ProfileError("production", violations(Facts("production", "a", ("a", "b"))))
    again = copy.copy(error)  # by __reduce__, as multiprocessing would
    assert (str(again), again.violations) == (str(error), error.violations)


def test_the_banner_says_what_this_is(good):
    assert banner(good) == "production as hospital: TLS, signed messages, 3 pinned keys, spu ABY3/3"
    assert banner(replace(good, profile="simulation")).startswith("SIMULATION on one machine")
