"""Claims of the `vertical` components."""

from veilflow.components.claims import Claims

CLAIMS: dict[str, Claims] = {}
