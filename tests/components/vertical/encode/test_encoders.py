"""Encoders keep what matters of an image, and give the same columns for new ones."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from veilflow.components.devices.objects import pack, unpack
from veilflow.components.errors import ComponentError
from veilflow.components.vertical.encode.encoders import CUT, Encoder, encode, fit
from veilflow.components.vertical.encode.settings import METHODS, EncoderSettings

DATA = Path(__file__).parents[5] / "shared" / "data" / "pneumoniamnist" / "pneumoniamnist.npz"


def pictures(rows: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A bright bar, upright or flat, at a random place, on noise: linear pixels alone tell little."""
    rng = np.random.default_rng(seed)
    label, images = rng.integers(0, 2, rows), rng.integers(0, 80, (rows, 12, 12)).astype(np.uint8)
    for image, upright, at in zip(images, label, rng.integers(1, 11, rows), strict=True):
        image[:, at] += 120 * np.uint8(upright)
        image[at, :] += 120 * np.uint8(1 - upright)
    return images, label


def test_pca_is_that_of_scikit_learn_up_to_sign_and_scale() -> None:
    images, _ = pictures()
    found = encode(fit(images, None, EncoderSettings("pca", 5), np.random.default_rng(1)), images)
    wanted = SklearnPCA(5).fit_transform(images.reshape(len(images), -1) / 255)
    for column, other in zip(found.T, wanted.T, strict=True):
        assert abs(np.corrcoef(column, other)[0, 1]) > 0.999


@pytest.mark.parametrize("method", METHODS)
def test_an_encoder_at_rest_gives_the_same_embedding_in_range(method: str) -> None:
    images, label = pictures(100)
    made = fit(images, label, EncoderSettings(method, 4, epochs=1), np.random.default_rng(1))
    document, arrays = unpack(pack(made.document, made.arrays))
    found = encode(Encoder(document, arrays), images)
    np.testing.assert_allclose(found, encode(made, images), atol=1e-6)
    assert found.shape == (100, 4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=0.05)
    assert np.abs(encode(made, images[:5].astype(np.uint8) * 0 + 255)).max() <= CUT


def test_a_cnn_learns_a_label_that_pixels_alone_do_not_tell() -> None:
    images, label = pictures(600)
    new, new_label = pictures(300, seed=9)

    def area(method: str) -> float:
        encoder = fit(images, label, EncoderSettings(method, 8, epochs=12), np.random.default_rng(2))
        model = LogisticRegression().fit(encode(encoder, images), label)
        return float(roc_auc_score(new_label, model.predict_proba(encode(encoder, new))[:, 1]))

    assert area("cnn") > 0.95
    assert area("pca") < 0.9


@pytest.mark.parametrize(
    "images, settings, message",
    [
        (np.zeros((9, 4)), EncoderSettings("pca", 2), "expected rows x height x width"),
        (np.zeros((3, 4, 4)), EncoderSettings("pca", 3), "3 image.s. cannot give an embedding of width 3"),
        (np.full((9, 4, 4), np.nan), EncoderSettings("pca", 3), "missing or infinite pixels"),
        (np.zeros((9, 70, 70)), EncoderSettings("pca", 3), "more than PCA takes"),
        (np.zeros((9, 4, 4)), EncoderSettings("cnn", 3), "learns from labels"),
    ],
)
def test_what_cannot_work_is_refused(images: np.ndarray, settings: EncoderSettings, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        fit(images, None, settings, np.random.default_rng(0))


def test_images_of_another_size_are_refused() -> None:
    made = fit(pictures(50)[0], None, EncoderSettings("pca", 3), np.random.default_rng(0))
    with pytest.raises(ComponentError, match=r"images are \(8, 8, 1\), the encoder was fitted on \(12, 12, 1\)"):
        encode(made, np.zeros((3, 8, 8)))


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_file(), reason="needs ../shared/data, which is not part of the project")
def test_real_x_rays_keep_their_label_in_sixteen_columns() -> None:
    with np.load(DATA, allow_pickle=False) as stored:
        train, test = stored["train_images"], stored["test_images"]
        y, test_y = stored["train_labels"].reshape(-1), stored["test_labels"].reshape(-1)
    made = fit(train, None, EncoderSettings("pca", 16), np.random.default_rng(0))
    model = LogisticRegression(max_iter=1000).fit(encode(made, train), y)
    assert roc_auc_score(test_y, model.predict_proba(encode(made, test))[:, 1]) > 0.88
