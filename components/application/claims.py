"""Claims of the `application` components."""

from veilflow.components.claims import Claims

CLAIMS: dict[str, Claims] = {}
