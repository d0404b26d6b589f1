"""Bring features to a common scale, fitted on the rows given (the train rows) and stored for others."""
