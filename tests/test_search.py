"""A search for inputs on which the loss is not its definition: 300 examples, 10,000 with --release."""

import contextlib
import dataclasses
import unittest.mock

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from keras import ops

import pls_keras.thetas.theta
from pls_keras import PreferentialSmoothingLoss, Theta, cluster_theta, uniform_theta
from pls_keras.losses import LOWEST_LOGIT

BACKEND = keras.backend.backend()
COMPILED = {"tensorflow": ["graph", "XLA", "fit"], "jax": ["XLA", "fit"], "torch": ["fit"]}[BACKEND]
DTYPES = ["float16", "bfloat16"]
if BACKEND == "tensorflow":  # Keras hands the others float32 for float64
    DTYPES.append("float64")
TOLERANCE = {"float64": 1e-10}  # of sums in that dtype; else float32's
SMALLEST = np.finfo("float32").tiny  # below it a backend may round to 0, or not
ODD_IDS = {"too large": 1, "negative": -1, "far too large": 2**31 - 3, "fraction": 0.5}
ODD_SHARES = {"several ones": 1.0, "negative share": -0.3, "not a number": np.nan}


@dataclasses.dataclass
class Case:
    """One call of the loss, and what makes it wrong."""

    theta: Theta
    structured: bool
    smoothing_ratio: float
    labels: np.ndarray  # ids (...) or (..., 1), or shares (..., classes)
    logits: np.ndarray  # (..., classes), float64 values that its dtype holds
    dtype: str
    weights: np.ndarray | None
    ignore_class: int | None
    way: str
    wrong: str | None  # the label of the first sample

    @property
    def is_soft(self):
        return self.labels.shape == self.logits.shape and self.labels.shape[-1] > 1

    @property
    def ids(self):
        return self.labels if self.labels.ndim < self.logits.ndim else self.labels[..., 0]


