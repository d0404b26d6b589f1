"""Encoders of images, in the clear at their owner: rows of pixels become a few columns. Pure JAX and numpy.

pca          the leading principal components.
autoencoder  two convolutions and a dense layer, trained to restore images from noisy ones; needs no labels.
cnn          the same network, trained to tell the owner's own labels; its last hidden layer is the embedding.

Columns have mean 0 and deviation 1 over the rows the encoder was fitted on and are cut at +-6: fit for the fixed point.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from veilflow.components.errors import ComponentError
from veilflow.components.vertical.encode.settings import CNN, PCA, EncoderSettings

CUT = 6.0
MAX_PCA_PIXELS = 4096
_CHUNK = 4096
_NOISE = 0.1


@dataclass(frozen=True)
class Encoder:
    """A fitted encoder: JSON-able facts and arrays, fit for `devices.objects`."""

    document: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


class Body(nn.Module):
    """Image -> embedding."""

    width: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.relu(nn.Conv(8, (3, 3), strides=(2, 2))(x))
        x = nn.relu(nn.Conv(16, (3, 3), strides=(2, 2))(x))
        return nn.Dense(self.width)(x.reshape(x.shape[0], -1))


class Trainee(nn.Module):
    """The body with a head for training: one logit, or the pixels again."""

    width: int
    outputs: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.Dense(self.outputs)(nn.relu(Body(self.width, name="body")(x)))


def fit(images: np.ndarray, labels: np.ndarray | None, settings: EncoderSettings, rng: np.random.Generator) -> Encoder:
    """Fit on all rows.

    Args:
        images: (rows, height, width) or (rows, height, width, channels), whole numbers 0 to 255 or real numbers.
        labels: (rows,) of 0 and 1, for ``cnn``.

    Raises:
        ComponentError: too few rows, too many pixels for PCA, labels that are not 0 and 1.
    """
    settings.check(labels is not None)
    pixels = _pixels(images)
    if len(pixels) <= settings.width:
        raise ComponentError(f"{len(pixels)} image(s) cannot give an embedding of width {settings.width}.")
    arrays = _pca(pixels, settings.width) if settings.method == PCA else _train(pixels, labels, settings, rng)
    document = {**settings.to_json(), "shape": list(pixels.shape[1:])}
    raw = _raw(Encoder(document, arrays), pixels)
    spread = raw.std(axis=0)
    scale = {"mean": raw.mean(axis=0), "spread": np.where(spread > 1e-6, spread, 1.0)}
    return Encoder(document, arrays | scale)


def encode(encoder: Encoder, images: np.ndarray) -> np.ndarray:
    """Embeddings: float32, shape (rows, width).

    Raises:
        ComponentError: images of another size than the encoder's.
    """
    pixels, wanted = _pixels(images), tuple(encoder.document["shape"])
    if pixels.shape[1:] != wanted:
        raise ComponentError(f"images are {pixels.shape[1:]}, the encoder was fitted on {wanted}.")
    raw = (_raw(encoder, pixels) - encoder.arrays["mean"]) / encoder.arrays["spread"]
    cut: np.ndarray = np.clip(raw, -CUT, CUT).astype(np.float32)
    return cut


def _pixels(images: np.ndarray) -> np.ndarray:
    """(rows, height, width, channels), float32; whole numbers are divided by 255."""
    if images.ndim not in (3, 4):
        raise ComponentError(f"images have shape {images.shape}; expected rows x height x width (x channels).")
    values = images[..., None] if images.ndim == 3 else images
    scaled: np.ndarray = values.astype(np.float32) / (255 if np.issubdtype(values.dtype, np.integer) else 1)
    if not np.isfinite(scaled).all():
        raise ComponentError(f"images hold missing or infinite pixels in some of {len(images)} rows.")
    return scaled


def _pca(pixels: np.ndarray, width: int) -> dict[str, np.ndarray]:
    flat = pixels.reshape(len(pixels), -1)
    if flat.shape[1] > MAX_PCA_PIXELS:
        raise ComponentError(f"images have {flat.shape[1]} values, more than PCA takes ({MAX_PCA_PIXELS}); use cnn.")
    centre = flat.mean(axis=0)
    _, axes = np.linalg.eigh((flat - centre).T @ (flat - centre))
    return {"centre": centre, "axes": axes[:, ::-1][:, :width].astype(np.float32)}


def _train(
    pixels: np.ndarray, labels: np.ndarray | None, settings: EncoderSettings, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    supervised = settings.method == CNN
    target = _binary(labels) if supervised else pixels.reshape(len(pixels), -1)
    network = Trainee(settings.width, target.shape[1])
    params = network.init(jax.random.PRNGKey(int(rng.integers(2**32))), jnp.asarray(pixels[:1]))["params"]
    rule = optax.adam(settings.rate)

    def loss(params: Any, x: Any, y: Any) -> Any:
        found = network.apply({"params": params}, x)
        return jnp.mean(jax.nn.softplus(found) - y * found if supervised else (found - y) ** 2)

    @jax.jit
    def step(params: Any, memory: Any, x: Any, y: Any) -> Any:
        changes, memory = rule.update(jax.grad(loss)(params, x, y), memory, params)
        return optax.apply_updates(params, changes), memory

    memory, batch = rule.init(params), min(settings.batch, len(pixels))
    for _ in range(settings.epochs):
        order = rng.permutation(len(pixels))
        for start in range(0, len(order) - batch + 1, batch):
            rows = order[start : start + batch]
            x = pixels[rows]
            if not supervised:
                x = x + rng.normal(0, _NOISE, x.shape).astype(np.float32)
            params, memory = step(params, memory, x, target[rows])
    return {f"body/{name}": np.asarray(value) for name, value in flatten_dict(params["body"], sep="/").items()}


def _binary(labels: np.ndarray | None) -> np.ndarray:
    assert labels is not None, "checked before"
    if not np.isin(labels, (0, 1)).all():
        raise ComponentError("method: cnn needs labels of 0 and 1.")
    column: np.ndarray = labels.astype(np.float32)[:, None]
    return column


def _raw(encoder: Encoder, pixels: np.ndarray) -> np.ndarray:
    arrays, document = encoder.arrays, encoder.document
    if document["method"] == PCA:
        flat: np.ndarray = (pixels.reshape(len(pixels), -1) - arrays["centre"]) @ arrays["axes"]
        return flat
    named = {key.removeprefix("body/"): value for key, value in arrays.items() if key.startswith("body/")}
    params, body = unflatten_dict(named, sep="/"), Body(int(document["width"]))
    apply = jax.jit(lambda x: body.apply({"params": params}, x))
    parts = [np.asarray(apply(pixels[start : start + _CHUNK])) for start in range(0, len(pixels), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros((0, body.width), np.float32)
