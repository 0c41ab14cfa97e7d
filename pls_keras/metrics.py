"""Metrics that Keras lacks.

The cross-entropy with unsmoothed labels, in which methods compare, is Keras's own
`keras.metrics.SparseCategoricalCrossentropy(name="nll")`.
"""

import contextlib
import math

import keras
import numpy as np
import pandas as pd
from keras import ops

from pls_keras._checks import (
    PROBABILITY_TOLERANCE,
    SUM_TOLERANCE,
    class_to_ignore,
    raise_unless,
    refuse_text,
)
from pls_keras.losses import logits_if_known
from pls_keras.thetas import Theta, class_heights
from pls_keras.thetas.checks import by_label, cluster_ids, flag, names, pairs, shown, whole_number


class _SampleMetric(keras.metrics.Metric):
    """What the metrics share: how samples are read, and which of them count."""

    def __init__(self, name, dtype, ignore_class):
        super().__init__(name=name, dtype=dtype)
        self.ignore_class = class_to_ignore(ignore_class)

    def samples(self, y_true, y_pred, sample_weight, *, probabilities=False):
        """Class ids (n,), predictions (n, classes) and weights (n,) of any batch.

        A sample that is ignored has the weight 0, and one whose labels or predictions cannot be NaN.
        """
        refuse_text(y_true)
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.cast(y_pred, self.dtype)
        weight = ops.cast(1.0 if sample_weight is None else sample_weight, self.dtype)
        form = _form(*(tuple(tensor.shape) for tensor in (y_true, y_pred, weight)))
        classes = y_pred.shape[-1]
        if len(weight.shape) == len(y_pred.shape):
            weight = ops.squeeze(weight, -1)
        for _ in range(len(y_pred.shape) - 1 - len(weight.shape)):  # of a whole sequence
            weight = ops.expand_dims(weight, -1)
        weight = ops.reshape(weight * ops.ones_like(y_pred[..., 0]), (-1,))
        y_pred = ops.reshape(y_pred, (-1, classes))
        if form == "shares":
            known = _are_shares(ops.reshape(y_true, (-1, classes)))
            ids = ops.reshape(ops.cast(ops.argmax(y_true, axis=-1), "int32"), (-1,))
        else:
            y_true = ops.reshape(y_true, (-1,))
            ids = ops.cast(y_true, "int32")
            known = (ids >= 0) & (ids < classes) & (ops.cast(ids, y_true.dtype) == y_true)
        counted = ops.ones_like(known)
        if self.ignore_class is not None:
            if form == "shares":
                raise ValueError(
                    f"ignore_class={self.ignore_class} needs class ids, but y_true holds one-hot or soft "
                    "labels. Give those samples a sample_weight of zero instead."
                )
            counted = ids != self.ignore_class
        raise_unless(
            known | ~counted,
            f"y_true must hold class ids in [0, {classes}), whole numbers, or one-hot or soft labels that "
            "sum to one. Labels that count from 1 need y - 1; ignore_class leaves an id out.",
        )
        usable = _are_shares(y_pred) if probabilities else ~ops.any(ops.isnan(y_pred), axis=-1)
        weight = ops.where(known & usable, weight, np.nan)
        # Whatever the others hold, NaN included.
        weight = ops.where(counted, weight, 0.0)
        y_pred = ops.where(ops.expand_dims(counted, -1), y_pred, 1 / classes)
        return ops.where(known & counted, ids, 0), y_pred, weight

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype, "ignore_class": self.ignore_class}


