"""Time of the loss with its gradient over that of Keras's own."""

import inspect
import statistics
import time

import keras
import numpy as np
import pandas as pd
from keras import ops

from pls_keras.experiments.progress import progress
from pls_keras.losses import PreferentialSmoothingLoss
from pls_keras.thetas import Theta, cluster_theta, semantic_theta, uniform_theta

LARGEST_DENSE = 1000
LEAST_SECONDS = 0.01  # a measurement repeats a step for so long


def bench_loss(rounds=45, sizes=(10, 100, 1000, 10_000, 100_000)):
    """Time of the compiled loss with its gradient over that of Keras's sparse cross-entropy.

    Args:
        rounds: measurements of each, in turn and in another order each round; the median of their ratios
            counts.
        sizes: numbers of classes. The batch has 128 rows, fewer from 100,000 classes on.

    Returns:
        `DataFrame` with a row for each number of classes and loss, "Keras's label smoothing" among them
        where this Keras has it. For each way of compiling, a column with its time over that of Keras's
        sparse cross-entropy, and one with the milliseconds of the latter. TensorFlow has two ways, the
        other backends one.
    """
    rows = []
    for classes in progress(sizes, desc="loss", unit="size"):
        batch = min(128, 3_200_000 // classes)
        rng = np.random.default_rng(0)
        logits = ops.convert_to_tensor(rng.normal(size=(batch, classes)).astype("float32"))
        ids = ops.convert_to_tensor(rng.integers(0, classes, batch).astype("int32"))
        losses = {
            name: PreferentialSmoothingLoss(theta, from_logits=True)
            for name, theta in _thetas(classes, rng).items()
        }
        if smoothing := _keras_label_smoothing():
            losses["Keras's label smoothing"] = smoothing
        table = {name: {"classes": classes, "batch": batch, "loss": name} for name in losses}
        for way in ("graph", "xla") if keras.backend.backend() == "tensorflow" else ("compiled",):
            reference = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            seconds = _in_turns({"": reference, **losses}, ids, logits, way, rounds)
            for name, row in table.items():
                row[way] = statistics.median(np.divide(seconds[name], seconds[""]))
                row[f"{way}_keras_ms"] = 1e3 * statistics.median(seconds[""])
        rows += table.values()
    return pd.DataFrame(rows)


def _thetas(classes, rng):
    thetas = {
        "uniform": uniform_theta(classes),
        "clusters of 5": cluster_theta({str(k): str(k // 5) for k in range(classes)}),
    }
    points = rng.normal(size=(classes, 8))
    if classes <= LARGEST_DENSE:
        thetas["dense"] = Theta(np.asarray(semantic_theta(map(str, range(classes)), points)))
    if LARGEST_DENSE < classes <= 10_000:
        thetas["5 nearest"] = semantic_theta(map(str, range(classes)), points, top_k=5)
    return thetas


def _keras_label_smoothing():
    """Keras's own loss of uniform smoothing from class ids, where it has one."""
    if "label_smoothing" not in inspect.signature(keras.losses.SparseCategoricalCrossentropy).parameters:
        return None
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, label_smoothing=0.1)


def _in_turns(losses, ids, logits, way, rounds):
    """Seconds of a step of each loss in each round."""
    steps = {name: _compiled_gradient(loss, ids, logits, way) for name, loss in losses.items()}
    start = time.perf_counter()
    steps[""]()
    repeats = max(1, round(LEAST_SECONDS / (time.perf_counter() - start)))
    seconds = {name: [] for name in steps}
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        for name in rng.permutation(list(steps)):
            start = time.perf_counter()
            for _ in range(repeats):
                steps[name]()
            seconds[name].append((time.perf_counter() - start) / repeats)
    return seconds


def _compiled_gradient(loss, ids, logits, way):
    """A function of no arguments that gives loss and gradient, compiled and warmed up."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=way == "xla")
        def step(ids, logits):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = loss(ids, logits)
            return value, tape.gradient(value, logits)
    elif backend == "jax":
        import jax

        compiled = jax.jit(jax.value_and_grad(lambda logits, ids: loss(ids, logits)))

        def step(ids, logits):
            return jax.block_until_ready(compiled(logits, ids))
    else:

        def step(ids, logits):
            logits = logits.detach().requires_grad_()
            value = loss(ids, logits)
            value.backward()
            return value, logits.grad

    for _ in range(2):
        step(ids, logits)
    return lambda: step(ids, logits)
