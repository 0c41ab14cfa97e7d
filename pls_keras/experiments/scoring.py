"""Scores of predictions on test samples."""

import keras
from sklearn.metrics import accuracy_score, f1_score

from pls_keras.metrics import ExpectedCalibrationError


def score(y, p):
    """Scores of predictions.

    Args:
        y: class ids of shape (n,).
        p: probabilities of shape (n, classes).

    Returns:
        Dict of `macro_f1` and `accuracy` in [0, 1], `ece` (calibration error in 15 bins), and `nll`, the
        mean plain cross-entropy in nats.
    """
    return {
        "macro_f1": float(f1_score(y, p.argmax(axis=1), average="macro")),
        "accuracy": float(accuracy_score(y, p.argmax(axis=1))),
        "ece": float(_calibration(y, p).result()),
        "nll": float(keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, p))),
    }


def reliability(y, p):
    """The bins of a reliability diagram, as lists (`ExpectedCalibrationError.reliability`)."""
    return _calibration(y, p).reliability().fillna(0).to_dict("list")


def _calibration(y, p):
    metric = ExpectedCalibrationError()
    metric.update_state(y, p)
    return metric
