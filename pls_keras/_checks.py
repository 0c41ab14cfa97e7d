"""What losses and metrics check of labels and predictions."""

import keras
import numpy as np
from keras import ops

# Keras has no public name for whether a step is asked for the shapes of its results alone.
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

from pls_keras.thetas.checks import whole_number

PROBABILITY_TOLERANCE = 1e-3  # a 16-bit softmax may overshoot 1 by this much
SUM_TOLERANCE = 1e-2  # soft labels in a 16-bit float sum to one within this


def class_to_ignore(ignore_class):
    """A class id, which need be none of the classes, or None."""
    return None if ignore_class is None else whole_number(ignore_class, "ignore_class", -(2**31), 2**31 - 1)


def refuse_text(y_true):
    """Before Keras takes text for numbers: "Invalid dtype: str32"."""
    dtype = str(getattr(y_true, "dtype", ""))
    is_text = dtype == "object" or "str" in dtype or dtype[1:2] in ("U", "S")
    if is_text or any(isinstance(value, (str, bytes)) for value in keras.tree.flatten(y_true)):
        raise ValueError(
            "y_true must hold class ids, and holds text or objects. Make ids of labels in the order of the "
            "model's outputs: np.array([theta.labels.index(label) for label in y])."
        )


def raise_unless(condition, message):
    """In eager execution, raise if `condition` is not true everywhere. Do nothing in a compiled step."""
    if in_symbolic_scope():  # there PyTorch's backend calls with ones, which are no labels
        return
    try:
        holds = bool(ops.all(condition))
    except TypeError:  # a symbolic tensor has no truth value
        return
    if not holds:
        first = np.argwhere(~np.atleast_1d(ops.convert_to_numpy(condition)))[0].tolist()
        raise ValueError(f"{message} The first that is not: sample {', '.join(map(str, first))}.")
