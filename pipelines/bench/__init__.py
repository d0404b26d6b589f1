"""Measurements a user can repeat: ratios against a baseline measured in the same run, because machines are noisy."""
