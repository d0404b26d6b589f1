"""Public settings of an image encoder."""

from dataclasses import asdict, dataclass
from typing import Any

from veilflow.components.errors import ComponentError

PCA, AUTOENCODER, CNN = "pca", "autoencoder", "cnn"
METHODS = (PCA, AUTOENCODER, CNN)


@dataclass(frozen=True)
class EncoderSettings:
    """How images become embeddings."""

    method: str
    width: int
    """Columns of the embedding."""
    epochs: int = 5
    """For what is trained; PCA is computed."""
    rate: float = 2e-3
    batch: int = 64

    def check(self, labels: bool) -> None:
        """Refuse what cannot work.

        Raises:
            ComponentError: an unknown method, or a cnn without labels.
        """
        if self.method not in METHODS:
            raise ComponentError(f"unknown method '{self.method}'; there is: {', '.join(METHODS)}.")
        if self.method == CNN and not labels:
            raise ComponentError(
                "method: cnn learns from labels in the same file; name their array with `label`, or use pca or "
                "autoencoder, which need none."
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
