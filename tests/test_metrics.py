"""The metrics against naive loops in float64."""

import keras
import numpy as np
import pandas as pd
import pytest

from pls_keras import (
    ClusterAccuracy,
    ClusterShare,
    ExpectedCalibrationError,
    MistakeSeverity,
    PreferentialSmoothingLoss,
    Theta,
    uniform_theta,
)

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
PROBABILITIES = RNG.dirichlet(np.full(4, 0.5), size=300).astype("float32")
IDS = RNG.integers(0, 4, size=300)
WEIGHTS = RNG.uniform(0.5, 2.0, size=300).astype("float32")


def naive_calibration_error(y_true, y_pred, weights, bins):
    """Guo et al.'s definition, a bin at a time: (lower, upper]."""
    confidence, correct = y_pred.max(axis=1), y_pred.argmax(axis=1) == y_true
    error = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            accuracy = np.average(correct[inside], weights=weights[inside])
            mean_confidence = np.average(confidence[inside], weights=weights[inside])
            error += weights[inside].sum() / weights.sum() * abs(accuracy - mean_confidence)
    return error


@pytest.mark.parametrize("bins", [1, 7, 15])
@pytest.mark.parametrize("labels", ["ids", "column of ids", "one-hot"])
@pytest.mark.parametrize("weighted", [False, True])
def test_streamed_error_is_that_of_a_naive_loop(bins, labels, weighted):
    y_true = {"ids": IDS, "column of ids": IDS[:, None], "one-hot": np.eye(4)[IDS]}[labels]
    metric = ExpectedCalibrationError(bins=bins)
    for part in np.array_split(np.arange(300), 7):
        metric.update_state(y_true[part], PROBABILITIES[part], WEIGHTS[part] if weighted else None)
    weights = WEIGHTS if weighted else np.ones(300)
    expected = naive_calibration_error(IDS, PROBABILITIES, weights, bins)
    assert expected > 0.05
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)


def test_positions_of_a_sequence_count_as_samples():
    metric = ExpectedCalibrationError()
    shaped = (PROBABILITIES.reshape(30, 10, 4), WEIGHTS.reshape(30, 10))
    metric.update_state(IDS.reshape(30, 10), *shaped)
    expected = naive_calibration_error(IDS, PROBABILITIES, WEIGHTS, 15)
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5)


def test_certain_predictions_err_by_their_error_rate():
    certain = np.eye(4, dtype="float32")[(IDS + (np.arange(300) < 60)) % 4]
    metric = ExpectedCalibrationError()
    metric.update_state(IDS, certain)
    np.testing.assert_allclose(metric.result(), 60 / 300, rtol=1e-6)


def test_no_samples_give_zero_and_reset_forgets():
    metric = ExpectedCalibrationError()
    assert float(metric.result()) == 0
    metric.update_state(IDS, PROBABILITIES)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_compiled_fit_and_evaluate_report_the_naive_error():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Softmax()])
    model.compile(
        loss="sparse_categorical_crossentropy",
        metrics=[ExpectedCalibrationError()],
        weighted_metrics=[ExpectedCalibrationError(name="weighted_ece")],
    )
    logits = np.log(PROBABILITIES)
    history = model.fit(logits, IDS, sample_weight=WEIGHTS, batch_size=64, verbose=0).history
    scores = model.evaluate(logits, IDS, sample_weight=WEIGHTS, batch_size=64, verbose=0, return_dict=True)
    for key, weights in {"ece": np.ones(300), "weighted_ece": WEIGHTS}.items():
        expected = naive_calibration_error(IDS, PROBABILITIES, weights, 15)
        np.testing.assert_allclose(scores[key], expected, atol=1e-5)
        np.testing.assert_allclose(history[key][-1], expected, atol=1e-5)


def test_reliability_gives_each_bin_its_samples_confidence_and_accuracy():
    metric = ExpectedCalibrationError(bins=4)
    metric.update_state([0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    table = metric.reliability()
    assert table["samples"].tolist() == [0, 0, 1, 2]
    np.testing.assert_allclose(table["confidence"], [np.nan, np.nan, 0.7, 0.85], rtol=1e-6)
    np.testing.assert_allclose(table["accuracy"], [np.nan, np.nan, 1.0, 0.5], rtol=1e-6)
    gaps = (table["samples"] * (table["accuracy"] - table["confidence"]).abs()).sum() / 3
    assert float(metric.result()) == pytest.approx(gaps)


# Which mistakes

TREE = {"oak": ("plant", "tree"), "fir": ("plant", "tree"), "rose": ("plant",), "cat": ("animal",)}
HEIGHTS = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [2, 2, 0, 3], [3, 3, 3, 0]])
CLUSTERS = ["plant", "plant", "plant", "animal"]
LOPSIDED = np.array([[0, 1.5, 2, 7], [3, 0, 4, 1], [2, 6, 0, 5], [1, 2, 3, 0]])


