"""Claims of the `data` components."""

from veilflow.components.claims import Claims

CLAIMS: dict[str, Claims] = {}
