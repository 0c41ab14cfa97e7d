"""The loss against its definition, Keras and PyTorch: every theta, label form and prediction."""

import inspect
import itertools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

import pls_keras.thetas.theta
from pls_keras import (
    PreferentialSmoothingLoss,
    Theta,
    cluster_theta,
    preferential_crossentropy,
    uniform_theta,
)

BACKEND = keras.backend.backend()
K = 6
CLUSTERS = dict(zip("abcdef", "xxyyyy", strict=True))
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(scale=2.0, size=(5, K)).astype("float32")
IDS = np.array([0, 3, 5, 1, 3])
SOFT = RNG.dirichlet(np.ones(K), size=5).astype("float32")


def lopsided_matrix(classes=K):
    """Nothing symmetric: reading it by column gives other numbers."""
    matrix = np.arange(1.0, classes * classes + 1).reshape(classes, classes) ** 2
    np.fill_diagonal(matrix, 0.0)
    return matrix / matrix.sum(axis=1, keepdims=True)


def build_theta(name):
    return {
        "lopsided": lambda: Theta(lopsided_matrix(), list("abcdef")),
        "uniform": lambda: uniform_theta(K),
        "uniform without the true class": lambda: uniform_theta(K, include_true=False),
        "clusters": lambda: cluster_theta(CLUSTERS),
        "clusters with the true class": lambda: cluster_theta(CLUSTERS, include_true=True),
        "two nearest": lambda: Theta(lopsided_matrix(), list("abcdef")).top_k(2),
        "three nearest, with the true class": lambda: uniform_theta(K).top_k(3),
        "groups and others": _groups_and_others,
    }[name]()


def _groups_and_others():
    """Listed classes in the group and outside, the class itself, and one that is listed twice."""
    return Theta._from_parts(
        list("abcdef"),
        {"builder": "test"},
        groups=[0, 0, 1, 1, 1, 1],
        group_weight=[0.3, 0.3, 0.1, 0.1, 0.1, 0.1],
        indices=[[2, 0], [3, 5], [0, 2], [3, 4], [1, 1], [0, 4]],
        values=[[0.3, 0.1], [0.1, 0.3], [0.5, 0.1], [0.2, 0.4], [0.2, 0.4], [0.1, 0.5]],
    )


THETAS = [
    "lopsided",
    "uniform",
    "uniform without the true class",
    "clusters",
    "clusters with the true class",
    "two nearest",
    "three nearest, with the true class",
    "groups and others",
]


def test_both_representations_are_tested(representation):
    for name in THETAS[1:]:
        assert build_theta(name).is_dense == (representation == "dense")


@pytest.fixture(params=["dense", "structured"])
def representation(request, monkeypatch):
    """Both ways of keeping a theta, though these have few classes."""
    if request.param == "structured":
        monkeypatch.setattr(pls_keras.thetas.theta, "DENSE_LIMIT", 1)
    return request.param


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def targets_by_definition(y, theta, smoothing_ratio):
    """Equation 3.1 in a loop, float64."""
    theta = np.asarray(theta)
    q = np.zeros((len(y), theta.shape[0]))
    for row, label in zip(q, y, strict=True):
        weights = np.eye(theta.shape[0])[label] if np.ndim(label) == 0 else label
        for true, weight in enumerate(weights):
            for other in range(theta.shape[0]):
                own = 1 - smoothing_ratio if other == true else 0.0
                row[other] += weight * (own + smoothing_ratio * theta[true, other])
    return q


def crossentropy_by_definition(q, p):
    return -np.sum(np.where(q > 0, q * np.log(np.where(q > 0, p, 1)), 0.0), axis=-1)


def value_and_gradient(y_true, logits, theta, **kwargs):
    """Losses and the gradient of their sum with respect to the logits."""

    def total(logits):
        return ops.sum(preferential_crossentropy(y_true, logits, theta, **kwargs))

    if BACKEND == "tensorflow":
        import tensorflow as tf

        logits = tf.constant(logits)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = total(logits)
        return float(loss), tape.gradient(loss, logits).numpy()
    if BACKEND == "torch":
        import torch

        logits = torch.tensor(logits, requires_grad=True)
        loss = total(logits)
        loss.backward()
        return float(loss.detach()), logits.grad.numpy()
    import jax

    loss, gradient = jax.value_and_grad(total)(logits)
    return float(loss), np.asarray(gradient)


