"""The calibration error against a naive loop."""

import keras
import numpy as np
import pytest

from pls_keras import ExpectedCalibrationError

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


def test_logits_give_nan_not_a_wrong_number():
    metric = ExpectedCalibrationError()
    metric.update_state(IDS, 5 * PROBABILITIES)
    assert np.isnan(metric.result())


def test_config_round_trip_keeps_every_argument():
    metric = ExpectedCalibrationError(bins=4, name="calibration", dtype="float64")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(copy) is ExpectedCalibrationError
    assert (copy.bins, copy.name, copy.dtype) == (4, "calibration", "float64")


@pytest.mark.parametrize("bins", [0, 1.5])
def test_bins_must_be_a_positive_integer(bins):
    with pytest.raises(ValueError, match="bins must be a positive integer"):
        ExpectedCalibrationError(bins=bins)


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
