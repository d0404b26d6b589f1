"""Claims of the `alignment` components."""

from veilflow.components.claims import Claims

CLAIMS: dict[str, Claims] = {}