def weighted_mean(values, weights):
    return np.dot(values, weights) / np.sum(weights) if np.sum(weights) else 0.0


def by_loops(kind, y_true, y_pred, weights):
    """A sample at a time, its classes in the order of their probabilities."""
    values, counts = [], []
    clusters = np.array(CLUSTERS)
    for true, p in zip(y_true, y_pred.astype("float64"), strict=True):
        ranked = sorted(range(4), key=lambda k: -p[k])
        counts.append(1.0)
        if kind == "cluster accuracy":
            values.append(clusters[ranked[0]] == clusters[true])
        elif kind == "summed":
            animal = p[3] > p[:3].sum()
            values.append(animal == (true == 3))
        elif kind == "share":
            values.append(sum(clusters[k] == clusters[true] for k in ranked[1:3]) / 2)
        elif kind == "severity of the first three":
            values.append(sum(LOPSIDED[true, k] for k in ranked[:3]) / 3)
        else:
            distances = LOPSIDED if kind == "severity" else HEIGHTS
            values.append(distances[true, ranked[0]])
            counts[-1] = float(ranked[0] != true)
    counted = np.array(weights) * np.array(counts)
    return weighted_mean(np.array(values, "float64"), counted)


MISTAKES = {
    "cluster accuracy": lambda: ClusterAccuracy(CLUSTERS),
    "summed": lambda: ClusterAccuracy(dict(zip("abcd", CLUSTERS, strict=True)), summed=True),
    "share": lambda: ClusterShare(CLUSTERS, k=3),
    "severity": lambda: MistakeSeverity(LOPSIDED),
    "severity in a tree": lambda: MistakeSeverity(TREE),
    "severity of the first three": lambda: MistakeSeverity(LOPSIDED, k=3),
}


@pytest.mark.parametrize("kind", MISTAKES)
@pytest.mark.parametrize("labels", ["ids", "column of ids", "one-hot"])
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_mistakes_are_those_of_a_loop(kind, labels, weighted):
    y_true = {"ids": IDS, "column of ids": IDS[:, None], "one-hot": np.eye(4)[IDS]}[labels]
    metric = MISTAKES[kind]()
    for part in np.array_split(np.arange(300), 7):
        metric.update_state(y_true[part], PROBABILITIES[part], WEIGHTS[part] if weighted else None)
    expected = by_loops(kind, IDS, PROBABILITIES, WEIGHTS if weighted else np.ones(300))
    assert expected > 0.2
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-5)
    shaped = MISTAKES[kind]()
    shaped.update_state(IDS.reshape(30, 10), PROBABILITIES.reshape(30, 10, 4))
    np.testing.assert_allclose(
        float(shaped.result()), by_loops(kind, IDS, PROBABILITIES, np.ones(300)), rtol=1e-5
    )
    metric.reset_state()
    assert float(metric.result()) == 0


