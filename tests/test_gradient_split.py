"""The two parts of the gradient against the gradient of the loss itself."""

import keras
import numpy as np
import pytest

from pls_keras import PreferentialSmoothingLoss, Theta
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


@pytest.mark.parametrize("epochs", [1, 3])
def test_both_parts_together_are_the_gradient_of_the_next_step(epochs):
    """With moving averages that lag far behind, and a dropout that draws the same in both."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.SGD(1.0), PreferentialSmoothingLoss(LOPSIDED, 0.2))
    split = GradientSplit(X, Y, LOPSIDED, 0.2)
    logs = model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, callbacks=[split]).history
    gradient = compiled_gradient(model)
    label = 0.8 * gradient(X, np.eye(3, dtype="float32")[Y])
    smoothing = 0.2 * gradient(X, np.asarray(LOPSIDED, "float32")[Y])
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables]
    model.train_on_batch(X, Y)  # at a rate of one the step is the gradient
    after = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    step = np.concatenate([(b - a).ravel() for b, a in zip(before, after, strict=True)])
    np.testing.assert_allclose(label + smoothing, step, atol=1e-5)
    assert logs["grad_norm_label"][-1] == pytest.approx(np.linalg.norm(label), rel=1e-4)
    assert logs["grad_norm_smoothing"][-1] == pytest.approx(np.linalg.norm(smoothing), rel=1e-4)
    cosine = label @ smoothing / np.linalg.norm(label) / np.linalg.norm(smoothing)
    assert logs["grad_cosine"][-1] == pytest.approx(cosine, abs=1e-4)


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
    keras.utils.set_random_seed(1)
    layers = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3, "softmax")])
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
    compiled_gradient(model)(X, np.eye(3, dtype="float32")[Y])
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
