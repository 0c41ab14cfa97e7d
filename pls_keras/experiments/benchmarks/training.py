"""Benchmarks: ratios of times measured in one process, in interleaved rounds."""

import itertools
import math
import statistics
import time

import keras
import numpy as np
import pandas as pd
from keras import ops
from tqdm.auto import tqdm

from pls_keras.callbacks import GradientNorm
from pls_keras.experiments.memory import keep_memory
from pls_keras.experiments.precision import dtype_policy
from pls_keras.losses import PreferentialSmoothingLoss
from pls_keras.models import ResNet18, ResNet34
from pls_keras.thetas import cluster_theta, semantic_theta, uniform_theta


class _Ticks(keras.callbacks.Callback):
    """Seconds of each epoch but the first, which compiles."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        if epoch:
            self.seconds.append(time.perf_counter() - self._start)


def bench_gradient_norm(rounds=15, images=512, width=16):
    """Epoch time of ResNet-18 with `GradientNorm` over the time without.

    Args:
        rounds: pairs of fits, in turn; the median over them counts.
        images: images an epoch, of 32×32 pixels.
        width: channels of the first stage.

    Returns:
        `DataFrame` with a row a round: `seconds_without`, `seconds_with`, `ratio`.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(images, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, images)
    models = {}
    for measured in (False, True):
        model = ResNet18(width=width)
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9), PreferentialSmoothingLoss(uniform_theta(10))
        )
        models[measured] = model, [GradientNorm()] if measured else []
    seconds = {False: [], True: []}
    for i in tqdm(range(rounds), desc="GradientNorm", unit="round"):
        for measured in (False, True) if i % 2 else (True, False):
            model, callbacks = models[measured]
            ticks = _Ticks()
            model.fit(x, y, batch_size=128, epochs=3, verbose=0, callbacks=[*callbacks, ticks])
            seconds[measured].append(statistics.median(ticks.seconds))
    table = pd.DataFrame({"seconds_without": seconds[False], "seconds_with": seconds[True]})
    return table.assign(ratio=table["seconds_with"] / table["seconds_without"])


def bench_loss(rounds=15, sizes=(10, 100, 1000, 10_000, 100_000)):
    """Time of the compiled loss with its gradient over that of Keras's sparse cross-entropy.

    Args:
        rounds: measurements of each, in turn; the median counts.
        sizes: numbers of classes. The batch has 128 rows, fewer from 100,000 classes on.

    Returns:
        `DataFrame` with a row for each number of classes and theta: `milliseconds`,
        `keras_milliseconds`, `ratio`.
    """
    rows = []
    for classes in tqdm(sizes, desc="loss", unit="size"):
        batch = min(128, 3_200_000 // classes)
        rng = np.random.default_rng(0)
        logits = ops.convert_to_tensor(rng.normal(size=(batch, classes)).astype("float32"))
        ids = ops.convert_to_tensor(rng.integers(0, classes, batch).astype("int32"))
        points = rng.normal(size=(classes, 8))
        thetas = {
            "uniform": uniform_theta(classes),
            "clusters of 5": cluster_theta({str(k): str(k // 5) for k in range(classes)}),
        }
        if classes <= 10_000:
            thetas["5 nearest"] = semantic_theta(map(str, range(classes)), points, top_k=5)
        reference = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        steps = {"keras": _compiled_gradient(reference, ids, logits)}
        for name, theta in thetas.items():
            loss = PreferentialSmoothingLoss(theta, from_logits=True)
            steps[name] = _compiled_gradient(loss, ids, logits)
        seconds = {name: [] for name in steps}
        for _ in range(rounds):
            for name, step in steps.items():
                start = time.perf_counter()
                for _ in range(5):
                    step()
                seconds[name].append((time.perf_counter() - start) / 5)
        median = {name: 1e3 * statistics.median(values) for name, values in seconds.items()}
        rows += [(classes, batch, n, median[n], median["keras"]) for n in thetas]
    columns = ["classes", "batch", "theta", "milliseconds", "keras_milliseconds"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(ratio=table["milliseconds"] / table["keras_milliseconds"])


def bench_training(
    model="ResNet18",
    *,
    width=64,
    images=1024,
    batch_size=128,
    precisions=("float32", "mixed_bfloat16"),
    compilations=("auto", False),
):
    """Images a second that `fit` trains, by precision and way of compiling, without compiling itself.

    This process keeps the memory that a step frees, as a worker of a sweep does.

    Args:
        model: "ResNet18" or "ResNet34", for images of 32×32 pixels and 10 classes.
        width: channels of the first stage.
        images: images an epoch; the second epoch counts.
        batch_size: images a step.
        precisions: Keras's dtype policies.
        compilations: values of `jit_compile` of `Model.compile`.

    Returns:
        `DataFrame` with a row for each pair: `precision`, `jit_compile`, `images_per_second`,
        `at_matrix_rate`, the images a second that the rate of a plain matrix product here would
        allow, and `gap`, how often the former goes into the latter.
    """
    keep_memory()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(images, 32, 32, 3)).astype("float32")
    y = rng.integers(0, 10, images)
    rows = []
    matrix_rate = {precision: measure_matrix_rate(precision) for precision in precisions}
    ways = list(itertools.product(precisions, compilations))
    for precision, jit_compile in tqdm(ways, desc="training", unit="way"):
        with dtype_policy(precision):
            network = {"ResNet18": ResNet18, "ResNet34": ResNet34}[model](width=width)
        network.compile(
            keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
            PreferentialSmoothingLoss(uniform_theta(10)),
            jit_compile=jit_compile,
        )
        ticks = _Ticks()
        network.fit(x, y, batch_size=batch_size, epochs=2, verbose=0, callbacks=[GradientNorm(), ticks])
        bound = matrix_rate[precision] / (3 * multiply_adds(network))  # backward is twice forward
        rows.append((precision, jit_compile, images / ticks.seconds[0], bound))
    columns = ["precision", "jit_compile", "images_per_second", "at_matrix_rate"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(gap=table["at_matrix_rate"] / table["images_per_second"])


def multiply_adds(model):
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


def _compiled_gradient(loss, ids, logits):
    """A function of no arguments that computes loss and gradient, compiled and warmed up."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=True)
        def step(ids, logits):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = loss(ids, logits)
            return tape.gradient(value, logits)
    elif backend == "jax":
        import jax

        compiled = jax.jit(jax.grad(lambda logits, ids: loss(ids, logits)))

        def step(ids, logits):
            return compiled(logits, ids).block_until_ready()
    else:

        def step(ids, logits):
            logits = logits.detach().requires_grad_()
            loss(ids, logits).backward()
            return logits.grad

    step(ids, logits)
    return lambda: step(ids, logits)
