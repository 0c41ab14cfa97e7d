"""Labels to vectors of their words."""

import os
import re

import numpy as np
import pandas as pd

from pls_keras.thetas.checks import names, shown

# What separates the words of a label: first what always does; then what may, as "t-shirt" and "u.s." are
# words too: marks, a plus between letters, the place before a capital.
PARTS = (
    r"[\s_/]+",
    r"[-‐‑–—.,:;|()\[\]]+|(?<=\w)\++(?=\w)|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])",
)


def label_vectors(labels, vectors, *, replace=None):
    """One vector for each label: its own, or the mean of its words' vectors.

    A label is looked up whole, as written and in lower case, with spaces and with underscores; then its
    parts between white space, underscores and slashes; and a part that has no vector, by its own parts
    between marks and at capitals: "maple_tree", "maple, tree", "MapleTree" and "T-shirt" all find their
    words.

    Args:
        labels: list of K labels.
        vectors: `KeyedVectors` or another mapping from word to vector; a `DataFrame` with a row a word;
            or an array of shape (K, dimension) that is returned as it is.
        replace: mapping from a word without a vector to the word that stands in for it.

    Returns:
        Array of shape (K, dimension), float64.

    Raises:
        ValueError: if words have no vector, labels no word or a vector that is not finite, or if
            `replace` has words that no label has: it names them all; or if `vectors` are none of these.

    Example:
        >>> label_vectors(["maple_tree", "tree"], {"maple": [2.0, 0.0], "tree": [0.0, 4.0]}).tolist()
        [[1.0, 2.0], [0.0, 4.0]]
    """
    labels = names(labels, "labels")
    if isinstance(vectors, pd.DataFrame):
        vectors = dict(zip(vectors.index, vectors.to_numpy(), strict=True))
    is_array = hasattr(vectors, "__array__") or isinstance(vectors, (list, tuple))
    if isinstance(vectors, (str, os.PathLike)) or not (is_array or hasattr(vectors, "__getitem__")):
        raise ValueError(
            "vectors must be a mapping from word to vector, or an array. Received: "
            f"{shown(vectors)}. A file of vectors is read by pls_keras.thetas.load_vectors(path)."
        )
    points = vectors if is_array else _mean_vectors(labels, vectors, replace or {})
    try:
        points = np.array(points, "float64")
    except (TypeError, ValueError):
        points = None  # no numbers, or not as many for each
    if points is None or points.ndim != 2 or len(points) != len(labels):
        raise ValueError(
            f"vectors must have shape ({len(labels)}, dimension), a row for each label, or as many numbers "
            f"for each word. Received: {shown(vectors) if points is None else f'shape {points.shape}'}"
        )
    strange = [label for label, row in zip(labels, points, strict=True) if not np.isfinite(row).all()]
    if strange:
        raise ValueError(f"Vectors must be finite. Received NaN or infinity for: {', '.join(strange)}")
    return points


def _mean_vectors(labels, vectors, replace):
    """The mean of the vectors of each label's words."""
    words = [_words(label.strip("_ "), vectors, replace, PARTS) for label in labels]
    without = [label for label, row in zip(labels, words, strict=True) if not row]
    if without:
        raise ValueError(f"Labels must hold words. Received: {without}")
    unused = set(replace).difference(*words)
    if unused:
        raise ValueError(f"replace has words that are looked up for no label: {sorted(unused)}")
    missing = {}
    for label, row in zip(labels, words, strict=True):
        for i, word in enumerate(row):
            if (found := replace.get(word, word)) not in vectors:
                found = found.lower()
            if found not in vectors:
                part = "" if found in labels else f" (of {label!r})"
                part = f" (in place of {word!r})" if word in replace else part
                missing[word if word in replace else found] = found + part
            row[i] = found
    if missing:
        word = min(missing)
        raise ValueError(
            f"No vector for: {', '.join(missing[word] for word in sorted(missing))}. Say which words stand "
            f"in for them: replace={{{word!r}: 'another word', …}}, or in a command --replace "
            f"'{word}=another word'."
        )
    try:
        return [np.mean([vectors[word] for word in row], axis=0) for row in words]
    except (TypeError, ValueError):
        return None


def _words(text, vectors, replace, parts):
    """The words of a label or of a part, as they have a vector or a stand-in; else in lower case."""
    for form in (text, text.replace("_", " "), text.replace(" ", "_")):
        for word in (form, form.lower()):
            if word in replace or word in vectors:
                return [word]
    for i, separators in enumerate(parts):
        found = [part for part in re.split(separators, text) if part]
        if found != [text]:
            return [word for part in found for word in _words(part, vectors, replace, parts[i:])]
    return [text.lower()]