@pytest.mark.parametrize("labels", ["ids", "column of ids", "one-hot", "soft"])
@pytest.mark.parametrize("from_logits", [True, False], ids=["logits", "probabilities"])
@pytest.mark.parametrize("smoothing_ratio", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("name", THETAS)
def test_loss_is_its_definition(representation, name, smoothing_ratio, from_logits, labels):
    theta = build_theta(name)
    y_true = {"ids": IDS, "column of ids": IDS[:, None], "one-hot": np.eye(K)[IDS], "soft": SOFT}[labels]
    y_pred = LOGITS if from_logits else softmax(LOGITS)
    losses = preferential_crossentropy(
        y_true, y_pred, theta, smoothing_ratio=smoothing_ratio, from_logits=from_logits
    )
    q = targets_by_definition(SOFT if labels == "soft" else IDS, theta, smoothing_ratio)
    expected = crossentropy_by_definition(q, softmax(LOGITS.astype("float64")))
    np.testing.assert_allclose(ops.convert_to_numpy(losses), expected, rtol=2e-5)


@pytest.mark.parametrize("name", THETAS)
def test_gradient_with_respect_to_logits_is_p_minus_q(representation, name):
    theta = build_theta(name)
    _, gradient = value_and_gradient(IDS, LOGITS, theta, smoothing_ratio=0.3, from_logits=True)
    expected = softmax(LOGITS.astype("float64")) - targets_by_definition(IDS, theta, 0.3)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_gradient_with_respect_to_probabilities_is_minus_q_over_p(representation):
    theta, p = build_theta("lopsided").top_k(3), softmax(LOGITS)
    _, gradient = value_and_gradient(IDS, p, theta, smoothing_ratio=0.3)
    # Keras divides by the row's sum, which takes the mean of the gradient away: 1 = Σ_k p_k q_k/p_k
    expected = 1 - targets_by_definition(IDS, theta, 0.3) / p
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("from_logits", [True, False])
def test_without_smoothing_it_is_keras_sparse_crossentropy(representation, from_logits):
    y_pred = LOGITS if from_logits else softmax(LOGITS)
    expected = keras.losses.sparse_categorical_crossentropy(IDS, y_pred, from_logits=from_logits)
    losses = preferential_crossentropy(
        IDS, y_pred, build_theta("clusters"), smoothing_ratio=0, from_logits=from_logits
    )
    np.testing.assert_allclose(ops.convert_to_numpy(losses), ops.convert_to_numpy(expected), rtol=1e-5)


def test_uniform_theta_is_keras_label_smoothing(representation):
    expected = keras.losses.categorical_crossentropy(
        np.eye(K)[IDS], LOGITS, from_logits=True, label_smoothing=0.2
    )
    losses = preferential_crossentropy(IDS, LOGITS, uniform_theta(K), smoothing_ratio=0.2, from_logits=True)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), ops.convert_to_numpy(expected), rtol=1e-5)


def test_uniform_theta_is_keras_label_smoothing_of_class_ids(representation):
    reference = keras.losses.SparseCategoricalCrossentropy
    if "label_smoothing" not in inspect.signature(reference).parameters:
        pytest.skip("this Keras smooths one-hot labels alone")
    expected = reference(from_logits=True, label_smoothing=0.2, reduction=None)(IDS, LOGITS)
    losses = preferential_crossentropy(IDS, LOGITS, uniform_theta(K), smoothing_ratio=0.2, from_logits=True)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), ops.convert_to_numpy(expected), rtol=1e-5)


def test_uniform_theta_is_torch_label_smoothing(representation):
    torch = pytest.importorskip("torch")
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(LOGITS), torch.tensor(IDS), label_smoothing=0.2, reduction="none"
    )
    losses = preferential_crossentropy(IDS, LOGITS, uniform_theta(K), smoothing_ratio=0.2, from_logits=True)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), expected.numpy(), rtol=1e-5)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras's gradients of one's own have no second there")
