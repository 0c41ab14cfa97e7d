"""Cross-entropy against preferentially smoothed targets: the function and the Keras loss."""

import functools
import numbers
import typing
import warnings

import keras
import numpy as np
from keras import ops

# Keras has no public name for the mask that `ignore_class` hands to the reduction.
from keras.src.backend.common.masking import set_keras_mask

from pls_keras._checks import (
    PROBABILITY_TOLERANCE,
    SUM_TOLERANCE,
    class_to_ignore,
    raise_unless,
    refuse_text,
)
from pls_keras.thetas import Theta
from pls_keras.thetas.checks import flag

LOWEST_LOGIT = -3e38  # below the largest: stands for -inf, as zero times it is zero, not NaN


def preferential_crossentropy(
    y_true, y_pred, theta, *, smoothing_ratio=0.1, from_logits=False, ignore_class=None
):
    """Cross-entropy of predictions against preferentially smoothed labels.

    With true class `t`, the target (eq. 3.1) is `q = (1 - ε)·onehot(t) + ε·theta[t]` and the loss is
    `-Σ_k q_k log p_k`, which equals `(1 - ε)·CE(onehot(t), p) + ε·CE(theta[t], p)` (eq. 3.2). Its
    gradient with respect to the logits is `p - q`. Soft labels `y` give
    `q = (1 - ε)·y + ε·(y @ theta)`. The computation is in float32, or in float64 if `y_pred` is.

    Args:
        y_true: class ids of shape `(...)` or `(..., 1)`, or one-hot or soft labels of shape
            `(..., classes)`. The rank tells which.
        y_pred: predictions of shape `(..., classes)`: probabilities, or logits if `from_logits`.
        theta: `Theta`, or anything its constructor takes: a row-stochastic matrix of shape
            `(classes, classes)`, entry [true, other].
        smoothing_ratio: ε in [0, 1), the mass taken from the true class.
        from_logits: whether `y_pred` holds logits. Probabilities taken for logits are not noticed, but
            for the output of a softmax on TensorFlow, with a warning.
        ignore_class: class id whose samples count neither in the loss nor in its mean, such as 255
            in segmentation maps. With class ids only.

    Returns:
        Losses of shape `(...)`, in nats. Where a compiled step meets a class id that is none of
        `0, …, classes - 1`, soft labels that do not sum to one, or a probability outside [0, 1], the
        loss is NaN.

    Raises:
        ValueError: if shapes and number of classes disagree, if ε is outside [0, 1), if labels are
            text, or, in eager execution, if labels or a probability are out of range.

    Example:
        >>> theta = np.array([[0.0, 0.8, 0.2], [0.5, 0.0, 0.5], [0.1, 0.9, 0.0]])
        >>> loss = preferential_crossentropy([0], [[0.7, 0.2, 0.1]], theta, smoothing_ratio=0.1)
        >>> target = 0.9 * np.array([1.0, 0.0, 0.0]) + 0.1 * theta[0]
        >>> bool(np.isclose(loss[0], -np.sum(target * np.log([0.7, 0.2, 0.1]))))
        True

    Reference:
        Goyal et al., "Exploring Preferential Label Smoothing for Neural Network based Classifiers",
        2023, section 3.
    """
    refuse_text(y_true)
    theta = theta if isinstance(theta, Theta) else Theta(theta)
    smoothing_ratio = _checked_smoothing_ratio(smoothing_ratio)
    table = target_table(theta, smoothing_ratio) if theta.is_dense else None
    from_logits = flag(from_logits, "from_logits")
    ignore_class = class_to_ignore(ignore_class)
    return _crossentropy(y_true, y_pred, theta, smoothing_ratio, table, from_logits, ignore_class)