def make_theta(draw, random, classes, structured):
    kind = draw(
        st.sampled_from(["dense", "uniform", "others", "clusters", "top-k", "sharpened", "selected"])
    )
    limit = 1 if structured else 10_000
    with unittest.mock.patch.object(pls_keras.thetas.theta, "DENSE_LIMIT", limit):
        if kind == "uniform":
            return uniform_theta(classes)
        if kind == "others":
            return uniform_theta(classes, include_true=False)
        if kind == "clusters":
            groups = random.permutation(np.arange(classes) // 3)
            clusters = {str(label): str(group) for label, group in enumerate(groups)}
            return cluster_theta(clusters, include_true=True)
        matrix = random.random((classes, classes)) ** 4
        matrix *= random.random(matrix.shape) < 0.7
        matrix[np.arange(classes), random.permutation(classes)] += 0.1
        theta = Theta(matrix / matrix.sum(axis=1, keepdims=True))
        if kind == "top-k":
            return theta.top_k(draw(st.integers(1, min(classes, 8))))
        if kind == "sharpened":
            return theta.sharpen(draw(st.floats(0.1, 20)))
        if kind == "selected":
            smooth = Theta((np.asarray(theta) + 1 / classes) / 2)
            return smooth.select(smooth.labels[::-1])
        return theta


@st.composite
def cases(draw):
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes = draw(st.one_of([st.integers(2, 9)] * 4 + [st.integers(10, 2000)]))
    way = draw(st.sampled_from(["eager"] * 18 + COMPILED))
    leading = draw(st.sampled_from([(1,), (3,), (5,)] + [(2, 3), (0,), (2, 0)] * (way != "fit")))
    dtype = draw(st.sampled_from(["float32"] + DTYPES * (way != "fit")))
    structured = draw(st.booleans())
    theta = make_theta(draw, random, classes, structured)
    scale = draw(
        st.sampled_from([0, 1e-39, 1e-3, 1, 30, 1e4] + [1e38] * (dtype != "float16" and way != "fit"))
    )
    logits = (random.normal(size=(*leading, classes)) * scale).clip(-1e38, 1e38)
    for special in draw(st.lists(st.sampled_from([np.inf, -np.inf, -np.inf, np.nan]), max_size=2)):
        if logits.size:
            logits.flat[random.integers(logits.size)] = special
    with np.errstate(over="ignore"):
        logits = ops.convert_to_numpy(ops.cast(ops.cast(logits, dtype), "float64")).astype("float64")

    ids = random.integers(classes, size=leading)
    form = draw(st.sampled_from(["ids", "column of ids", "one-hot", "soft"]))
    wrong, ignore_class = None, None
    if form in ("one-hot", "soft"):
        labels = np.eye(classes)[ids] if form == "one-hot" else random.dirichlet(np.ones(classes), leading)
        wrong = draw(st.sampled_from([None] * 8 + [*ODD_SHARES]))
        labels = labels.astype("float64" if dtype == "float64" else "float32")
        if wrong and ids.size:
            labels[(0,) * len(leading)][:2] = 1.0, ODD_SHARES[wrong]
    else:
        ignore_class = draw(st.sampled_from([None, None, 0, classes + 3, 255, -1]))
        labels = ids.astype(draw(st.sampled_from(["int32", "int64", "float32"])))
        wrong = draw(st.sampled_from([None] * 8 + [*ODD_IDS]))
        if wrong and ids.size:
            odd = ODD_IDS[wrong]
            labels = labels.astype("float64" if wrong == "fraction" else "int64")
            labels.flat[0] = classes - 1 + odd if wrong == "too large" else odd
        elif ignore_class is not None and ids.size:
            labels.flat[random.integers(ids.size)] = ignore_class
        if ids.size and labels.flat[0] == ignore_class:
            wrong = None
        labels = labels[..., None] if form == "column of ids" else labels
    case = Case(
        theta=theta,
        structured=structured,
        smoothing_ratio=draw(st.floats(0, 0.99)),
        labels=labels,
        logits=logits,
        dtype=dtype,
        weights=random.random(leading) if draw(st.booleans()) else None,
        ignore_class=ignore_class,
        way=way,
        wrong=wrong if ids.size else None,
    )
    q, _ = targets(case)
    assume(not np.any((q > 0) & (q < SMALLEST)))
    return case


def targets(case):
    """The targets q (..., classes), float64, and which samples count (...)."""
    if case.is_soft:
        y, counted = case.labels.astype("float64"), np.ones(case.labels.shape[:-1], bool)
    else:
        counted = np.not_equal(case.ids, case.ignore_class) if case.ignore_class is not None else True
        counted = np.broadcast_to(counted, case.ids.shape)
        known = (case.ids >= 0) & (case.ids < case.theta.classes)
        y = np.eye(case.theta.classes)[np.where(known, case.ids, 0).astype(int)]
    return (1 - case.smoothing_ratio) * y + case.smoothing_ratio * y @ np.asarray(case.theta), counted


def by_definition(case):
    """Losses (...), their gradients (..., classes), entropies of the targets (...), all float64."""
    q, counted = targets(case)
    with np.errstate(all="ignore"):
        z = case.logits - case.logits.max(axis=-1, keepdims=True)
        z = np.maximum(z, LOWEST_LOGIT)
        exponentials = np.exp(z)
        total = exponentials.sum(axis=-1, keepdims=True)
        losses = np.log(total[..., 0]) * q.sum(axis=-1) - np.sum(q * z, axis=-1)
        gradients = exponentials / total * q.sum(axis=-1, keepdims=True) - q
        entropies = -np.sum(np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0), axis=-1)
    if case.is_soft:  # Keras's function, which gets no -inf
        gradients[np.isneginf(case.logits) & ~np.isnan(gradients)] = 0
    scale = np.where(counted, 1 if case.weights is None else case.weights, 0)
    return np.where(counted, losses, 0), scale, gradients, entropies


def losses_and_gradients(case):
    """Losses (...) and gradients (..., classes) of their weighted sum; of `fit` the two sums alone."""
    loss = PreferentialSmoothingLoss(
        case.theta,
        case.smoothing_ratio,
        from_logits=True,
        ignore_class=case.ignore_class,
        reduction="sum" if case.way == "fit" else None,
        dtype=case.dtype,
    )
    if case.way == "fit":
        return fit(case, loss)
    arguments = [case.labels, ops.cast(case.logits, case.dtype)]
    compiled = {"graph": _graph, "XLA": _xla, "eager": lambda function: function}[case.way]
    return [ops.convert_to_numpy(t) for t in compiled(_value_and_gradient(loss, case.weights))(*arguments)]