def test_metrics_of_mistakes_in_a_fit_and_from_a_file(tmp_path):
    kinds = ["summed", "share", "severity in a tree"]  # names in logs must differ
    model = keras.Sequential([keras.Input((4,)), keras.layers.Softmax()])
    model.compile(loss="sparse_categorical_crossentropy", metrics=[MISTAKES[kind]() for kind in kinds])
    logits = np.log(PROBABILITIES)
    history = model.fit(logits, IDS, batch_size=64, verbose=0).history
    scores = [by_loops(kind, IDS, PROBABILITIES, np.ones(300)) for kind in kinds]
    found = [v[0] for name, v in history.items() if name != "loss"]
    np.testing.assert_allclose(found, scores, rtol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.evaluate(logits, IDS, batch_size=50, verbose=0)
    np.testing.assert_allclose(again[1:], scores, rtol=1e-4)


METRICS = {
    "calibration": lambda **options: ExpectedCalibrationError(bins=4, **options),
    "cluster accuracy": lambda **options: ClusterAccuracy(CLUSTERS, **options),
    "summed": lambda **options: ClusterAccuracy(CLUSTERS, summed=True, **options),
    "share": lambda **options: ClusterShare(CLUSTERS, k=3, **options),
    "severity": lambda **options: MistakeSeverity(LOPSIDED, k=3, **options),
}
each_metric = pytest.mark.parametrize("make", METRICS.values(), ids=METRICS)


def value(metric, *batch):
    metric.update_state(*batch)
    return float(metric.result())


@each_metric
def test_config_round_trip_keeps_every_argument(make):
    metric = make(name="named", dtype="float64", ignore_class=3)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()
    assert (copy.name, copy.dtype, copy.ignore_class) == ("named", "float64", 3)
    assert value(copy, IDS, PROBABILITIES) == value(metric, IDS, PROBABILITIES) > 0
    assert getattr(copy, "bins", 4) == 4
    assert getattr(copy, "k", 3) == 3


@each_metric
@pytest.mark.parametrize("ignored", [255, -1, 3])
def test_samples_of_the_ignored_class_are_as_if_absent(make, ignored):
    there = ignored != IDS
    there[::3] = False
    ids, p, weights = np.where(there, IDS, ignored), PROBABILITIES.copy(), WEIGHTS.copy()
    p[~there], weights[~there] = np.nan, np.nan
    received = value(make(ignore_class=ignored), ids, p, weights)
    assert received == pytest.approx(value(make(), IDS[there], PROBABILITIES[there], WEIGHTS[there]))
    assert received > 0


@each_metric
@pytest.mark.parametrize(
    ("labels", "predictions", "weights", "said"),
    [
        ([-1, 0], PROBABILITIES[:2], None, r"class ids in \[0, 4\).*ignore_class.*sample 0\."),
        ([0, 4], PROBABILITIES[:2], None, r"class ids in \[0, 4\).*y - 1.*sample 1\."),
        ([0, 0.5], PROBABILITIES[:2], None, "whole numbers.*sample 1"),
        ([0, np.nan], PROBABILITIES[:2], None, "whole numbers.*sample 1"),
        ([[1, 1, 0, 0]], PROBABILITIES[:1], None, "sum to one.*sample 0"),
        ([[0, 0, 0, 0]], PROBABILITIES[:1], None, "sum to one.*sample 0"),
        (["oak"], PROBABILITIES[:1], None, "holds text"),
        ([0, 1, 2], PROBABILITIES[:4], None, r"y_true of shape \(3,\), y_pred of shape \(4, 4\)"),
        ([[0, 1]], PROBABILITIES[:1], None, r"y_true of shape \(1, 2\)"),
        ([1], [[0.7]], None, "an output for each of 2 classes or more"),
        ([0, 1], PROBABILITIES[:2], [1.0, 1.0, 1.0], r"sample_weight must have shape \(2,\).*\(3,\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(make, labels, predictions, weights, said):
    with pytest.raises(ValueError, match=said):
        make().update_state(np.array(labels), np.array(predictions), weights)


def test_ignore_class_needs_class_ids():
    with pytest.raises(ValueError, match="ignore_class=3 needs class ids"):
        ClusterAccuracy(CLUSTERS, ignore_class=3).update_state(np.eye(4), PROBABILITIES[:4])


@each_metric
def test_predictions_that_are_no_numbers_give_nan(make):
    p = PROBABILITIES.copy()
    p[7, 2] = np.nan
    assert np.isnan(value(make(), IDS, p))


@pytest.mark.parametrize("kind", ["calibration", "summed"])
@pytest.mark.parametrize("scale", [5, 0.5])
def test_logits_where_probabilities_count_give_nan(kind, scale):
    assert np.isnan(value(METRICS[kind](), IDS, scale * PROBABILITIES))
    assert np.isnan(value(METRICS[kind](), IDS, scale * np.log(PROBABILITIES)))


def test_the_calibration_error_of_logits_is_that_of_their_softmax():
    logits = 3 + 2 * np.log(PROBABILITIES)
    metric = ExpectedCalibrationError(from_logits=True)
    assert value(metric, IDS, logits) == pytest.approx(
        value(ExpectedCalibrationError(), IDS, keras.ops.softmax(logits)), rel=1e-5
    )
    assert ExpectedCalibrationError.from_config(metric.get_config()).from_logits


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="an array of JAX has no attributes")
def test_the_output_of_a_softmax_is_not_taken_for_logits():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Activation("softmax")])
    metric = ExpectedCalibrationError(from_logits=True)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric])
    logits = np.log(PROBABILITIES)
    with pytest.warns(UserWarning, match="y_pred comes out of a softmax"):
        measured = model.evaluate(logits, IDS, verbose=0, batch_size=len(IDS), return_dict=True)["ece"]
    assert measured == pytest.approx(value(ExpectedCalibrationError(), IDS, PROBABILITIES), rel=1e-4)