def _crossentropy(y_true, y_pred, theta, smoothing_ratio, table, from_logits, ignore_class):
    """`preferential_crossentropy` with the `table` of targets (`target_table`); None: theta in parts."""
    y_pred, from_logits = logits_if_known(y_pred, from_logits)
    dtype = "float64" if keras.backend.standardize_dtype(y_pred.dtype) == "float64" else "float32"
    y_pred = ops.cast(y_pred, dtype)
    y_true = ops.convert_to_tensor(y_true)
    _check_shapes(y_true, y_pred, theta)

    in_range = None
    if not from_logits:
        in_range = ops.all(
            (y_pred >= -PROBABILITY_TOLERANCE) & (y_pred <= 1 + PROBABILITY_TOLERANCE), axis=-1
        )
        raise_unless(
            in_range,
            "y_pred must hold probabilities in [0, 1] when from_logits=False, but values lie "
            "outside. If the model ends without a softmax, pass from_logits=True.",
        )

    same_rank = len(y_true.shape) == len(y_pred.shape)
    if same_rank and y_true.shape[-1] != 1:
        if ignore_class is not None:
            raise ValueError(
                f"ignore_class={ignore_class} needs class ids, but y_true of shape "
                f"{tuple(y_true.shape)} holds one-hot or soft labels. Give those samples a "
                "sample_weight of zero instead."
            )
        labels = ops.cast(y_true, dtype)
        known = ops.abs(ops.sum(labels, axis=-1) - 1) <= SUM_TOLERANCE
        known = known & ops.all(labels >= -PROBABILITY_TOLERANCE, axis=-1)
        raise_unless(
            known,
            "y_true must hold one-hot or soft labels: shares of at least 0 that sum to one. Several ones "
            "in a row are several labels, which this loss has no use for; divide them by their number.",
        )
        targets = _soft_targets(labels, theta, smoothing_ratio, table)
        if from_logits:
            y_pred = _below_the_largest(y_pred)
            # Not `maximum`, whose gradient at NaN is zero.
            y_pred = ops.where(y_pred < LOWEST_LOGIT, LOWEST_LOGIT, y_pred)
        losses = ops.categorical_crossentropy(targets, y_pred, from_logits=from_logits)
        return ops.where(known if in_range is None else known & in_range, losses, np.nan)

    labels = ops.squeeze(y_true, axis=-1) if same_rank else y_true
    counted = None
    if ignore_class is not None:
        counted = ops.not_equal(labels, ignore_class)
        labels = ops.where(counted, labels, 0)
        # Whatever the others hold, NaN included, their gradient is zero.
        y_pred = ops.where(ops.expand_dims(counted, -1), y_pred, 1.0)
    row = ops.mod(ops.cast(labels, "int32"), theta.classes)
    known = ops.equal(ops.cast(row, labels.dtype), labels)  # floats too, as Keras hands labels to a loss
    raise_unless(
        known,
        f"y_true must hold class ids in [0, {theta.classes}), whole numbers, the classes of theta. "
        "Labels that count from 1 need y - 1.",
    )
    targets = _Targets(row, theta, smoothing_ratio, table, dtype)
    if from_logits:
        losses = _crossentropy_of_logits(targets, y_pred, known)
    else:
        losses = ops.where(known & in_range, -targets.dot(_log(y_pred)), np.nan)
    if counted is not None:
        losses = ops.where(counted, losses, 0.0)
        set_keras_mask(losses, counted)
    return losses


