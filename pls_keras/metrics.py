"""Metrics that Keras lacks.

The cross-entropy with unsmoothed labels, in which methods compare, is Keras's own
`keras.metrics.SparseCategoricalCrossentropy(name="nll")`.
"""

import keras
import numpy as np
import pandas as pd
from keras import ops

from pls_keras.thetas import class_heights

PROBABILITY_TOLERANCE = 1e-3  # a 16-bit softmax may overshoot 1 by this much


@keras.saving.register_keras_serializable(package="pls_keras")
class ExpectedCalibrationError(keras.metrics.Metric):
    """Expected calibration error: mean distance of confidence from accuracy (Guo et al., 2017).

    Predictions fall into equal bins of confidence, the largest probability. With the weight of each
    bin's samples n_b, `ECE = Σ_b n_b / n · |accuracy_b - confidence_b|`.

    Args:
        bins: number of bins over (0, 1].
        name: name of the metric.
        dtype: dtype of its sums.

    Call arguments:
        y_true: class ids of shape (...) or (..., 1), or one-hot labels of shape (..., classes).
        y_pred: probabilities of shape (..., classes).
        sample_weight: optional weights of shape (...).

    Returns:
        A fraction in [0, 1]; NaN if predictions were no probabilities.

    Example:
        >>> metric = ExpectedCalibrationError()
        >>> metric.update_state([0, 1], [[0.75, 0.25], [0.75, 0.25]])  # right once in two
        >>> float(metric.result())
        0.25

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", 2017.
    """

    def __init__(self, bins=15, name="ece", dtype=None):
        super().__init__(name=name, dtype=dtype)
        if not (isinstance(bins, int) and bins >= 1):
            raise ValueError(f"bins must be a positive integer. Received: {bins}")
        self.bins = bins
        self.weight_sum = self.add_variable((bins,), "zeros", name="weight_sum")
        self.confidence_sum = self.add_variable((bins,), "zeros", name="confidence_sum")
        self.correct_sum = self.add_variable((bins,), "zeros", name="correct_sum")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred, weight = _samples(y_true, y_pred, sample_weight, self.dtype)
        confidence = ops.max(y_pred, axis=-1)
        correct = ops.cast(_predicted(y_pred) == y_true, self.dtype)
        bin_ids = ops.cast(ops.ceil(confidence * self.bins), "int32") - 1
        bin_ids = ops.clip(bin_ids, 0, self.bins - 1)
        # Logits in place of probabilities: NaN, rather than a number that means nothing.
        known = (confidence > 0) & (confidence <= 1 + PROBABILITY_TOLERANCE)
        confidence = ops.where(known, confidence, np.nan)
        for total, values in (
            (self.weight_sum, weight),
            (self.confidence_sum, weight * confidence),
            (self.correct_sum, weight * correct),
        ):
            total.assign_add(ops.segment_sum(values, bin_ids, num_segments=self.bins))

    def result(self):
        gaps = ops.abs(self.correct_sum - self.confidence_sum)
        return ops.divide_no_nan(ops.sum(gaps), ops.sum(self.weight_sum))

    def reliability(self):
        """What a reliability diagram draws.

        Returns:
            `DataFrame` with a row a bin: `samples` (their weight), and their mean `confidence` and
            `accuracy`, NaN where a bin is empty.
        """
        samples, confidence, correct = (
            ops.convert_to_numpy(total)
            for total in (self.weight_sum, self.confidence_sum, self.correct_sum)
        )
        table = pd.DataFrame({"samples": samples, "confidence": confidence, "accuracy": correct})
        return table.assign(
            confidence=table["confidence"] / table["samples"], accuracy=table["accuracy"] / table["samples"]
        )

    def get_config(self):
        return {"bins": self.bins, "name": self.name, "dtype": self.dtype}


class _Share(keras.metrics.Metric):
    """A weighted mean over samples, of what `values` gives for each and of what weight."""

    def __init__(self, name, dtype):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred, weight = _samples(y_true, y_pred, sample_weight, self.dtype)
        values, counts = self.values(y_true, y_pred)
        self.total.assign_add(ops.sum(weight * values))
        self.count.assign_add(ops.sum(weight * counts))

    def result(self):
        return ops.divide_no_nan(self.total, self.count)