@each_metric
@pytest.mark.parametrize("ignore_class", [1.5, "cat", 2**40, True])
def test_ignore_class_is_a_class_id(make, ignore_class):
    config = {**make().get_config(), "ignore_class": ignore_class}
    with pytest.raises(ValueError, match="ignore_class must lie in"):
        type(make()).from_config(config)


@each_metric
def test_a_weight_of_a_sequence_is_that_of_its_positions(make):
    ids, p, weights = IDS.reshape(30, 10), PROBABILITIES.reshape(30, 10, 4), WEIGHTS[:30]
    expected = value(make(), ids, p, np.repeat(weights, 10).reshape(30, 10))
    for given in (weights, weights[:, None], np.repeat(weights, 10).reshape(30, 10, 1)):
        assert value(make(), ids, p, given) == pytest.approx(expected)
    assert expected != pytest.approx(value(make(), ids, p))


@pytest.mark.parametrize(("ignore_class", "jit"), [(None, False), (255, True)])
def test_a_fit_ignores_a_class_or_says_that_an_id_is_out_of_range(ignore_class, jit):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Softmax()])
    kinds = ["calibration", "summed", "severity"]
    metrics = [METRICS[kind](ignore_class=ignore_class, name=kind) for kind in kinds]
    loss = PreferentialSmoothingLoss(uniform_theta(4), ignore_class=ignore_class)
    model.compile(loss=loss, metrics=metrics, jit_compile=BACKEND == "jax" or (jit and BACKEND != "torch"))
    ids = np.where(np.arange(300) % 3, IDS, 255)
    if ignore_class is None and BACKEND == "torch":  # never compiled
        with pytest.raises(ValueError, match="class ids"):
            model.fit(np.log(PROBABILITIES), ids, verbose=0)
        return
    history = model.fit(np.log(PROBABILITIES), ids, batch_size=64, verbose=0).history
    there = ids != 255
    for kind in kinds:
        expected = value(METRICS[kind](), IDS[there], PROBABILITIES[there])
        np.testing.assert_allclose(history[kind], expected if ignore_class else np.nan, rtol=1e-4)


def test_clusters_may_be_a_series_and_distances_a_frame():
    series = pd.Series(CLUSTERS, index=list("abcd"))
    assert ClusterAccuracy(series).clusters == ClusterShare(np.array(CLUSTERS), k=2).clusters == CLUSTERS
    np.testing.assert_array_equal(MistakeSeverity(pd.DataFrame(LOPSIDED)).distances, LOPSIDED)


def test_no_mistake_has_no_severity():
    metric = MistakeSeverity(TREE)
    metric.update_state([0, 1, 2, 3], np.eye(4))
    assert float(metric.result()) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClusterAccuracy(["a", "b"])([0], [[0.1, 0.2, 0.7]]), "must name the 3 classes of y_pred"),
        (lambda: MistakeSeverity(TREE)([0], [[0.1, 0.9]]), "must name the 2 classes of y_pred"),
        (lambda: ClusterShare(CLUSTERS, k=1), r"k must lie in \[2, 4\]"),
        (lambda: ClusterShare(CLUSTERS, k=5), r"k must lie in \[2, 4\]"),
        (lambda: MistakeSeverity(TREE, k=0), r"k must lie in \[1, 4\]"),
        (lambda: ClusterShare(CLUSTERS, k=2.5), "a whole number"),
        (lambda: ExpectedCalibrationError(bins=0), "bins must lie in"),
        (lambda: ExpectedCalibrationError(bins=1.5), "a whole number"),
        (lambda: ExpectedCalibrationError(from_logits="no"), "from_logits must be True or False"),
        (lambda: ClusterAccuracy(["a", "b"], "sum"), "summed must be True or False"),
        (lambda: MistakeSeverity(np.ones((2, 2))), "0 on the diagonal"),
        (lambda: MistakeSeverity(np.zeros((2, 3))), "K×K array"),
        (lambda: MistakeSeverity(-LOPSIDED), "none negative"),
        (lambda: MistakeSeverity(np.where(LOPSIDED == 7, np.nan, LOPSIDED)), "finite numbers"),
        (lambda: MistakeSeverity([["a", "b"], ["c", "d"]]), "must be a taxonomy"),
        (lambda: MistakeSeverity(Theta([[0, 1], [1, 0]])), "must be a taxonomy.*<Theta of 2"),
        (lambda: MistakeSeverity(pd.DataFrame(LOPSIDED, columns=list("abcd"))), "must be a taxonomy"),
    ],
)
def test_what_does_not_fit_the_classes_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