@keras.saving.register_keras_serializable(package="pls_keras")
class PreferentialSmoothingLoss(keras.losses.Loss):
    """Keras loss of preferential label smoothing (section 3); see `preferential_crossentropy`.

    NoLS, ULS, CLS and SEMLS are four settings of it: `smoothing_ratio=0`, `uniform_theta`,
    `cluster_theta` and `semantic_theta`. The loss is saved with the model, theta included.

    In eager execution a class id or probability out of range is an error; in a compiled step it
    makes the loss NaN, since a check there would cost speed. `model.compile(run_eagerly=True)` then
    shows the error.

    Args:
        theta: `Theta` or row-stochastic matrix of shape `(classes, classes)`, entry [true, other].
        smoothing_ratio: ε in [0, 1), the mass taken from the true class.
        from_logits: whether predictions are logits, the outputs of a model without a softmax.
        ignore_class: class id whose samples are left out.
        **kwargs: `name`, `reduction` and `dtype` of `keras.losses.Loss`. A 16-bit dtype is raised
            to float32: class ids and small masses do not survive it.

    Example:
        >>> from pls_keras import uniform_theta
        >>> loss = PreferentialSmoothingLoss(uniform_theta(3), smoothing_ratio=0.1)
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        >>> model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"])
    """

    def __init__(self, theta, smoothing_ratio=0.1, from_logits=False, ignore_class=None, **kwargs):
        kwargs.setdefault("name", "preferential_smoothing_loss")
        super().__init__(**kwargs)
        if self.dtype != "float64":
            super().__init__(**{**kwargs, "dtype": "float32"})
        self.theta = theta if isinstance(theta, Theta) else Theta(theta)
        self.smoothing_ratio = _checked_smoothing_ratio(smoothing_ratio)
        self.from_logits = flag(from_logits, "from_logits")
        self.ignore_class = class_to_ignore(ignore_class)
        self.observer = None  # sees each batch and gives the table of targets (`OnlineTheta`)

    def __call__(self, y_true, y_pred, sample_weight=None):
        refuse_text(y_true)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true, y_pred):
        if self.observer is not None:
            table = self.observer(y_true, y_pred)
        elif self.theta.is_dense:
            table = target_table(self.theta, self.smoothing_ratio)
        else:
            table = None
        return _crossentropy(
            y_true, y_pred, self.theta, self.smoothing_ratio, table, self.from_logits, self.ignore_class
        )

    def get_config(self):
        return {
            **super().get_config(),
            "theta": keras.saving.serialize_keras_object(self.theta),
            "smoothing_ratio": self.smoothing_ratio,
            "from_logits": self.from_logits,
            "ignore_class": self.ignore_class,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config):
        theta = keras.saving.deserialize_keras_object(config["theta"])
        return cls(**{**config, "theta": theta})


def _crossentropy_of_logits(targets, logits, known):
    """`logsumexp(z) - ⟨q, z⟩`, with the gradient `p - q` made of the same exponentials.

    Both are NaN for samples that are not `known`.
    """

    @ops.custom_gradient
    def losses(logits):
        # Before any dot product: at a common offset of 1e4 the sum would lose three digits.
        shifted = ops.maximum(_below_the_largest(logits), LOWEST_LOGIT)
        exponentials = ops.exp(shifted)
        total = ops.where(known, ops.sum(exponentials, axis=-1), np.nan)

        def gradient(*args, upstream=None):
            upstream = args[-1] if upstream is None else upstream
            p = exponentials / ops.expand_dims(total, -1)
            return ops.expand_dims(upstream, -1) * targets.subtracted_from(p)

        return ops.log(total) - targets.dot(shifted), gradient

    return losses(logits)


def _below_the_largest(logits):
    """Logits less the largest of each sample. Their softmax is the same."""
    initial = -np.inf if 0 in logits.shape else None  # a batch of none has no largest
    return logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True, initial=initial))


def _log(probabilities):
    """Logarithms as Keras takes them: of probabilities that sum to one, none of them 0."""
    smallest = keras.config.epsilon()
    probabilities = probabilities / ops.sum(probabilities, axis=-1, keepdims=True)
    return ops.log(ops.clip(probabilities, smallest, 1 - smallest))


