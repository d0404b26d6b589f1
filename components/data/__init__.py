"""Data layer: read, clean, scale, k-anonymise and split tables, each at the party that owns them."""
