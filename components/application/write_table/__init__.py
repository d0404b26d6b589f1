"""Take a table away as a file."""
