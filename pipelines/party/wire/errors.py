"""Why a message was not sent or not taken. Texts hold names, counts and shapes: they reach the other parties."""


class WireRefused(Exception):
    """A received message breaks a rule of the wire; the run stops here."""


class NotAlike(WireRefused):
    """The parties are set up differently; ``party`` is the one that differs from all others, empty where none does."""

    def __init__(self, text: str, party: str = "") -> None:
        super().__init__(text)
        self.party = party


class PeerStalled(Exception):
    """A peer is there, but what the step needs from it did not come in time."""

    def __init__(self, peer: str, minutes: float) -> None:
        super().__init__(f"{peer} is there but sent nothing for {minutes:g} minute(s), which is stall_minutes.")
        self.peer = peer


class EgressRefused(Exception):
    """An object that was about to leave is not in the table of what the step may send; nothing was sent."""
