"""Sums of the clients' integer vectors that show nobody a single client's vector."""
