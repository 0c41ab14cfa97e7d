"""What a fit takes after its last epoch."""

import time

import keras
import numpy as np
import pandas as pd

from pls_keras.data.feeding import Batches, fit
from pls_keras.experiments.progress import progress

LATE = 0.1  # seconds


def bench_fits(fits=20, seconds=3.0, samples=512):
    """How long fits take to return after their last epoch, with data from here and from Keras.

    Args:
        fits: number of fits of each.
        seconds: how long each should train, about.
        samples: samples an epoch.

    Returns:
        `DataFrame` with a row a way: `data`, `fits`, `seconds` (the median of the training), `late` (fits
        that returned over 0.1 s after their last epoch), `worst_wait` and `waits`, seconds in all.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(samples, 64)).astype("float32"), rng.integers(0, 10, samples)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    ways = {
        "pls_keras": lambda **kwargs: fit(model, Batches(x, y, 32, seed=0), **kwargs),
        "arrays": lambda **kwargs: model.fit(x, y, batch_size=32, verbose=0, **kwargs),
    }
    measured = {way: [] for way in ways}
    for way, train in ways.items():
        train(epochs=1)
        start = time.perf_counter()
        train(epochs=10)
        epochs = max(1, round(10 * seconds / (time.perf_counter() - start)))
        for _ in progress(range(fits), desc=way, unit="fit"):
            clock = _Clock()
            train(epochs=epochs, callbacks=[clock])
            measured[way].append((clock.end - clock.start, time.perf_counter() - clock.end))
    rows = []
    for way, pairs in measured.items():
        trained, waited = np.transpose(pairs)
        rows.append((way, fits, np.median(trained), (waited > LATE).sum(), waited.max(), waited.sum()))
    return pd.DataFrame(rows, columns=["data", "fits", "seconds", "late", "worst_wait", "waits"])


class _Clock(keras.callbacks.Callback):
    """Notes when training starts and when its last epoch ends."""

    def on_train_begin(self, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.end = time.perf_counter()
