"""The errors a user or a peer can cause inside a component.

A message names columns, parties, counts and shapes, and says what to do next. It never holds a cell value: messages
travel to the other parties and into the run record. What else the owner of a file needs to find the fault, such as the
names in its first line or where its folder lies, is ``own``: it goes to the log of the party where the error arose, and
nowhere else. It is no part of ``str(error)``, of what `devices.pyu` sends, or of a pickle of the error.
"""

from typing import Any


class ComponentError(Exception):
    """A component cannot go on with this data or these settings; the message says what to change.

    Args:
        text: for everybody.
        own: more, for this party's own log only.
    """

    party: str = ""
    """Where it happened; empty where every party came to it by itself."""

    def __init__(self, text: str = "", own: str = "") -> None:
        super().__init__(text)
        self.own = own

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self),), {"party": self.party})


class InternalError(Exception):
    """Something unexpected failed at a party. Peers see only this constant text and a reference to a local log."""

    def __init__(self, party: str, reference: str) -> None:
        super().__init__(f"{party}: internal error, reference {reference} in {party}'s own log")
        self.party = party
        self.reference = reference

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return (InternalError, (self.party, self.reference))
