"""Real data that ships with a dependency."""