@keras.saving.register_keras_serializable(package="pls_keras")
class ClusterAccuracy(_Share):
    """Share of the predictions that lie in the true class's cluster: its superclass, group or kind.

    Args:
        clusters: the cluster of each class, in the order of the classes: K names or ids, or a mapping
            from label to cluster as `cluster_theta` takes it.
        summed: whether the predicted cluster is that of the largest sum of its classes'
            probabilities; else that of the predicted class.
        name: name of the metric.
        dtype: dtype of its sums.

    Call arguments:
        As for `ExpectedCalibrationError`.

    Returns:
        A fraction in [0, 1].

    Example:
        >>> metric = ClusterAccuracy({"cat": "animal", "dog": "animal", "car": "vehicle"})
        >>> metric.update_state([0, 2], [[0.2, 0.7, 0.1], [0.6, 0.1, 0.3]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, clusters, summed=False, name="cluster_accuracy", dtype=None):
        super().__init__(name, dtype)
        self.clusters, self._ids = _cluster_ids(clusters)
        self.summed = summed

    def values(self, y_true, y_pred):
        _check_classes(y_pred, self._ids, "clusters")
        ids = ops.convert_to_tensor(self._ids)
        if self.summed:
            members = ops.cast(np.eye(self._ids.max() + 1)[self._ids], self.dtype)
            predicted = _predicted(ops.matmul(y_pred, members))
        else:
            predicted = ops.take(ids, _predicted(y_pred), axis=0)
        correct = ops.cast(ops.take(ids, y_true, axis=0) == predicted, self.dtype)
        return correct, ops.ones_like(correct)

    def get_config(self):
        return {"clusters": self.clusters, "summed": self.summed, "name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="pls_keras")
class ClusterShare(_Share):
    """Share of a model's second guesses that lie in the true class's cluster.

    Second guesses are the classes of ranks 2 to k by probability, whether the first was right or not.

    Args:
        clusters: as for `ClusterAccuracy`.
        k: last rank, from 2 to the number of classes.
        name: name of the metric.
        dtype: dtype of its sums.

    Call arguments:
        As for `ExpectedCalibrationError`.

    Returns:
        A fraction in [0, 1].

    Example:
        >>> metric = ClusterShare(["animal", "animal", "vehicle", "vehicle"], k=3)
        >>> metric.update_state([0], [[0.6, 0.2, 0.15, 0.05]])  # of ranks 2 and 3 one is an animal
        >>> float(metric.result())
        0.5
    """

    def __init__(self, clusters, k=5, name="cluster_share", dtype=None):
        super().__init__(name, dtype)
        self.clusters, self._ids = _cluster_ids(clusters)
        if not (isinstance(k, int) and 2 <= k <= len(self._ids)):
            raise ValueError(f"k must lie in [2, {len(self._ids)}], the classes. Received: {k}")
        self.k = k

    def values(self, y_true, y_pred):
        _check_classes(y_pred, self._ids, "clusters")
        ids = ops.convert_to_tensor(self._ids)
        guesses = ops.take(ids, ops.top_k(y_pred, self.k)[1][:, 1:], axis=0)
        inside = guesses == ops.expand_dims(ops.take(ids, y_true, axis=0), -1)
        share = ops.mean(ops.cast(inside, self.dtype), axis=-1)
        return share, ops.ones_like(share)

    def get_config(self):
        return {"clusters": self.clusters, "k": self.k, "name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="pls_keras")
class MistakeSeverity(_Share):
    """How far mistakes lie from the truth: the mean height of the lowest common ancestor.

    Args:
        distances: a taxonomy as `pls_keras.thetas.class_heights` takes it, whose labels are in the
            order of the classes; or a K×K array of distances [true, predicted].
        k: 1 for the mean over the mistakes alone; else the mean over the k most probable classes of
            every sample, from 2 to the number of classes.
        name: name of the metric.
        dtype: dtype of its sums.

    Call arguments:
        As for `ExpectedCalibrationError`.

    Returns:
        A mean of distances; 0 if there is no mistake.

    Example:
        >>> metric = MistakeSeverity({"oak": ("plant",), "rose": ("plant",), "cat": ("animal",)})
        >>> metric.update_state([0, 0, 0], [[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.1, 0.2, 0.7]])
        >>> float(metric.result())  # a rose for an oak is 1, a cat 2
        1.5

    Reference:
        Bertinetto et al., "Making Better Mistakes", 2020, section 4.
    """

    def __init__(self, distances, k=1, name="mistake_severity", dtype=None):
        super().__init__(name, dtype)
        distances = class_heights(distances)[1] if hasattr(distances, "items") else np.asarray(distances)
        if distances.ndim != 2 or distances.shape[0] != distances.shape[1] or np.diag(distances).any():
            raise ValueError(
                "distances must be a taxonomy, or a K×K array of 0 on the diagonal. Received: shape "
                f"{distances.shape}"
            )
        if not (isinstance(k, int) and 1 <= k <= len(distances)):
            raise ValueError(f"k must lie in [1, {len(distances)}], the classes. Received: {k}")
        self.distances = distances
        self.k = k

    def values(self, y_true, y_pred):
        _check_classes(y_pred, self.distances, "distances")
        row = ops.take(ops.convert_to_tensor(self.distances, self.dtype), y_true, axis=0)
        predicted = ops.top_k(y_pred, self.k)[1]
        distance = ops.mean(ops.take_along_axis(row, predicted, axis=-1), axis=-1)
        if self.k > 1:
            return distance, ops.ones_like(distance)
        return distance, ops.cast(predicted[:, 0] != ops.cast(y_true, predicted.dtype), self.dtype)

    def get_config(self):
        return {"distances": self.distances.tolist(), "k": self.k, "name": self.name, "dtype": self.dtype}


def _samples(y_true, y_pred, sample_weight, dtype):
    """Class ids (n,), predictions (n, classes) and weights (n,) of any batch."""
    y_pred = ops.cast(y_pred, dtype)
    y_true = ops.convert_to_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] != 1:
        y_true = ops.argmax(y_true, axis=-1)
    y_true = ops.reshape(ops.cast(y_true, "int32"), (-1,))
    y_pred = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    weight = ops.ones_like(y_pred[:, 0])
    if sample_weight is not None:
        weight = weight * ops.reshape(ops.cast(sample_weight, dtype), (-1,))
    return y_true, y_pred, weight


def _predicted(y_pred):
    return ops.cast(ops.argmax(y_pred, axis=-1), "int32")


def _cluster_ids(clusters):
    """The names of the clusters of all classes, and a number for each."""
    names = [str(name) for name in (clusters.values() if hasattr(clusters, "values") else clusters)]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return names, np.array([numbers[name] for name in names], "int32")


def _check_classes(y_pred, known, argument):
    if y_pred.shape[-1] != len(known):
        raise ValueError(
            f"{argument} must name the {y_pred.shape[-1]} classes of y_pred. Received: {len(known)}"
        )
