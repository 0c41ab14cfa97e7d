"""Long trainings and many models in one process: nothing piles up and nothing is compiled again."""

import gc

import keras
import numpy as np
import psutil
import pytest

from pls_keras import (
    GeneralizationError,
    GradientNorm,
    OnlineTheta,
    PreferentialSmoothingLoss,
    uniform_theta,
)

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
Y = np.arange(64) % 4


class Counting(PreferentialSmoothingLoss):
    """Counts how often it is called: in compiled steps, how often one is traced."""

    calls = 0

    def call(self, y_true, y_pred):
        Counting.calls += 1
        return super().call(y_true, y_pred)


def small_model(loss):
    layers = [
        keras.layers.Dense(16, "relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(4, "softmax"),
    ]
    model = keras.Sequential([keras.Input((8,)), *layers])
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


def callbacks():
    return [GradientNorm(per_layer=True), OnlineTheta(), GeneralizationError((X, Y), (X, Y))]


def megabytes():
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def test_memory_stays_and_nothing_is_compiled_after_the_first_epoch(release):
    epochs = 500 if release else 30
    memory, calls = {}, {}

    def look(epoch, logs):
        calls[epoch] = Counting.calls
        if epoch in (9, epochs - 1):
            memory[epoch] = megabytes()

    watch = keras.callbacks.LambdaCallback(on_epoch_end=look)
    model = small_model(Counting(uniform_theta(4)))
    model.fit(X, Y, batch_size=32, epochs=epochs, verbose=0, callbacks=[*callbacks(), watch])
    grown = memory[epochs - 1] - memory[9]
    print(f"{grown:.1f} MB in {epochs - 10} epochs")
    assert grown < 5 + 0.01 * epochs
    if BACKEND != "torch":  # which compiles nothing
        assert calls[epochs - 1] == calls[0]


def test_many_models_take_hardly_more_than_with_keras_own_loss(release):
    """Keras and TensorFlow keep some 2 MB of each compiled model, whatever its loss."""
    if not release:
        pytest.skip("only with --release")
    grown = {}
    for name in ("Keras's", "ours"):
        for number in range(220):
            if number == 20:
                before = megabytes()
            is_ours = name == "ours"
            loss = (
                PreferentialSmoothingLoss(uniform_theta(4))
                if is_ours
                else "sparse_categorical_crossentropy"
            )
            model = small_model(loss)
            model.fit(X, Y, batch_size=32, verbose=0, callbacks=callbacks() if is_ours else [])
            del model
            keras.utils.clear_session()
        grown[name] = (megabytes() - before) / 200
    print({name: f"{value:.2f} MB a model" for name, value in grown.items()})
    assert grown["ours"] < 2 * grown["Keras's"] + 0.5
