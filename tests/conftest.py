"""No hypothesis deadline anywhere: a busy machine is no reason for a test to fail."""

from hypothesis import settings

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
