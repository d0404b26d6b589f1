"""The wire between the parties' SecretFlow processes: who says it, to whom, in which order, and what may be in it."""
