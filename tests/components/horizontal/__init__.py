"""A package, so that the cluster of `conftest` ends with these tests."""
