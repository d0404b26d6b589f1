"""Which part of an image file a party reads. Light: `check` uses it too."""

from dataclasses import dataclass

from veilflow.components.errors import ComponentError


@dataclass(frozen=True)
class ImageSpec:
    """Public settings of one read."""

    split: str = "train"
    """Arrays ``<split>_images`` and ``<split>_labels`` are read."""
    share: str = "1/1"
    """``2/3``: the second of three equal parts, every third image; so that one file can stand for several parties."""

    @property
    def fraction(self) -> tuple[int, int]:
        """(number of the part, parts).

        Raises:
            ComponentError: not of the form 1/2.
        """
        part, _, parts = self.share.partition("/")
        if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts) <= 1000):
            raise ComponentError(f"share '{self.share}' is not of the form 1/2, the first of two parts.")
        return int(part), int(parts)
