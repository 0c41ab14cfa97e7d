"""Metrics that Keras lacks.

The cross-entropy with unsmoothed labels, in which methods compare, is Keras's own
`keras.metrics.SparseCategoricalCrossentropy(name="nll")`.
"""

import keras
import numpy as np
import pandas as pd
from keras import ops

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
        y_pred = ops.cast(y_pred, self.dtype)
        y_true = ops.convert_to_tensor(y_true)
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] != 1:
            y_true = ops.argmax(y_true, axis=-1)
        y_true = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        confidence = ops.reshape(ops.max(y_pred, axis=-1), (-1,))
        predicted = ops.reshape(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), (-1,))
        correct = ops.cast(predicted == y_true, self.dtype)
        weight = ops.ones_like(confidence)
        if sample_weight is not None:
            weight = weight * ops.reshape(ops.cast(sample_weight, self.dtype), (-1,))
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
