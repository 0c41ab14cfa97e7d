"""Models that version 0.1 saved, when its modules lay elsewhere, load and predict what they predicted."""

import pathlib

import keras
import numpy as np
import pytest

from pls_keras import ExpectedCalibrationError, PreferentialSmoothingLoss, Theta
from pls_keras.data import load_digits

SAVED = pathlib.Path(__file__).parent / "saved"


def test_an_image_model_of_version_0_1_loads_with_loss_and_metric():
    model = keras.saving.load_model(SAVED / "images-0.1.keras")
    digits = load_digits(size=8)
    predicted = model.predict(digits.x_test[:8], verbose=0)
    np.testing.assert_allclose(predicted, np.load(SAVED / "images-0.1.npy"), rtol=1e-5)
    assert isinstance(model.loss, PreferentialSmoothingLoss)
    assert (model.loss.name, model.loss.smoothing_ratio) == ("smoothed", 0.2)
    theta = Theta.load(SAVED / "digits-semls-0.1.json")  # as that version had it
    np.testing.assert_allclose(model.loss.theta, theta.sharpen(2), atol=1e-12)
    assert model.loss.theta.provenance["sharpened"] == 2
    scores = model.evaluate(digits.x_test, digits.y_test, verbose=0, return_dict=True)
    assert {"loss", "accuracy", "ece"} == set(scores)
    assert ExpectedCalibrationError(bins=5).get_config() == model.metrics[1].metrics[1].get_config()
    model.fit(digits.x_train[:64], digits.y_train[:64], verbose=0)  # goes on


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strings exist on TensorFlow alone")
def test_a_text_model_of_version_0_1_loads_with_its_words():
    model = keras.saving.load_model(SAVED / "texts-0.1.keras")
    texts = keras.ops.convert_to_tensor(["I don't laugh!", "They do"])
    np.testing.assert_allclose(model.predict(texts, verbose=0), np.load(SAVED / "texts-0.1.npy"), rtol=1e-5)
    assert model.loss.ignore_class == 2
    assert model.loss.theta.row("c").to_dict() == {"a": 0, "b": 0, "c": 1}