@pytest.mark.parametrize("name", THETAS)
def test_the_second_derivative_is_that_of_the_softmax(representation, name):
    theta, logits = build_theta(name), LOGITS[:1].astype("float32")

    def loss(logits):
        return ops.sum(preferential_crossentropy(IDS[:1], logits, theta, from_logits=True))

    if BACKEND == "tensorflow":
        import tensorflow as tf

        variable = tf.constant(logits)
        with tf.GradientTape() as outer:
            outer.watch(variable)
            with tf.GradientTape() as inner:
                inner.watch(variable)
                value = loss(variable)
            first = inner.gradient(value, variable)
        second = outer.jacobian(first, variable).numpy()
    else:
        import jax

        second = jax.jacrev(jax.grad(loss))(logits)
    p = softmax(logits[0])
    np.testing.assert_allclose(np.reshape(second, (K, K)), np.diag(p) - np.outer(p, p), atol=1e-5)


def test_any_theta_is_torch_crossentropy_with_soft_targets(representation):
    torch = pytest.importorskip("torch")
    theta = build_theta("two nearest")
    q = torch.tensor(targets_by_definition(IDS, theta, 0.4))
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(logits, q, reduction="sum")
    expected.backward()
    loss, gradient = value_and_gradient(IDS, LOGITS, theta, smoothing_ratio=0.4, from_logits=True)
    np.testing.assert_allclose(loss, float(expected.detach()), rtol=1e-5)
    np.testing.assert_allclose(gradient, logits.grad.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", THETAS)
def test_loss_splits_as_in_equation_3_2(representation, name):
    theta = build_theta(name)
    losses = preferential_crossentropy(IDS, LOGITS, theta, smoothing_ratio=0.25, from_logits=True)
    p = softmax(LOGITS.astype("float64"))
    hard = crossentropy_by_definition(np.eye(K)[IDS], p)
    smooth = crossentropy_by_definition(np.asarray(theta)[IDS], p)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), 0.75 * hard + 0.25 * smooth, rtol=1e-5)


def test_minimum_is_the_entropy_of_the_target_of_figure_1():
    theta = uniform_theta(27)
    q = np.full(27, 0.0037)
    q[11] = 0.9037
    entropy = -np.sum(q * np.log(q))
    losses = preferential_crossentropy([11], np.log(q)[None], theta, from_logits=True)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), [entropy], rtol=1e-3)


@settings(max_examples=40, deadline=None)
@given(
    logits=hnp.arrays("float32", (3, 4), elements=st.floats(-20, 20, width=32)),
    matrix=hnp.arrays("float64", (4, 4), elements=st.floats(0.01, 1)),
    smoothing_ratio=st.floats(0, 0.99),
    permutation=st.permutations(range(4)),
)
def test_renaming_the_classes_changes_nothing(logits, matrix, smoothing_ratio, permutation):
    matrix = matrix / matrix.sum(axis=1, keepdims=True)
    ids, order = np.array([0, 1, 3]), np.array(permutation)
    kwargs = {"smoothing_ratio": smoothing_ratio, "from_logits": True}
    losses = preferential_crossentropy(ids, logits, Theta(matrix), **kwargs)
    renamed = preferential_crossentropy(
        np.argsort(order)[ids], logits[:, order], Theta(matrix[np.ix_(order, order)]), **kwargs
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(losses), ops.convert_to_numpy(renamed), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=40, deadline=None)
@given(
    logits=hnp.arrays("float32", (3, 4), elements=st.floats(-20, 20, width=32)),
    smoothing_ratio=st.floats(0, 0.99),
)
def test_loss_is_never_below_the_entropy_of_its_target(logits, smoothing_ratio):
    theta, ids = Theta(lopsided_matrix(4)), np.array([0, 1, 3])
    losses = preferential_crossentropy(
        ids, logits, theta, smoothing_ratio=smoothing_ratio, from_logits=True
    )
    q = targets_by_definition(ids, theta, smoothing_ratio)
    assert np.all(ops.convert_to_numpy(losses) >= crossentropy_by_definition(q, q) - 1e-4)


