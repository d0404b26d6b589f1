"""Synthetic data with a known signal. Seeds are fine here: no person is behind these rows."""