class _Targets:
    """Targets q (..., classes) of class ids (...): (1 - ε)·onehot + ε·theta[ids] (eq. 3.1).

    They are the sum of two parts, of which one may be missing: `spread` (..., classes), made element by
    element, so that a compiler makes one loop of it and what it meets; and `values` at a few `columns` of
    each sample, which are never made a matrix.
    """

    def __init__(self, ids, theta, smoothing_ratio, table, dtype):
        def rows(table, kind=dtype):
            return _rows(ops.convert_to_tensor(table, kind), ids)

        self.spread = self.columns = None
        if table is not None:
            self.spread = rows(table)
            return
        parts = _target_parts(theta, smoothing_ratio)
        if parts.shared is not None:
            self.spread = rows(parts.shared)
            if parts.groups.any():
                groups = ops.convert_to_tensor(parts.groups)
                self.spread = ops.where(
                    groups == rows(parts.groups[:, None], groups.dtype), self.spread, 0.0
                )
        if parts.own is not None:
            own = ops.arange(theta.classes, dtype="int32") == ops.expand_dims(ids, -1)
            self.spread = ops.where(own, rows(parts.own), self.spread)
        else:
            self.columns = rows(parts.columns, "int32")
            self.values = rows(parts.values)

    def dot(self, scores):
        """⟨q, scores⟩ of scores (..., classes)."""
        spread = 0.0 if self.spread is None else ops.sum(self.spread * scores, axis=-1)
        if self.columns is None:
            return spread
        return spread + ops.sum(self.values * ops.take_along_axis(scores, self.columns, axis=-1), axis=-1)

    def subtracted_from(self, p):
        """P - q of p (..., classes)."""
        if self.spread is not None:
            p = p - self.spread
        if self.columns is None:
            return p
        changed = ops.take_along_axis(p, self.columns, axis=-1) - self.values
        columns = ops.reshape(self.columns, (-1, self.columns.shape[-1]))
        flat = ops.reshape(p, (-1, p.shape[-1]))
        samples = ops.broadcast_to(ops.expand_dims(ops.arange(ops.shape(flat)[0]), 1), ops.shape(columns))
        positions = ops.reshape(ops.stack([samples, columns], axis=-1), (-1, 2))
        return ops.reshape(ops.scatter_update(flat, positions, ops.reshape(changed, (-1,))), ops.shape(p))


