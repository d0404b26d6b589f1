"""The two profiles.

``production`` is the default and refuses everything that would make a promise of this project untrue; there is no
switch that turns one refusal off. ``simulation`` is for one machine, on loopback, where nothing is protected from the
user who runs all parties; it says that it is one (`banner`).
"""

from collections.abc import Iterator

from veilflow.pipelines.profile.certificates import certificate_violations
from veilflow.pipelines.profile.facts import Facts
from veilflow.pipelines.profile.heu import heu_violations, plain_violations
from veilflow.pipelines.profile.machine import (
    data_violations,
    environment_violations,
    temp_violations,
    umask_violations,
)
from veilflow.pipelines.profile.spu import count_violations, spu_violations
from veilflow.pipelines.profile.violation import ProfileError, Violation

PROFILES = ("production", "simulation")

ALLOWED_OPTIONS = frozenset(
    {
        "ray_mode",
        "cross_silo_comm_backend",
        "cross_silo_comm_options",
        "tls_config",
        "job_name",
        "enable_waiting_for_other_parties_ready",
        "logging_level",
        "cluster_config",
    }
)
"""What our bootstrap gives to `secretflow.init`; SecretFlow ignores options it does not know, without a word."""


def check_start(facts: Facts) -> None:
    """Refuse a run that its profile forbids. Called by the launcher, and again inside the party's process.

    Raises:
        ProfileError: with every violation.
    """
    found = violations(facts)
    if found:
        raise ProfileError(facts.profile, found)


def violations(facts: Facts) -> list[Violation]:
    """Everything the facts' profile refuses; a profile that does not exist is treated as production, and refused."""
    found = list(_always(facts))
    if facts.profile == "simulation":
        return found + list(_simulation(facts))
    if facts.profile not in PROFILES:
        why = "Only these two have rules."
        found.append(Violation(f"profile '{facts.profile}'", "cluster file", why, "production or simulation"))
    return found + list(_production(facts))


def _always(facts: Facts) -> Iterator[Violation]:
    for problem in facts.key_problems:
        what = problem.removesuffix(".")
        yield Violation(what, "key files", "Whoever has a party's key can be that party.", "as said")
    if facts.tls is not None:
        yield from certificate_violations(facts.tls, facts.party)
    if facts.pins:
        yield from _pin_violations(facts)


def _simulation(facts: Facts) -> Iterator[Violation]:
    for party in facts.outside:
        why = "A simulation protects nothing, so it may not reach other machines."
        yield Violation(f"the address of {party} leaves this machine", "profile simulation", why, _LOCAL)
    for name, spu in facts.spus.items():
        yield from count_violations(f"device {name}", spu.parties, spu.options)
    if facts.heu is not None:
        yield from plain_violations(facts.heu.schema)


_LOCAL = "use 127.0.0.1, or profile: production"


def _production(facts: Facts) -> Iterator[Violation]:
    if facts.tls is None:
        why = "Links would carry everything in the clear."
        yield Violation("there is no TLS", "cluster file", why, "add tls: {ca, certificate, key}")
    yield from _identity_violations(facts)
    for name, spu in facts.spus.items():
        yield from spu_violations(f"device {name}", spu.parties, spu.options)
    if facts.heu is not None:
        yield from heu_violations(facts.heu.schema, facts.heu.key_size)
    if facts.temp is not None:
        yield from temp_violations(facts.temp, facts.uid)
    if facts.folder is not None:
        yield from data_violations(facts.folder)
    if facts.umask is not None:
        yield from umask_violations(facts.umask)
    yield from environment_violations(facts.environment)
    for name in sorted(set(facts.options) - ALLOWED_OPTIONS):
        why = "It is not on the list of options that have been examined."
        yield Violation(f"option {name}", "secretflow.init", why, "remove it")


def _identity_violations(facts: Facts) -> Iterator[Violation]:
    if facts.signing_key is None and not facts.key_problems:
        fix = f"add identity: {facts.party}.signing.pem"
        yield Violation("there is no identity", "cluster file", "This party could not sign its messages.", fix)
    for party in facts.parties:
        if party not in facts.pins:
            fix = "add signing_key from its NAME.signing.pub"
            yield Violation(f"{party} has no signing_key", "cluster file", "Anyone could speak as this party.", fix)


def _pin_violations(facts: Facts) -> Iterator[Violation]:
    pin = facts.pins.get(facts.party)
    if facts.signing_key is not None and pin is not None and facts.signing_key != pin:
        what = f"the identity is not the one pinned for {facts.party}"
        why = f"It is {facts.signing_key}, pinned is {pin}."
        yield Violation(what, "cluster file", why, "name the right file, or give the others the new public key")
    owners: dict[str, str] = {}
    for party, text in facts.pins.items():
        other = owners.setdefault(text, party)
        if other != party:
            why = "Each could speak as the other."
            yield Violation(f"{other} and {party} have the same signing_key", "cluster file", why, "one key each")


def banner(facts: Facts) -> str:
    """One line for the screen and the log: what protects this run."""
    if facts.profile == "simulation":
        return (
            "SIMULATION on one machine: every party runs here, so nothing is hidden from this user. Not for real data."
        )
    spus = ", ".join(f"{name} {spu.options.get('protocol')}/{len(spu.parties)}" for name, spu in facts.spus.items())
    return f"production as {facts.party}: TLS, signed messages, {len(facts.pins)} pinned keys, {spus or 'no SPU'}"
