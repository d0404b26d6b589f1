"""Duplicates, outliers and missing values."""
