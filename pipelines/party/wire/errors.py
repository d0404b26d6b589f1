"""Why a message was not sent or not taken. Texts hold names, counts and shapes: they reach the other parties."""


class WireRefused(Exception):
    """A received message breaks a rule of the wire; the run stops here."""


class EgressRefused(Exception):
    """An object that was about to leave is not in the table of what the step may send; nothing was sent."""