@keras.saving.register_keras_serializable(package="pls_keras")
class ExpectedCalibrationError(_SampleMetric):
    """Expected calibration error: mean distance of confidence from accuracy (Guo et al., 2017).

    Predictions fall into equal bins of confidence, the largest probability. With the weight of each
    bin's samples n_b, `ECE = Σ_b n_b / n · |accuracy_b - confidence_b|`.

    Args:
        bins: number of bins over (0, 1].
        name: name of the metric.
        dtype: dtype of its sums.
        ignore_class: class id whose samples are left out, as of `PreferentialSmoothingLoss`.
        from_logits: whether predictions are logits, as of `preferential_crossentropy`.

    Call arguments:
        y_true: class ids of shape (...) or (..., 1), or one-hot labels of shape (..., classes).
        y_pred: probabilities of shape (..., classes), or logits if `from_logits`.
        sample_weight: optional weights of shape (...), or of the first of these axes alone.

    Returns:
        A fraction in [0, 1]. NaN if predictions were no probabilities, such as logits without
        `from_logits`, or if a compiled step met labels out of range.

    Raises:
        ValueError: if shapes disagree, if labels are text, or, in eager execution, if they are out of
            range.

    Example:
        >>> metric = ExpectedCalibrationError()
        >>> metric.update_state([0, 1], [[0.75, 0.25], [0.75, 0.25]])  # right once in two
        >>> float(metric.result())
        0.25

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", 2017.
    """

    def __init__(self, bins=15, name="ece", dtype=None, ignore_class=None, from_logits=False):
        super().__init__(name, dtype, ignore_class)
        self.from_logits = flag(from_logits, "from_logits")
        self.bins = bins = whole_number(bins, "bins", 1, math.inf)
        self.weight_sum = self.add_variable((bins,), "zeros", name="weight_sum")
        self.confidence_sum = self.add_variable((bins,), "zeros", name="confidence_sum")
        self.correct_sum = self.add_variable((bins,), "zeros", name="correct_sum")

    def update_state(self, y_true, y_pred, sample_weight=None):
        if self.from_logits:
            logits, _ = logits_if_known(y_pred, self.from_logits)
            y_pred = ops.softmax(ops.cast(logits, self.dtype))
        # Logits in place of probabilities: NaN, rather than a number that means nothing.
        y_true, y_pred, weight = self.samples(y_true, y_pred, sample_weight, probabilities=True)
        confidence = ops.max(y_pred, axis=-1)
        correct = ops.cast(_predicted(y_pred) == y_true, self.dtype)
        bin_ids = ops.cast(ops.ceil(confidence * self.bins), "int32") - 1
        bin_ids = ops.clip(bin_ids, 0, self.bins - 1)
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
            total.numpy() for total in (self.weight_sum, self.confidence_sum, self.correct_sum)
        )
        table = pd.DataFrame({"samples": samples, "confidence": confidence, "accuracy": correct})
        return table.assign(
            confidence=table["confidence"] / table["samples"], accuracy=table["accuracy"] / table["samples"]
        )

    def get_config(self):
        return {"bins": self.bins, "from_logits": self.from_logits, **super().get_config()}


