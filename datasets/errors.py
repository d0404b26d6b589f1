"""The error of this folder."""


class SourceError(Exception):
    """A data source cannot be read.

    Args:
        text: for every party of a run: the file as the pipeline names it, columns that the pipeline names, counts.
        own: for the owner of the file alone: names from its first line, where it was looked for. Never a cell.
    """

    def __init__(self, text: str, own: str = "") -> None:
        super().__init__(text)
        self.own = own