def test_a_common_offset_of_ten_thousand_changes_nothing(representation):
    theta = build_theta("clusters")
    logits = np.round(LOGITS * 64) / 64  # exact in float32 at the offset
    near, far = (
        preferential_crossentropy(IDS, logits + offset, theta, from_logits=True) for offset in (0, 1e4)
    )
    np.testing.assert_allclose(ops.convert_to_numpy(far), ops.convert_to_numpy(near), rtol=2e-6)


def test_a_zero_weight_on_an_impossible_class_gives_zero(representation):
    theta = cluster_theta(CLUSTERS)
    logits = np.array([[1.0, 2.0, -np.inf, -np.inf, 0.5, 0.0]], "float32")
    loss, gradient = value_and_gradient(np.array([0]), logits, theta, from_logits=True)
    p = softmax(logits)
    np.testing.assert_allclose(loss, -0.9 * np.log(p[0, 0]) - 0.1 * np.log(p[0, 1]), rtol=1e-5)
    assert np.isfinite(gradient).all()


def test_leading_dimensions_are_kept(representation):
    theta = build_theta("lopsided").top_k(3)
    logits = RNG.normal(size=(2, 3, 4, K)).astype("float32")
    ids = RNG.integers(0, K, size=(2, 3, 4))
    losses = preferential_crossentropy(ids, logits, theta, from_logits=True)
    flat = preferential_crossentropy(ids.ravel(), logits.reshape(-1, K), theta, from_logits=True)
    soft = preferential_crossentropy(np.eye(K)[ids], logits, theta, from_logits=True)
    for other in (ops.convert_to_numpy(flat).reshape(2, 3, 4), ops.convert_to_numpy(soft)):
        np.testing.assert_allclose(ops.convert_to_numpy(losses), other, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", None])
def test_ignored_class_and_weights_reduce_as_in_keras(representation, reduction):
    ids, weights = np.array([0, 255, 5, 1, 255]), np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    kwargs = {"from_logits": True, "ignore_class": 255, "reduction": reduction}
    ours = PreferentialSmoothingLoss(build_theta("lopsided"), smoothing_ratio=0.0, **kwargs)
    keras_own = keras.losses.SparseCategoricalCrossentropy(**kwargs)
    for sample_weight in (None, weights):
        np.testing.assert_allclose(
            ops.convert_to_numpy(ours(ids, LOGITS, sample_weight)),
            ops.convert_to_numpy(keras_own(ids, LOGITS, sample_weight)),
            rtol=1e-5,
        )


def test_sixteen_bit_predictions_are_computed_in_float32(representation):
    theta = build_theta("lopsided")
    for dtype in ("float16", "bfloat16"):
        logits = ops.cast(LOGITS, dtype)
        losses = preferential_crossentropy(IDS, logits, theta, from_logits=True)
        expected = preferential_crossentropy(
            IDS, ops.convert_to_numpy(ops.cast(logits, "float32")), theta, from_logits=True
        )
        assert keras.backend.standardize_dtype(losses.dtype) == "float32"
        np.testing.assert_allclose(ops.convert_to_numpy(losses), ops.convert_to_numpy(expected), rtol=1e-5)


@pytest.mark.parametrize("labels", ["ids", "column of ids", "one-hot", "soft"])
def test_a_fit_takes_labels_in_each_form(representation, labels):
    y_true = {"ids": IDS, "column of ids": IDS[:, None], "one-hot": np.eye(K)[IDS], "soft": SOFT}[labels]
    loss = PreferentialSmoothingLoss(build_theta("lopsided"), from_logits=True)
    model = keras.Sequential([keras.Input((K,)), keras.layers.Dense(K)])
    model.compile("sgd", loss)
    expected = float(loss(y_true, model(LOGITS)))
    history = model.fit(LOGITS, y_true, batch_size=len(IDS), verbose=0).history["loss"]
    assert history == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "mixed_bfloat16"])
def test_class_ids_above_256_survive_a_sixteen_bit_loss(dtype):
    loss = PreferentialSmoothingLoss(uniform_theta(3000), dtype=dtype, from_logits=True)
    logits = np.zeros((1, 3000), "float32")
    logits[0, 2999] = 20.0
    assert loss.dtype == "float32"
    assert float(loss(np.array([2999]), logits)) < float(loss(np.array([2998]), logits)) / 2


