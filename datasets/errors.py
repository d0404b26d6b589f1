"""The error of this folder."""


class SourceError(Exception):
    """A data source cannot be read; the message names files, columns and counts, never a cell value."""
