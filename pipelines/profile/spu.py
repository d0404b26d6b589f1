"""Which SPU settings may compute on somebody's data.

Allowed in production: ABY3 with exactly three parties and CHEETAH with exactly two, both semi-honest, on FM64 or FM128,
and options that change rounding only. Every other option is refused, whatever its value: a new version of SPU may bring
ones that nobody here has read. Source: spu.proto and libspu of SPU 0.9.4.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from veilflow.pipelines.profile.violation import ProfileError, Violation

PARTIES = {"ABY3": 3, "CHEETAH": 2}
"""Protocols that production accepts, and with how many parties they are secure."""

_REFUSED_PROTOCOLS = {
    "SEMI2K": "its triples come from the first party, which can read every input; SPU's own text calls that NOT SAFE.",
    "REF2K": "it computes in the clear, for tests.",
    "SECURENN": "nobody here has examined SPU's version of it.",
    "SWIFT": "SPU calls its version experimental.",
}
_RING_BITS = {"FM64": 64, "FM128": 128}
_INTEGER_BITS = 16
"""What must be left above the fraction in a product, or it wraps around without an error."""
_MIN_FRACTION_BITS = 8

ROUNDING = frozenset(
    {
        "fxp_div_goldschmidt_iters",
        "fxp_exp_mode",
        "fxp_exp_iters",
        "fxp_log_mode",
        "fxp_log_iters",
        "fxp_log_orders",
        "sigmoid_mode",
        "sine_cosine_iters",
        # SecretFlow's ss_glm sets these four with its exact exponential.
        "experimental_enable_exp_prime",
        "experimental_exp_prime_offset",
        "experimental_exp_prime_disable_lower_bound",
        "experimental_exp_prime_enable_upper_bound",
    }
)
"""Options that choose an approximation, and open nothing."""
ALLOWED = frozenset({"protocol", "field", "fxp_fraction_bits"}) | ROUNDING

_KNOWN_BAD = {
    "enable_pphlo_trace": "it prints every operation with its values.",
    "enable_action_trace": "it writes every protocol step to a log.",
    "enable_pphlo_profile": "it prints what was computed and for how long.",
    "enable_hal_profile": "it prints what was computed and for how long.",
    "enable_runtime_snapshot": "it dumps programs and shares to disk.",
    "snapshot_dump_dir": "it dumps programs and shares to disk.",
    "trace_log_path": "it writes bytes of the parties' messages to a file.",
    "trace_content_length": "it writes bytes of the parties' messages to a file.",
    "enable_console_logger": "it prints the runtime's log where nobody guards it.",
    "experimental_enable_colocated_optimization": "it keeps values in the clear where two parties share a process.",
    "trunc_allow_msb_error": "it lets truncation fail more often, silently.",
    "enable_lower_accuracy_rsqrt": "it returns less exact roots, silently.",
    "public_random_seed": "it fixes randomness that should differ from run to run.",
    "sort_method": "some sorts open comparisons of the values.",
    "beaver_type": "triples from a dealer are only as safe as the dealer, and VeilFlow has none.",
    "ttp_beaver_config": "triples from a dealer are only as safe as the dealer, and VeilFlow has none.",
    "cheetah_2pc_config": "it changes the parameters that CHEETAH's security rests on.",
}


def spu_violations(where: str, parties: Sequence[str], options: Mapping[str, Any]) -> Iterator[Violation]:
    """Everything that production refuses in one SPU's runtime configuration, log options included."""
    yield from count_violations(where, parties, options)
    protocol, field = str(options.get("protocol", "")), str(options.get("field", ""))
    if protocol not in PARTIES:
        why = _REFUSED_PROTOCOLS.get(protocol, "it is none that VeilFlow knows.")
        fix = "use ABY3 with three parties or CHEETAH with two"
        yield Violation(f"protocol {protocol or 'not given'}", where, f"Refused because {why}", fix)
    if field not in _RING_BITS:
        why = "Too small a ring wraps around, and its shares then open to nonsense."
        yield Violation(f"field {field or 'not given'}", where, why, "use FM64 or FM128")
    else:
        yield from _fraction(where, field, options.get("fxp_fraction_bits"))
    for name in sorted(map(str, set(options) - ALLOWED)):
        why = _KNOWN_BAD.get(name, "it is not on the list of options that have been examined.")
        yield Violation(f"option {name}", where, f"Refused because {why}", "remove it")


def count_violations(where: str, parties: Sequence[str], options: Mapping[str, Any]) -> Iterator[Violation]:
    """A protocol with a number of parties that it cannot have, in any profile."""
    protocol = str(options.get("protocol", ""))
    wanted, found = PARTIES.get(protocol), len(set(parties))
    if wanted is not None and (found != wanted or len(parties) != wanted):
        why = f"{protocol} is defined for exactly {wanted} different parties."
        yield Violation(f"{protocol} with {len(parties)} part{'y' if len(parties) == 1 else 'ies'}", where, why, _MATCH)


_MATCH = "use ABY3 with three parties or CHEETAH with two"


def _fraction(where: str, field: str, bits: Any) -> Iterator[Violation]:
    most = (_RING_BITS[field] - 2 - _INTEGER_BITS) // 2
    if isinstance(bits, bool) or not isinstance(bits, int) or not _MIN_FRACTION_BITS <= bits <= most:
        why = f"A product of two numbers has twice as many, and {field} must keep {_INTEGER_BITS} bits above them."
        fix = f"use {_MIN_FRACTION_BITS} to {most}, for example {18 if field == 'FM64' else 40}"
        yield Violation(f"{'no' if bits is None else bits} fraction bits on {field}", where, why, fix)


def check_spu(profile: str, name: str, parties: Sequence[str], options: Mapping[str, Any]) -> None:
    """Ask the profile about an SPU that is about to be made, e.g. with options that a component chose.

    Raises:
        ProfileError: with every violation.
    """
    rule = count_violations if profile == "simulation" else spu_violations
    found = list(rule(f"device {name}", parties, options))
    if found:
        raise ProfileError(profile, found)
