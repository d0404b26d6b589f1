"""Read a table at its owner, with a typed schema."""
