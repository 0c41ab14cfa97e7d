"""Training on images: images a second beside a plain PyTorch loop, and what callbacks cost."""

import itertools
import math
import statistics
import time

import keras
import numpy as np
import pandas as pd
from keras import ops

from pls_keras.callbacks import GradientNorm, OnlineTheta
from pls_keras.data.feeding import Batches, fit
from pls_keras.experiments.benchmarks.pytorch import PyTorchTwin
from pls_keras.experiments.hardware import fastest_way
from pls_keras.experiments.image_training import BLOCKS
from pls_keras.experiments.memory import keep_memory
from pls_keras.experiments.precision import dtype_policy
from pls_keras.experiments.progress import progress
from pls_keras.losses import PreferentialSmoothingLoss
from pls_keras.models import ResNet
from pls_keras.thetas import uniform_theta


def random_images(images):
    """Images of 32×32 pixels and their classes, of which there are ten."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(images, 32, 32, 3)).astype("float32"), rng.integers(0, 10, images)


def bench_callbacks(rounds=9, images=2048, width=16):
    """Epoch time of ResNet-18 with `GradientNorm`, and with `OnlineTheta`, over the time without.

    Args:
        rounds: fits of each, in turn; the median over them counts.
        images: images an epoch, of 32×32 pixels.
        width: channels of the first stage.

    Returns:
        `DataFrame` with a row a round: `seconds` without, `GradientNorm` and `OnlineTheta` with a
        callback, over those without. It is the second epoch of each fit, for which nothing is compiled.
    """
    keep_memory()
    x, y = random_images(images)
    used = {"seconds": [], "GradientNorm": [GradientNorm()], "OnlineTheta": [OnlineTheta()]}
    networks = {
        name: _OurTwin("ResNet18", width, "auto", "auto", callbacks, epochs=2)
        for name, callbacks in used.items()
    }
    seconds = {name: [] for name in networks}
    for i in progress(range(rounds + 1), desc="callbacks", unit="round"):
        for name in sorted(networks, reverse=i % 2):
            value = networks[name].seconds(x, y, 128)
            seconds[name] += [value] if i else []
    table = pd.DataFrame(seconds)
    return table.assign(**{name: table[name] / table["seconds"] for name in used if used[name]})


def bench_training(
    model="ResNet18",
    *,
    width=64,
    images=1024,
    batch_size=128,
    precisions=("float32", "mixed_bfloat16"),
    compilations=(True, False),
    rounds=3,
):
    """Images a second that `fit` trains with `GradientNorm`, and that a plain PyTorch loop trains.

    Each round trains an epoch of every way in turn; before them, one that is not counted compiles. This
    process keeps the memory that a step frees, as a worker of a sweep does.

    Args:
        model: "ResNet18" or "ResNet34", for images of 32×32 pixels and 10 classes.
        width: channels of the first stage.
        images: images an epoch.
        batch_size: images a step.
        precisions: Keras's dtype policies. PyTorch trains in the same, where it is installed.
        compilations: values of `jit_compile` of `Model.compile`.
        rounds: epochs of each way; their median counts.

    Returns:
        `DataFrame` with a row a way: `model`, `width`, `code`, `precision`, `jit_compile`, `chosen`
        (whether a run would be trained so here), `images_per_second`, `least`, `most`, `to_pytorch` (over
        PyTorch's best, NaN where it is not installed), and `gap`, how many times that the rate of a plain
        matrix product here would allow.
    """
    keep_memory()
    x, y = random_images(images)
    chosen = fastest_way()
    ways = {
        ("pls_keras", precision, jit): _OurTwin(model, width, precision, jit)
        for precision, jit in itertools.product(precisions, compilations)
    }
    if PyTorchTwin.is_installed():
        ways |= {
            ("PyTorch", precision, False): PyTorchTwin(BLOCKS[model], width, precision)
            for precision in precisions
        }
    seconds = {way: [] for way in ways}
    for i in progress(range(rounds + 1), desc="training", unit="round"):
        for way, network in ways.items():
            value = network.seconds(x, y, batch_size)
            seconds[way] += [value] if i else []
    multiply_adds = 3 * count_multiply_adds(ResNet(BLOCKS[model], width=width))  # backward is twice forward
    matrix_rate = {precision: measure_matrix_rate(precision) for precision in precisions}
    rows = [
        {
            "model": model,
            "width": width,
            "code": code,
            "precision": precision,
            "jit_compile": jit,
            "chosen": code == "pls_keras" and (precision, jit) == (chosen.precision, chosen.jit_compile),
            "images_per_second": images / statistics.median(values),
            "least": images / max(values),
            "most": images / min(values),
            "gap": matrix_rate[precision] / multiply_adds * statistics.median(values) / images,
        }
        for (code, precision, jit), values in seconds.items()
    ]
    table = pd.DataFrame(rows)
    best = table.loc[table["code"] == "PyTorch", "images_per_second"].max()
    table.insert(table.columns.get_loc("gap"), "to_pytorch", table["images_per_second"] / best)
    return table


class _OurTwin:
    """A network of this package that trains epochs with `fit`."""

    def __init__(self, model, width, precision, jit_compile, callbacks=None, epochs=1):
        way = fastest_way(precision, jit_compile)
        with dtype_policy(way.precision):
            self.network = ResNet(BLOCKS[model], width=width)
        self.network.compile(
            keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
            PreferentialSmoothingLoss(uniform_theta(10)),
            jit_compile=way.jit_compile,
        )
        self.callbacks = [GradientNorm()] if callbacks is None else callbacks
        self.epochs = epochs

    def seconds(self, x, y, batch_size):
        """Train in one fit. Returns the seconds of its last epoch."""
        clock = _EpochClock()
        batches = Batches(x, y, batch_size, seed=0)
        fit(self.network, batches, epochs=self.epochs, callbacks=[*self.callbacks, clock])
        return clock.seconds


class _EpochClock(keras.callbacks.Callback):
    """Seconds of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self._start


def count_multiply_adds(model):
    """Multiply-adds of the convolutions and dense layers of a functional model for one sample."""
    return sum(
        math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:]) // layer.output.shape[-1]
        for layer in model.layers
        if hasattr(layer, "kernel")
    )


def measure_matrix_rate(precision, size=4096, rounds=4):
    """Multiply-adds a second of products of square matrices, in the compute dtype of a dtype policy."""
    dtype = keras.DTypePolicy(precision).compute_dtype
    rng = np.random.default_rng(0)
    matrix = ops.cast(rng.normal(size=(size, size)) / math.sqrt(size), dtype)

    def seconds(rounds):
        start, product = time.perf_counter(), matrix
        for _ in range(rounds):
            product = ops.matmul(product, matrix)
        ops.convert_to_numpy(product[:1])  # waits for the device
        return time.perf_counter() - start

    seconds(1)
    return rounds * size**3 / seconds(rounds)
