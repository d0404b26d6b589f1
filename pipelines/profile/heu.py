"""Which homomorphic encryption may carry somebody's data.

Sizes give 128 bits of security. Paillier (HEU's ``zpaillier``): 3072-bit n = pq (NIST SP 800-57). Okamoto-Uchiyama
(``ou``): n = p^2 q, which HEU's own guide says may need 500 to 600 bits more (Boneh, Durfee, Howgrave-Graham 1999), so
3840. Exponential ElGamal: HEU has one curve of 256 bits. https://www.secretflow.org.cn/docs/heu (algo_choice).

Caveat of ``ou``: whoever gets a ciphertext of their own making decrypted, with a plaintext above the secret p, learns
p = gcd(m - m', n). It is safe only while decrypted values do not return to the party that computed on ciphertexts, or
are range-checked before they do. The profile cannot see that; a component that offers ``ou`` must.
"""

from collections.abc import Iterator

from veilflow.pipelines.profile.violation import Violation

MIN_BITS = {"zpaillier": 3072, "paillier": 3072, "z-paillier": 3072, "ou": 3840}
"""Schemas by HEU's names for them (the first three are one), and the smallest key."""
_EXACT_BITS = {"elgamal": 256}
NO_ENCRYPTION = frozenset({"mock", "plain", "none"})
"""HEU's names for leaving data as it is. Refused in every profile: results would look like those of a real run."""
_REFUSED = {
    "fpaillier": "it sends every number's exponent in the clear.",
    "f-paillier": "it sends every number's exponent in the clear.",
    "ipcl": "HEU calls it experimental, for tests only.",
}


def plain_violations(schema: str) -> Iterator[Violation]:
    """A schema that does not encrypt."""
    if schema.strip().lower() in NO_ENCRYPTION:
        yield Violation(f"schema {schema}", "device heu", "It does not encrypt at all.", "use paillier with 3072 bits")


def heu_violations(schema: str, key_bits: int) -> Iterator[Violation]:
    """Everything that production refuses in the HEU's settings."""
    name = schema.strip().lower()
    yield from plain_violations(schema)
    if name in NO_ENCRYPTION:
        return
    if name in _EXACT_BITS:
        if key_bits != _EXACT_BITS[name]:
            why, fix = "HEU has one curve for it.", f"use {_EXACT_BITS[name]} bits"
            yield Violation(f"{schema} with {key_bits}-bit keys", "device heu", why, fix)
    elif name not in MIN_BITS:
        why = _REFUSED.get(name, "it is not on the list of schemas that have been examined.")
        fix = "use paillier with 3072 bits"
        yield Violation(f"schema {schema}", "device heu", f"Refused because {why}", fix)
    elif key_bits < MIN_BITS[name]:
        why = "That is less than 128 bits of security."
        fix = f"set key_bits: {MIN_BITS[name]} or more"
        yield Violation(f"{schema} with {key_bits}-bit keys", "device heu", why, fix)
