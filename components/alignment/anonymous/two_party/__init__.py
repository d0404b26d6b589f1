"""Anonymous alignment of two holders without a third party: Diffie-Hellman matching, then oblivious switching."""