def _value_and_gradient(loss, weights):
    if BACKEND == "tensorflow":
        import tensorflow as tf

        def function(y, logits):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                losses = loss(y, logits)
                total = tf.reduce_sum(
                    losses if weights is None else losses * ops.cast(weights, losses.dtype)
                )
            return losses, tf.cast(tape.gradient(total, logits), losses.dtype)

    elif BACKEND == "torch":

        def function(y, logits):
            logits.requires_grad_(True)
            losses = loss(y, logits)
            total = (losses if weights is None else losses * ops.cast(weights, losses.dtype)).sum()
            total.backward()
            return losses.detach(), ops.cast(logits.grad, losses.dtype)

    else:
        import jax

        def function(y, logits):
            def total(logits):
                losses = loss(y, logits)
                weighted = losses if weights is None else losses * ops.cast(weights, losses.dtype)
                return ops.sum(weighted), losses

            (_, losses), gradients = jax.value_and_grad(total, has_aux=True)(logits)
            return losses, ops.cast(gradients, losses.dtype)

    return function


def _graph(function):
    import tensorflow as tf

    return tf.function(function)


def _xla(function):
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


@keras.saving.register_keras_serializable(package="test_search")
class Offset(keras.layers.Layer):
    """Adds a weight of zeros, whose gradient is that of all samples together."""

    def build(self, shape):
        self.offset = self.add_weight(shape=shape[-1:], initializer="zeros")

    def call(self, x):
        return x + self.offset


def fit(case, loss):
    model = keras.Sequential([keras.Input(case.logits.shape[1:]), Offset()])
    model.compile(keras.optimizers.SGD(1.0), loss)
    x, n = case.logits.astype("float32"), len(case.logits)
    history = model.fit(x, case.labels, sample_weight=case.weights, batch_size=n, shuffle=False, verbose=0)
    return np.array(history.history["loss"][0]), -model.get_weights()[0]


@pytest.fixture(autouse=True)
def few_models_at_a_time():
    yield
    keras.utils.clear_session()


def test_the_loss_is_its_definition_or_an_error_that_names_the_argument(release):
    tried = {"value and gradient": 0, "error": 0, "NaN": 0}
    ways = dict.fromkeys(["eager", *COMPILED], 0)

    @settings(
        max_examples=10_000 if release else 300,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not release,
        database=None,
    )
    @given(case=cases())
    def search(case):
        limit = 1 if case.structured else 10_000
        with unittest.mock.patch.object(pls_keras.thetas.theta, "DENSE_LIMIT", limit):
            tried[check(case)] += 1
        ways[case.way] += 1
        if sum(tried.values()) % 100 == 0:
            keras.utils.clear_session()

    search()
    print(f"{sum(tried.values())} examples: {tried}, {ways}")
    assert all(tried.values()) or BACKEND == "torch"  # which compiles nothing, and so has errors for NaN
    assert all(ways.values())


def check(case):
    """Compare one case with its definition; return what kind of case it was."""
    is_error = case.wrong and (case.way == "eager" or (case.way == "fit" and BACKEND == "torch"))
    with pytest.raises(ValueError, match=r"^y_true must hold") if is_error else contextlib.nullcontext():
        losses, gradients = losses_and_gradients(case)
    if is_error:
        return "error"
    expected, scale, expected_gradients, entropies = by_definition(case)
    if case.wrong:
        first = losses if case.way == "fit" else losses[(0,) * losses.ndim]
        assert np.isnan(first)
        return "NaN"
    dtype = "float64" if case.dtype == "float64" else "float32"
    tolerance = TOLERANCE.get(dtype, 3e-5)
    expected_gradients = np.where(scale[..., None] == 0, 0, scale[..., None] * expected_gradients)
    if case.way == "fit":
        with np.errstate(over="ignore"):
            expected = np.sum((expected * scale).astype("float32"))
        # Keras multiplies the mean of a batch by its size, beyond what float32 holds.
        losses, expected = np.minimum(losses, 1e37), np.minimum(expected, 1e37)
        expected_gradients = expected_gradients.sum(axis=0)
    else:
        finite = np.isfinite(expected) & (scale > 0)
        assert np.all(losses[finite] >= entropies[finite] - tolerance)
    np.testing.assert_allclose(losses, expected, rtol=tolerance, atol=tolerance)
    if case.way != "fit":
        finite = np.isfinite(expected_gradients).all(axis=-1)
        assert np.isnan(gradients[~finite]).any(axis=-1).all()
        gradients, expected_gradients = gradients[finite], expected_gradients[finite]
    if case.way != "fit" or np.isfinite(expected_gradients).all():
        # A 16-bit gradient is rounded to that dtype.
        rtol = {"float16": 2e-3, "bfloat16": 1e-2}.get(case.dtype, tolerance)
        np.testing.assert_allclose(gradients, expected_gradients, rtol=rtol, atol=tolerance)
    return "value and gradient"
