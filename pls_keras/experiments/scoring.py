"""Scores of predictions on test samples."""

import keras
import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from pls_keras.metrics import ClusterAccuracy, ClusterShare, ExpectedCalibrationError, MistakeSeverity
from pls_keras.thetas import Theta

GUESSES = 5  # classes of each test sample that are kept


def score(y, p, data):
    """Scores of predictions.

    Args:
        y: class ids of shape (n,).
        p: probabilities of shape (n, classes).
        data: the `ImageDataset` or `TextDataset` that they belong to.

    Returns:
        Dict of `macro_f1` and `accuracy` in [0, 1], `ece` (calibration error in 15 bins), and `nll`, the
        mean plain cross-entropy in nats. Where clusters of the classes come with the package, such as
        CIFAR-100's superclasses or Ekman's groups, also `cluster_accuracy`, `mistakes_in_cluster` (the
        share of the mistakes that lie there) and `cluster_share` (of ranks 2 to 5); where a taxonomy
        does, `mistake_severity` in it.
    """
    accuracy = float(accuracy_score(y, p.argmax(axis=1)))
    scores = {
        "macro_f1": float(f1_score(y, p.argmax(axis=1), average="macro")),
        "accuracy": accuracy,
        "ece": float(_calibration(y, p).result()),
        "nll": float(keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, p))),
    }
    if clusters := _known(data, "cls", "clusters"):
        inside = _result(ClusterAccuracy(clusters), y, p)
        scores |= {
            "cluster_accuracy": inside,
            "mistakes_in_cluster": (inside - accuracy) / (1 - accuracy) if accuracy < 1 else 0.0,
            "cluster_share": _result(ClusterShare(clusters, k=min(5, data.classes)), y, p),
        }
    if tree := _known(data, "hierarchy", "tree"):
        scores["mistake_severity"] = _result(MistakeSeverity(tree), y, p)
    return scores


def guesses(p):
    """The most probable classes of each sample and their probabilities: arrays of shape (n, 5)."""
    classes = np.argsort(-p, axis=1, kind="stable")[:, :GUESSES]
    return {
        "classes": classes.astype(np.min_scalar_type(p.shape[1])),
        "probabilities": np.take_along_axis(p, classes, axis=1).astype("float16"),
    }


def _known(data, kind, fact):
    """What is known of the classes of a data set, from the theta of it that comes with the package."""
    name = f"{data.name}-{kind}"
    theta = Theta.load(name) if name in Theta.shipped() else None
    return theta.provenance[fact] if theta and theta.labels == tuple(data.labels) else None


def _result(metric, y, p):
    metric.update_state(y, p)
    return float(metric.result())


def reliability(y, p):
    """The bins of a reliability diagram, as lists (`ExpectedCalibrationError.reliability`)."""
    return _calibration(y, p).reliability().fillna(0).to_dict("list")


def _calibration(y, p):
    metric = ExpectedCalibrationError()
    metric.update_state(y, p)
    return metric