class _Share(_SampleMetric):
    """A weighted mean over samples, of what `values` gives for each and of what weight."""

    summed = False  # whether probabilities are added up, not only compared

    def __init__(self, name, dtype, ignore_class):
        super().__init__(name, dtype, ignore_class)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred, weight = self.samples(y_true, y_pred, sample_weight, probabilities=self.summed)
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
            or `Series` from label to cluster as `cluster_theta` takes it.
        summed: whether the predicted cluster is that of the largest sum of its classes'
            probabilities; else that of the predicted class.
        name: name of the metric.
        dtype: dtype of its sums.
        ignore_class: class id whose samples are left out.

    Call arguments:
        As for `ExpectedCalibrationError`, with the same errors; `y_pred` may be logits, unless `summed`.

    Returns:
        A fraction in [0, 1]; NaN as there.

    Example:
        >>> metric = ClusterAccuracy({"cat": "animal", "dog": "animal", "car": "vehicle"})
        >>> metric.update_state([0, 2], [[0.2, 0.7, 0.1], [0.6, 0.1, 0.3]])
        >>> float(metric.result())
        0.5
    """

    def __init__(self, clusters, summed=False, name="cluster_accuracy", dtype=None, ignore_class=None):
        super().__init__(name, dtype, ignore_class)
        self.clusters, self._ids = _cluster_ids(clusters)
        self.summed = flag(summed, "summed")

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
        return {"clusters": self.clusters, "summed": self.summed, **super().get_config()}


@keras.saving.register_keras_serializable(package="pls_keras")
class ClusterShare(_Share):
    """Share of a model's second guesses that lie in the true class's cluster.

    Second guesses are the classes of ranks 2 to k by probability, whether the first was right or not.

    Args:
        clusters: as for `ClusterAccuracy`.
        k: last rank, from 2 to the number of classes.
        name: name of the metric.
        dtype: dtype of its sums.
        ignore_class: class id whose samples are left out.

    Call arguments:
        As for `ExpectedCalibrationError`, with the same errors; `y_pred` may be logits.

    Returns:
        A fraction in [0, 1]; NaN as there.

    Example:
        >>> metric = ClusterShare(["animal", "animal", "vehicle", "vehicle"], k=3)
        >>> metric.update_state([0], [[0.6, 0.2, 0.15, 0.05]])  # of ranks 2 and 3 one is an animal
        >>> float(metric.result())
        0.5
    """

    def __init__(self, clusters, k=5, name="cluster_share", dtype=None, ignore_class=None):
        super().__init__(name, dtype, ignore_class)
        self.clusters, self._ids = _cluster_ids(clusters)
        self.k = whole_number(k, "k", 2, len(self._ids))

    def values(self, y_true, y_pred):
        _check_classes(y_pred, self._ids, "clusters")
        ids = ops.convert_to_tensor(self._ids)
        guesses = ops.take(ids, ops.top_k(y_pred, self.k)[1][:, 1:], axis=0)
        inside = guesses == ops.expand_dims(ops.take(ids, y_true, axis=0), -1)
        share = ops.mean(ops.cast(inside, self.dtype), axis=-1)
        return share, ops.ones_like(share)

    def get_config(self):
        return {"clusters": self.clusters, "k": self.k, **super().get_config()}


@keras.saving.register_keras_serializable(package="pls_keras")
class MistakeSeverity(_Share):
    """How far mistakes lie from the truth: the mean height of the lowest common ancestor.

    Args:
        distances: a taxonomy as `pls_keras.thetas.class_heights` takes it, whose labels are in the
            order of the classes; or a K×K array or `DataFrame` of distances [true, predicted].
        k: 1 for the mean over the mistakes alone; else the mean over the k most probable classes of
            every sample, from 2 to the number of classes.
        name: name of the metric.
        dtype: dtype of its sums.
        ignore_class: class id whose samples are left out.

    Call arguments:
        As for `ExpectedCalibrationError`, with the same errors; `y_pred` may be logits.

    Returns:
        A mean of distances; 0 if there is no mistake; NaN as there.

    Example:
        >>> metric = MistakeSeverity({"oak": ("plant",), "rose": ("plant",), "cat": ("animal",)})
        >>> metric.update_state([0, 0, 0], [[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.1, 0.2, 0.7]])
        >>> float(metric.result())  # a rose for an oak is 1, a cat 2
        1.5

    Reference:
        Bertinetto et al., "Making Better Mistakes", 2020, section 4.
    """

    def __init__(self, distances, k=1, name="mistake_severity", dtype=None, ignore_class=None):
        super().__init__(name, dtype, ignore_class)
        self.distances = _distances(distances)
        self.k = whole_number(k, "k", 1, len(self.distances))

    def values(self, y_true, y_pred):
        _check_classes(y_pred, self.distances, "distances")
        row = ops.take(ops.convert_to_tensor(self.distances, self.dtype), y_true, axis=0)
        predicted = ops.top_k(y_pred, self.k)[1]
        distance = ops.mean(ops.take_along_axis(row, predicted, axis=-1), axis=-1)
        if self.k > 1:
            return distance, ops.ones_like(distance)
        return distance, ops.cast(predicted[:, 0] != ops.cast(y_true, predicted.dtype), self.dtype)

    def get_config(self):
        return {"distances": self.distances.tolist(), "k": self.k, **super().get_config()}


def _form(y_true, y_pred, weight):
    """Whether labels are "ids" or "shares", by the shapes: None where a compiled step does not know."""
    leading, classes = y_pred[:-1], y_pred[-1] if y_pred else 0
    forms = {(*leading, classes): "shares", (*leading, 1): "ids", leading: "ids"}
    found = [form for shape, form in forms.items() if _agree(y_true, shape)]
    if classes < 2 or not found:
        raise ValueError(
            "y_pred must have shape (..., classes), an output for each of 2 classes or more, and y_true "
            "hold class ids of shape (...) or (..., 1), or one-hot or soft labels of shape (..., classes). "
            f"Received: y_true of shape {y_true}, y_pred of shape {y_pred}."
        )
    axes = zip(weight, (*leading, 1), strict=False)
    if len(weight) > len(y_pred) or any(a not in (1, b, None) and b is not None for a, b in axes):
        raise ValueError(f"sample_weight must have shape {leading}. Received: shape {weight}.")
    return found[0]


def _agree(shape, other):
    return len(shape) == len(other) and all(
        a == b or a is None or b is None for a, b in zip(shape, other, strict=True)
    )


def _are_shares(rows):
    """Whether rows (n, classes) are of numbers in [0, 1] that sum to one."""
    rows = ops.cast(rows, "float32")
    inside = (rows >= -PROBABILITY_TOLERANCE) & (rows <= 1 + PROBABILITY_TOLERANCE)
    return ops.all(inside, axis=-1) & (ops.abs(ops.sum(rows, axis=-1) - 1) <= SUM_TOLERANCE)


def _predicted(y_pred):
    return ops.cast(ops.argmax(y_pred, axis=-1), "int32")


def _cluster_ids(clusters):
    """The names of the clusters of all classes, and a number for each."""
    if hasattr(clusters, "items"):
        clusters = by_label(pairs(clusters, "clusters"))[1]
    clusters = names(clusters, "The names of clusters")
    return list(clusters), cluster_ids(clusters)


def _distances(distances):
    """Distances [true, predicted] of all classes, of a taxonomy or as they are."""
    is_table = isinstance(distances, pd.DataFrame)
    if hasattr(distances, "items") and not is_table:
        return class_heights(distances)[1]
    table = None
    if not isinstance(distances, Theta):  # whose entries say how near classes are
        with contextlib.suppress(TypeError, ValueError):  # text, or rows of different lengths
            table = np.asarray(distances, "float64")
    fits = table is not None and table.ndim == 2 and table.shape[0] == table.shape[1]
    if is_table:
        fits = fits and list(distances.index) == list(distances.columns)
    if not fits or np.diag(table).any() or not np.all((table >= 0) & np.isfinite(table)):
        raise ValueError(
            "distances must be a taxonomy, or a K×K array of finite numbers, none negative, 0 on the "
            f"diagonal. Received: {shown(distances)}"
        )
    return table


def _check_classes(y_pred, known, argument):
    if y_pred.shape[-1] != len(known):
        raise ValueError(
            f"{argument} must name the {y_pred.shape[-1]} classes of y_pred. Received: {len(known)}"
        )
