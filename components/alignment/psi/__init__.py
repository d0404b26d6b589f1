"""Plain PSI: fast, and it tells the receivers which people the parties have in common."""
