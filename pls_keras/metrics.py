"""Metrics that Keras lacks.

The cross-entropy with unsmoothed labels, in which methods compare, is Keras's own
`keras.metrics.SparseCategoricalCrossentropy(name="nll")`.
"""

import keras
from keras import ops


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
        y_true: class ids of shape (n,) or (n, 1), or one-hot labels of shape (n, classes).
        y_pred: probabilities of shape (n, classes).
        sample_weight: optional weights of shape (n,).

    Returns:
        A fraction in [0, 1].

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
        self.weights_sum = self.add_variable((bins,), "zeros", name="weights_sum")
        self.confidence_sum = self.add_variable((bins,), "zeros", name="confidence_sum")
        self.correct_sum = self.add_variable((bins,), "zeros", name="correct_sum")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.reshape(ops.cast(y_pred, self.dtype), (-1, y_pred.shape[-1]))
        y_true = ops.convert_to_tensor(y_true)
        if len(y_true.shape) > 1 and y_true.shape[-1] != 1:
            y_true = ops.argmax(y_true, axis=-1)
        y_true = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        confidence = ops.max(y_pred, axis=-1)
        correct = ops.cast(ops.cast(ops.argmax(y_pred, axis=-1), "int32") == y_true, self.dtype)
        weight = ops.ones_like(confidence)
        if sample_weight is not None:
            weight = ops.reshape(ops.cast(sample_weight, self.dtype), (-1,))
        bin_ids = ops.cast(ops.ceil(confidence * self.bins), "int32") - 1
        members = ops.one_hot(ops.clip(bin_ids, 0, self.bins - 1), self.bins, dtype=self.dtype)
        self.weights_sum.assign_add(ops.matmul(weight, members))
        self.confidence_sum.assign_add(ops.matmul(weight * confidence, members))
        self.correct_sum.assign_add(ops.matmul(weight * correct, members))

    def result(self):
        gaps = ops.abs(self.correct_sum - self.confidence_sum)
        return ops.divide_no_nan(ops.sum(gaps), ops.sum(self.weights_sum))

    def get_config(self):
        return {"bins": self.bins, "name": self.name, "dtype": self.dtype}
