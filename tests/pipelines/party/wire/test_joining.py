"""At real parties: who cannot prove who it is does not join, and the others say why within the time to connect."""

import re
from dataclasses import replace

import pytest

from veilflow.pipelines.certs.folder import ephemeral
from veilflow.pipelines.launch.identities import with_new_identities

pytestmark = pytest.mark.cluster
PARTIES = ["alice", "carol"]


def _world(folder, loopback, authority):
    """Setups with TLS, and the files of all, Bob's from the same authority among them."""
    made = ephemeral(folder / "certs", [*PARTIES, "bob"])
    pins = {party: made[party].pin for party in PARTIES}
    setups = loopback(folder, PARTIES)
    for party in PARTIES:
        tls = authority.files(party)
        setups[party] = replace(setups[party], tls=tls, identity=made[party].identity, pins=pins)
    return setups, {**made, "authority": authority}


def as_it_should_be(folder, setups, made):
    return setups["carol"]


def no_tls(folder, setups, made):
    return replace(setups["carol"], tls=None)


def rogue_authority(folder, setups, made):
    other = ephemeral(folder / "rogue", ["carol"])["carol"]
    return replace(setups["carol"], tls=other.tls)


def rogue_certificate_under_the_right_authority_file(folder, setups, made):
    other = ephemeral(folder / "rogue", ["carol"])["carol"]
    return replace(setups["carol"], tls={**other.tls, "ca": setups["carol"].tls["ca"]})


def expired(folder, setups, made):
    return replace(setups["carol"], tls=made["authority"].files("carol", days_ago=60))


def bobs_certificate(folder, setups, made):
    return replace(setups["carol"], tls=made["authority"].files("bob"))


def bobs_signing_key(folder, setups, made):
    return replace(setups["carol"], identity=made["bob"].identity)


def bobs_signing_key_pinned_as_carols(folder, setups, made):
    """As far as Bob can come: Carol's very certificate, and a cluster file of his own."""
    return replace(
        setups["carol"], identity=made["bob"].identity, pins={**setups["carol"].pins, "carol": made["bob"].pin}
    )


def another_device(folder, setups, made):
    from veilflow.pipelines.party.setup import SpuDevice

    return replace(setups["carol"], devices={"spu": SpuDevice(PARTIES, "CHEETAH")})


CASES = {
    no_tls: "carol failed: cannot take part: it speaks no TLS",
    rogue_authority: "(alice|carol) failed: cannot take part: it showed a certificate that is not accepted",
    rogue_certificate_under_the_right_authority_file: "certificate is not signed by the CA file's authority",
    expired: "the certificate has expired on",
    bobs_certificate: "the certificate does not name 'carol'. Its subject is 'bob'",
    bobs_signing_key: "the identity is not the one pinned for carol",
    bobs_signing_key_pinned_as_carols: "carol failed: cannot take part: (it is not believed|.* not accept the sig)",
    another_device: "failed: the parties are not set up alike. devices: alice [0-9a-f]{12}, carol [0-9a-f]{12}",
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, loopback, play_all, authority):
    scenarios = {}
    for case in [*CASES, as_it_should_be]:
        folder = tmp_path_factory.mktemp("joining")
        setups, made = _world(folder, loopback, authority)
        setups["carol"] = case(folder, setups, made)
        scenarios[case.__name__] = (folder, setups, None)
    return play_all(scenarios, at_once=8)


def test_who_holds_the_right_keys_joins(outcomes):
    outcome = outcomes["as_it_should_be"]
    assert outcome.message == ""
    assert {event.party for event in outcome.events if event.kind == "ready"} == set(PARTIES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_who_does_not_is_refused_with_a_reason_and_nobody_waits_on(outcomes, case):
    outcome = outcomes[case.__name__]
    said = [f"{each.body['party']} failed: {each.body['message']}" for each in outcome.events if each.kind == "failed"]
    assert any(re.search(CASES[case], text) for text in said), said  # whoever comes first names the run's failure
    assert outcome.message
    assert outcome.seconds < 45
    assert "was not there within" not in outcome.message, "both were told at once"
    assert not any(event.kind == "ready" for event in outcome.events)


@pytest.mark.parametrize("case", [expired, bobs_certificate], ids=lambda case: case.__name__)
def test_a_party_that_refuses_to_start_by_itself_tells_the_others(outcomes, case):
    said = {event.party: event.body for event in outcomes[case.__name__].events if event.kind == "failed"}
    assert said["alice"]["party"] == "carol"
    assert said["alice"]["message"] == "cannot take part: it does not start; its own message says why"


def test_keys_made_for_a_simulation_are_of_this_simulation_only(tmp_path, loopback):
    one, two = (with_new_identities(loopback(tmp_path / name, PARTIES)) for name in "xy")
    assert not {setup.pins[party] for party, setup in one.items()} & {s.pins[p] for p, s in two.items()}
