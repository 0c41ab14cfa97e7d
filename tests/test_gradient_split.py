"""The two parts of the gradient against the gradient of the loss itself."""

import keras
import numpy as np
import pytest

from pls_keras import GradientNorm, PreferentialSmoothingLoss, Theta
from pls_keras.experiments.gradient_split import GradientSplit, compiled_gradient

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 4)).astype("float32"), RNG.integers(0, 3, 12)
LOPSIDED = Theta([[0.0, 0.9, 0.1], [0.5, 0.0, 0.5], [0.3, 0.7, 0.0]], ["a", "b", "c"])


def small_model(smoothing_ratio=0.2, learning_rate=0.0):
    keras.utils.set_random_seed(1)
    layers = [keras.Input((4,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers)
    loss = PreferentialSmoothingLoss(LOPSIDED, smoothing_ratio)
    model.compile(keras.optimizers.SGD(learning_rate), loss)
    return model


def test_both_parts_together_are_the_gradient_that_the_optimizer_receives():
    split = GradientSplit(X, Y, LOPSIDED, 0.2)
    history = (
        small_model()
        .fit(X, Y, batch_size=12, epochs=1, verbose=0, callbacks=[GradientNorm(), split])
        .history
    )
    label, smoothing, cosine = (
        history[name][0] for name in ("grad_norm_label", "grad_norm_smoothing", "grad_cosine")
    )
    assert 0 < smoothing < label
    norm = np.sqrt(label**2 + smoothing**2 + 2 * label * smoothing * cosine)
    assert history["grad_norm"][0] == pytest.approx(norm, rel=1e-4)


def test_each_part_is_the_slope_of_its_cross_entropy():
    model = small_model()
    bias = model.layers[-1].bias
    targets = np.asarray(LOPSIDED, "float32")[Y]

    def cross_entropy(step):
        bias.assign(step)
        p = keras.ops.convert_to_numpy(model(X)).astype("float64")
        return -(targets * np.log(p)).sum(axis=1).mean()

    gradient = compiled_gradient(model)(X, targets)
    assert len(gradient) == model.count_params()
    for k, direction in enumerate(np.eye(3)):
        slope = (cross_entropy(1e-2 * direction) - cross_entropy(-1e-2 * direction)) / 2e-2
        assert gradient[-3 + k] == pytest.approx(slope, abs=1e-4)


def test_without_smoothing_there_is_one_part():
    split = GradientSplit(X, Y, LOPSIDED, 0.0)
    history = small_model(0.0).fit(X, Y, verbose=0, callbacks=[split]).history
    assert history["grad_norm_label"][0] > 0
    assert history["grad_norm_smoothing"] == [0.0]
    assert np.isnan(history["grad_cosine"][0])


def test_measuring_changes_nothing():
    plain, measured = small_model(learning_rate=0.5), small_model(learning_rate=0.5)
    plain.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    split = GradientSplit(X, Y, LOPSIDED, 0.2)
    measured.fit(X, Y, epochs=2, verbose=0, shuffle=False, callbacks=[split])
    for ours, theirs in zip(measured.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)