def _rows(table, ids):
    """Rows of a table, of ids that are none below zero, which `ops.take` looks for on TensorFlow."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.gather(table, ids)
    return ops.take(table, ids, axis=0)


class _Parts(typing.NamedTuple):
    """What the targets of a theta in parts are made of, a row a class.

    Attributes:
        groups: group of each class, (classes,), in as few bytes as hold it: each sample reads them all.
        shared: what each class of the group gets, (classes, 1); None for nothing.
        own: what the class itself gets in all, (classes, 1), where no other gets more than its group does.
        columns: elsewhere classes (classes, n), different in a row, that get something beside.
        values: how much, (classes, n).
    """

    groups: np.ndarray
    shared: np.ndarray | None
    own: np.ndarray | None
    columns: np.ndarray
    values: np.ndarray


@functools.lru_cache(maxsize=16)
def target_table(theta, smoothing_ratio):
    """Targets of every class, a row each: (1 - ε)·I + ε·theta, shape (classes, classes)."""
    return (1 - smoothing_ratio) * np.eye(theta.classes) + smoothing_ratio * np.asarray(theta)


@functools.lru_cache(maxsize=16)
def _target_parts(theta, smoothing_ratio):
    """`_Parts` of a theta that is never made dense and of any that equals it, whatever it is made of."""
    own = np.arange(theta.classes)[:, None]
    columns = _distinct_columns(theta, own)
    values = np.where(columns == own, 1 - smoothing_ratio, 0.0)
    for index, value in zip(theta.indices.T, theta.values.T, strict=True):
        values += np.where(columns == index[:, None], smoothing_ratio * value[:, None], 0.0)
    shared = smoothing_ratio * theta.group_weight[:, None] if theta.group_weight.any() else None
    is_own_alone = shared is not None and np.array_equal(columns, own)
    return _Parts(
        groups=theta.groups.astype(np.min_scalar_type(-1 - theta.groups.max())),
        shared=shared,
        own=shared + values if is_own_alone else None,
        columns=columns,
        values=values,
    )


def _distinct_columns(theta, own):
    """The class itself and those listed for it, each once; others, of value 0, fill a row up."""
    if (theta.indices == own).any(axis=1).all():
        columns = theta.indices.copy()
    else:
        columns = np.concatenate([own, theta.indices], axis=1)
    width = columns.shape[1]
    for j in range(1, width):
        repeated = (columns[:, :j] == columns[:, j : j + 1]).any(axis=1)
        for spare in range(width + 1):
            if not repeated.any():
                break
            free = repeated & (columns != spare).all(axis=1)
            columns[free, j] = spare
            repeated &= ~free
    return columns


def _soft_targets(labels, theta, smoothing_ratio, table):
    """Targets (..., classes) of soft labels (..., classes): (1 - ε)·y + ε·(y @ theta)."""
    if table is not None:
        return ops.matmul(labels, ops.convert_to_tensor(table, labels.dtype))
    flat = ops.transpose(ops.reshape(labels, (-1, theta.classes)))  # (classes, n)
    weighted = flat * ops.convert_to_tensor(theta.group_weight[:, None], labels.dtype)
    shared = ops.segment_sum(weighted, theta.groups, num_segments=int(theta.groups.max()) + 1)
    smooth = ops.take(shared, theta.groups, axis=0)
    for indices, values in zip(theta.indices.T, theta.values.T, strict=True):
        smooth = smooth + ops.segment_sum(
            flat * ops.convert_to_tensor(values[:, None], labels.dtype),
            np.ascontiguousarray(indices),
            num_segments=theta.classes,
        )
    smooth = ops.reshape(ops.transpose(smooth), ops.shape(labels))
    return (1 - smoothing_ratio) * labels + smoothing_ratio * smooth


def logits_if_known(y_pred, from_logits):
    """The logits that Keras attaches to the output of a softmax, where it could, else `y_pred`."""
    logits = getattr(y_pred, "_keras_logits", None)
    if logits is None:
        return ops.convert_to_tensor(y_pred), from_logits
    if from_logits:
        warnings.warn(
            "from_logits=True, but y_pred comes out of a softmax. Its logits are used; pass "
            "from_logits=False, or end the model without an activation.",
            stacklevel=3,
        )
    return logits, True


def _checked_smoothing_ratio(smoothing_ratio):
    if not isinstance(smoothing_ratio, numbers.Real) or not 0 <= smoothing_ratio < 1:
        raise ValueError(
            f"smoothing_ratio must lie in [0, 1), 0.1 for instance. Received: {smoothing_ratio!r}"
        )
    return float(smoothing_ratio)


def _check_shapes(y_true, y_pred, theta):
    labels, predictions = tuple(y_true.shape), tuple(y_pred.shape)
    if predictions and predictions[-1] == 1:
        raise ValueError(
            "y_pred has one output, and this loss needs one for each class. For two classes end the model "
            "with Dense(2, 'softmax') in place of Dense(1, 'sigmoid'); class ids 0 and 1 stay as they are."
        )
    if not predictions or predictions[-1] not in (None, theta.classes):
        raise ValueError(
            f"theta has {theta.classes} classes, so y_pred must have shape (..., {theta.classes}). "
            f"Received: y_pred of shape {predictions}. Build theta from the labels of this model, "
            "in the order of its outputs."
        )
    same_rank = len(labels) == len(predictions) and labels[-1] in (None, 1, theta.classes)
    if not (same_rank or len(labels) == len(predictions) - 1):
        raise ValueError(
            "y_true must hold class ids of shape (...) or (..., 1), or one-hot or soft labels of "
            f"shape (..., {theta.classes}), for y_pred of shape {predictions}. Received: y_true of "
            f"shape {labels}."
        )
