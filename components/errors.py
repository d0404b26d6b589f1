"""The errors a user or a peer can cause inside a component.

A message names columns, parties, counts and shapes, and says what to do next. It never holds a cell value: messages
travel to the other parties and into the run's ledger.
"""


class ComponentError(Exception):
    """A component cannot go on with this data or these settings; the message says what to change."""

    party: str = ""
    """Where it happened; empty where every party came to it by itself."""


class InternalError(Exception):
    """Something unexpected failed at a party. Peers see only this constant text and a reference to a local log."""

    def __init__(self, party: str, reference: str) -> None:
        super().__init__(f"{party}: internal error, reference {reference} in {party}'s own log")
        self.party = party
        self.reference = reference

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return (InternalError, (self.party, self.reference))