def test_mixed_precision_training_lowers_the_loss():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((K,)),
                keras.layers.Dense(16, activation="relu"),
                keras.layers.Dense(K, activation="softmax", dtype="float32"),
            ]
        )
        model.compile("adam", PreferentialSmoothingLoss(build_theta("lopsided")))
        history = model.fit(LOGITS, IDS, epochs=20, verbose=0).history["loss"]
    finally:
        keras.config.set_dtype_policy("float32")
    assert history[-1] < history[0]


def test_a_softmax_output_trains_through_its_logits():
    """A saturated softmax would lose the gradient that its logits keep."""
    if BACKEND == "jax":
        pytest.skip("JAX arrays carry no attributes; Keras clips there too")
    probabilities = keras.activations.softmax(ops.convert_to_tensor([[0.0, 50.0]]))
    loss = preferential_crossentropy([0], probabilities, uniform_theta(2), smoothing_ratio=0)
    np.testing.assert_allclose(ops.convert_to_numpy(loss), [50.0], rtol=1e-5)
    with pytest.warns(UserWarning, match="comes out of a softmax"):
        preferential_crossentropy([0], probabilities, uniform_theta(2), from_logits=True)


BAD_CALLS = {
    "theta has 6 classes": {"y_pred": LOGITS[:, :5]},
    "y_true must hold class ids of shape": {"y_true": np.zeros((5, 4))},
    r"class ids in \[0, 6\)": {"y_true": np.array([0, 1, 2, 3, 6])},
    "Labels that count from 1": {"y_true": np.array([0, 1, 2, 3, -1])},
    "whole numbers": {"y_true": np.array([0.0, 1.5, 2.0, 3.0, 1.0])},
    "that is not: sample 3": {"y_true": np.array([0, 1, 2, np.nan, 1])},
    "Several ones .* sample 0": {"y_true": np.eye(6)[[0, 1, 2, 3, 4]] + np.eye(6)[[0, 2, 2, 3, 4]]},
    "sum to one.* sample 2": {"y_true": np.eye(6)[[0, 1, 2, 3, 4]] * [[1], [1], [0], [1], [1]]},
    "at least 0 .* sample 0": {"y_true": np.tile([1.2, -0.2, 0, 0, 0, 0], (5, 1))},
    "soft labels: shares .* sample 4": {"y_true": np.vstack([np.eye(6)[:4], np.full((1, 6), np.nan)])},
    "holds text": {"y_true": ["cat", "dog", "cat", "dog", "cat"]},
    "text or objects": {"y_true": np.array(["cat", "dog", "cat", "dog", "cat"], object)},
    r"Dense\(2, 'softmax'\)": {"y_pred": np.zeros((5, 1))},
    "pass from_logits=True": {"from_logits": False},
    "from_logits must be True or False. Received: 'False'": {"from_logits": "False"},
    r"smoothing_ratio must lie in \[0, 1\)": {"smoothing_ratio": 1.0},
    r"smoothing_ratio must lie in .* Received: '0.1'": {"smoothing_ratio": "0.1"},
    "Received: -0.1": {"smoothing_ratio": -0.1},
    "Received: nan": {"smoothing_ratio": float("nan")},
    "sample_weight of zero": {"y_true": SOFT, "ignore_class": 2},
    "sums to": {"theta": 2 * lopsided_matrix()},
}


@pytest.mark.parametrize("message", BAD_CALLS)
def test_bad_input_is_a_clear_error(representation, message):
    call = {"y_true": IDS, "y_pred": LOGITS, "theta": build_theta("lopsided"), "from_logits": True}
    with pytest.raises(ValueError, match=message):
        preferential_crossentropy(**{**call, **BAD_CALLS[message]})


