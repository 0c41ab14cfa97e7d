"""What may be given as labels, clusters and options: the checks that thetas and metrics share."""

import collections
import collections.abc
import math
import numbers

import numpy as np
import pandas as pd

SHOWN = 200  # characters of what was given that a message repeats


def names(values, what):
    """A list of names as a tuple of text.

    Args:
        values: list, array, index or `Series` of text or whole numbers.
        what: what they are, the subject of the error's sentence.

    Raises:
        ValueError: if they come in no order (a set), are no list (text, a mapping), or if one is missing
            (None, NaN, empty text) or is neither text nor a whole number.
    """
    no_list = (str, bytes, set, frozenset, collections.abc.Mapping)
    if isinstance(values, no_list) or not hasattr(values, "__iter__") or getattr(values, "ndim", 1) != 1:
        raise ValueError(f"{what} must be a list, in the order of the classes. Received: {shown(values)}")
    values = list(values)
    strange = [v for v in values if not isinstance(v, (str, numbers.Integral)) or not str(v).strip()]
    if strange:
        raise ValueError(
            f"{what} must be text or whole numbers, none empty or missing. Received: {shown(strange)}"
        )
    return tuple(map(str, values))


def class_labels(labels, classes=None):
    """Labels of so many classes, at least 2, as a tuple of text: `names` that differ from each other."""
    labels = names(labels, "labels")
    if len(labels) != classes if classes else len(labels) < 2:
        raise ValueError(
            f"labels must name {classes or 'at least 2'} classes. Received: {len(labels)} label"
            f"{'' if len(labels) == 1 else 's'}, {shown(list(labels))}"
        )
    twice = [label for label, count in collections.Counter(labels).items() if count > 1]
    if twice:
        raise ValueError(f"labels must differ from each other. Received twice: {twice[:20]}")
    return labels


def frame_labels(index, labels, what):
    """Labels of a frame's index or columns, which `labels` may repeat but not change."""
    if labels is None:
        return class_labels(index)
    labels = class_labels(labels)
    if not isinstance(index, pd.RangeIndex) and class_labels(index) != labels:
        raise ValueError(
            f"labels must be those of {what}, in its order: {shown(list(index))}. Received: "
            f"{shown(list(labels))}. To give it other labels, pass {what}.to_numpy()."
        )
    return labels


def pairs(mapping, what):
    """The keys and values of a mapping or `Series`."""
    if not hasattr(mapping, "items") or isinstance(mapping, pd.DataFrame):
        raise ValueError(f"{what} must be a mapping, a dict or a Series. Received: {shown(mapping)}")
    return list(mapping.items())


def by_label(pairs, *, is_ordered=True):
    """Labels, as `class_labels`, and values of pairs of both; `is_ordered`: as the model's outputs are."""
    labels = [label for label, _ in pairs]
    if is_ordered:
        _check_order(labels)
    return class_labels(labels), [value for _, value in pairs]


def _check_order(labels):
    """Class ids must come in their order; who has them as keys may not think of one."""
    ids, texts = list(map(str, range(len(labels)))), list(map(str, labels))
    are_ids = any(isinstance(label, numbers.Integral) for label in labels) or set(texts) == set(ids)
    if are_ids and texts != ids:
        raise ValueError(
            "Class ids as labels must be 0, 1, …, in this order, that of the model's outputs. Received: "
            f"{shown(list(labels))}. Sort them, or give text as labels."
        )


def cluster_ids(names):
    """A number for each name, the same for equal ones: 0, 1, … in the order in which they come."""
    return pd.factorize(np.array(names, object))[0].astype("int32")


def flag(value, what):
    """True or False, and no text that counts as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{what} must be True or False. Received: {shown(value)}")
    return bool(value)


def whole_number(value, what, low, high):
    """A whole number in [low, high]."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or not low <= value <= high:
        raise ValueError(f"{what} must lie in [{low}, {high}], a whole number. Received: {shown(value)}")
    return int(value)


def number(value, what, *, positive=False):
    """A finite number of at least 0, or above it."""
    is_number = isinstance(value, numbers.Real) and math.isfinite(value)
    if not is_number or value < 0 or (positive and value == 0):
        rule = "above 0" if positive else "of at least 0"
        raise ValueError(f"{what} must be a finite number {rule}. Received: {shown(value)}")
    return float(value)


def extent(array):
    """The shape of an array and what it holds, in a few words."""
    if array.dtype.kind in "biuf" and array.size:
        return f"of shape {array.shape}, {array.min()} to {array.max()}"
    return f"of shape {array.shape}, {shown(array.ravel()[:5].tolist())}"


def shown(value):
    """The beginning of what was given."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"