@pytest.mark.skipif(BACKEND == "torch", reason="Keras on torch runs every step eagerly")
@pytest.mark.parametrize("wrong", ["class id", "fraction", "labels", "probability"])
def test_bad_input_in_a_compiled_step_shows_as_nan(representation, wrong):
    model = keras.Sequential([keras.Input((K,)), keras.layers.Activation("linear")])
    model.compile("sgd", PreferentialSmoothingLoss(build_theta("clusters")))
    x, y = softmax(LOGITS), IDS.copy()
    assert np.isfinite(model.evaluate(x, y, verbose=0))
    if wrong == "class id":
        y[0] = K
    elif wrong == "fraction":
        y = y + 0.5
    elif wrong == "labels":
        y = 2 * np.eye(K)[y]
    else:
        x = LOGITS
    assert np.isnan(model.evaluate(x, y, verbose=0))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_soft_labels_may_sum_to_one_as_nearly_as_their_dtype_says(dtype):
    labels = ops.cast(np.random.default_rng(0).dirichlet(np.ones(1000), 8), dtype)
    losses = preferential_crossentropy(labels, np.zeros((8, 1000)), uniform_theta(1000), from_logits=True)
    np.testing.assert_allclose(ops.convert_to_numpy(losses), np.log(1000), rtol=2e-3)


@pytest.mark.parametrize(("order", "smoothing_ratio"), [(1, 0.17), (-1, 0.19)])  # targets are kept by both
def test_thetas_that_are_equal_but_made_otherwise_have_the_same_loss(order, smoothing_ratio, monkeypatch):
    monkeypatch.setattr(pls_keras.thetas.theta, "DENSE_LIMIT", 1)
    alone = {name: name for name in "abc"}
    thetas = [cluster_theta(alone, include_true=True), Theta(np.eye(3), list(alone)).top_k(1)][::order]
    assert thetas[0] == thetas[1]
    options = {"smoothing_ratio": smoothing_ratio, "from_logits": True}
    first, second = (value_and_gradient(IDS % 3, LOGITS[:, :3], theta, **options) for theta in thetas)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("ignore_class", [1.5, "cat", 2**40, True])
def test_ignore_class_is_a_class_id(ignore_class):
    theta = build_theta("clusters")
    with pytest.raises(ValueError, match="ignore_class must lie in"):
        PreferentialSmoothingLoss(theta, ignore_class=ignore_class)
    with pytest.raises(ValueError, match="ignore_class must lie in"):
        preferential_crossentropy(IDS, LOGITS, theta, from_logits=True, ignore_class=ignore_class)
    assert PreferentialSmoothingLoss(theta, ignore_class=np.int64(-1)).get_config()["ignore_class"] == -1


def test_text_is_refused_before_keras_takes_it_for_numbers():
    loss = PreferentialSmoothingLoss(build_theta("clusters"))
    with pytest.raises(ValueError, match=r"theta.labels.index"):
        loss(np.array(["cat"] * 5), softmax(LOGITS))


def test_compiled_models_train_save_and_resume_in_a_fresh_process(tmp_path, monkeypatch):
    models = {}
    for limit, from_logits in itertools.product([1000, 1], [True, False]):
        monkeypatch.setattr(pls_keras.thetas.theta, "DENSE_LIMIT", limit)
        keras.utils.set_random_seed(0)
        dense = keras.layers.Dense(K, activation=None if from_logits else "softmax")
        model = keras.Sequential([keras.Input((K,)), dense])
        loss = PreferentialSmoothingLoss(
            build_theta("two nearest"),
            smoothing_ratio=0.3,
            from_logits=from_logits,
            ignore_class=4,
            name="smoothed",
            reduction="sum",
        )
        assert loss.theta.is_dense == (limit > K)
        jit_compile = "auto" if from_logits else BACKEND == "jax"
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"], jit_compile=jit_compile
        )
        model.fit(LOGITS, IDS, epochs=2, verbose=0)
        path = tmp_path / f"{limit} {from_logits}.keras"
        model.save(path)
        models[path] = model
    np.savez(tmp_path / "data.npz", x=LOGITS, y=IDS)
    script = """
import json, sys, warnings
import keras, numpy as np
import pls_keras
data = np.load(sys.argv[1])
told = []
for path in sys.argv[2:]:
    model = keras.saving.load_model(path)
    before = model.evaluate(data["x"], data["y"], verbose=0)[0]
    model.fit(data["x"], data["y"], verbose=0, shuffle=False)
    after = model.evaluate(data["x"], data["y"], verbose=0)[0]
    config = model.loss.get_config()
    theta = np.asarray(model.loss.theta).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's at turning a loss into a number, which Keras swallows
        told.append([float(before), float(after), theta, {**config, "theta": None}])
print(json.dumps(told))
"""
    printed = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, tmp_path / "data.npz", *models],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    told = json.loads(printed.splitlines()[-1])
    for model, (before, after, theta, config) in zip(models.values(), told, strict=True):
        np.testing.assert_allclose(before, model.evaluate(LOGITS, IDS, verbose=0)[0], rtol=1e-5)
        model.fit(LOGITS, IDS, verbose=0, shuffle=False)
        np.testing.assert_allclose(after, model.evaluate(LOGITS, IDS, verbose=0)[0], rtol=1e-5)
        np.testing.assert_array_equal(theta, np.asarray(model.loss.theta))
        assert config == {
            "theta": None,
            "name": "smoothed",
            "reduction": "sum",
            "smoothing_ratio": 0.3,
            "from_logits": model.loss.from_logits,
            "ignore_class": 4,
            "dtype": "float32",
        }
    assert [config["from_logits"] for *_, config in told] == [True, False, True, False]


def test_loss_weights_and_class_weights_reach_the_loss():
    model = keras.Sequential([keras.Input((K,)), keras.layers.Activation("softmax")])
    model.compile("sgd", PreferentialSmoothingLoss(build_theta("lopsided"), reduction="sum"))
    plain = [
        model.train_on_batch(LOGITS[i : i + 1], IDS[i : i + 1], return_dict=True)["loss"]
        for i in range(5)
        if not model.reset_metrics()
    ]
    class_weight = {k: k + 1.0 for k in range(K)}
    model.reset_metrics()
    weighted = model.train_on_batch(LOGITS, IDS, class_weight=class_weight, return_dict=True)["loss"]
    np.testing.assert_allclose(weighted, np.dot(plain, IDS + 1.0), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "include_true"),
    [("uniform", True), ("uniform", False), ("clusters", True), ("clusters", False)],
)
def test_a_hundred_thousand_classes_have_the_defined_loss_and_gradient(name, include_true):
    classes, batch = 100_000, 8
    if name == "uniform":
        theta = uniform_theta(classes, include_true=include_true)
    else:
        theta = cluster_theta({str(k): str(k % 10) for k in range(classes)}, include_true)
    ids = np.arange(batch) * 11_111
    logits = np.random.default_rng(0).normal(size=(batch, classes)).astype("float32")
    loss, gradient = value_and_gradient(ids, logits, theta, from_logits=True)
    q = 0.1 * theta.rows(ids)
    q[np.arange(batch), ids] += 0.9
    p = softmax(logits.astype("float64"))
    np.testing.assert_allclose(gradient, p - q, atol=1e-6)
    np.testing.assert_allclose(loss, np.sum(crossentropy_by_definition(q, p)), rtol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process measures itself in other units")
def test_training_with_a_hundred_thousand_classes_takes_memory_of_order_batch_times_classes():
    classes, batch = 100_000, 64
    script = """
import resource, sys
import keras, numpy as np
from pls_keras import PreferentialSmoothingLoss, cluster_theta, uniform_theta

def train(classes, batch):
    clusters = {str(k): str(k % 10) for k in range(classes)}
    for theta in (uniform_theta(classes), cluster_theta(clusters)):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(classes)])
        model.compile("sgd", PreferentialSmoothingLoss(theta, from_logits=True))
        assert np.isfinite(float(model.train_on_batch(np.ones((batch, 1)), np.arange(batch))))

train(2_000, 4)  # what the backend itself takes
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
train(int(sys.argv[1]), int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    printed = subprocess.run(
        [sys.executable, "-c", script, str(classes), str(batch)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    peak = 1024 * int(printed.splitlines()[-1])
    # About 12 arrays of batch × classes float32; one of classes × classes would be 1,500 of them.
    assert peak < 40 * 4 * batch * classes
