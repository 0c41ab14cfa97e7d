"""Labels to vectors of their words."""

import re

import numpy as np

# What separates the words of a label: first what always does, then what may.
PARTS = (r"[\s_/]+", r"-+|(?<=[a-z])(?=[A-Z])")


def label_vectors(labels, vectors, *, replace=None):
    """One vector for each label: its own, or the mean of its words' vectors.

    A label is looked up whole, as written and then in lower case; then its parts between white space,
    underscores and slashes; and a part that has no vector, by its own parts between hyphens and at
    capitals: "maple_tree", "maple/tree", "MapleTree" and "T-shirt" all find their words.

    Args:
        labels: K labels.
        vectors: `KeyedVectors` or another mapping from word to vector, or an array of shape
            (K, dimension) that is returned as it is.
        replace: mapping from a word without a vector to the word that stands in for it.

    Returns:
        Array of shape (K, dimension), float64.

    Raises:
        ValueError: if words have no vector, or labels one that is not finite; it names them all.

    Example:
        >>> label_vectors(["maple_tree", "tree"], {"maple": [2.0, 0.0], "tree": [0.0, 4.0]}).tolist()
        [[1.0, 2.0], [0.0, 4.0]]
    """
    if not hasattr(vectors, "__contains__") or isinstance(vectors, (np.ndarray, list, tuple)):
        points = np.asarray(vectors, "float64")
        if points.ndim != 2 or len(points) != len(labels):
            raise ValueError(
                f"vectors must have shape ({len(labels)}, dimension), a row for each label. "
                f"Received: shape {points.shape}"
            )
    else:
        words = [_words(label.strip("_ "), vectors, replace or {}, PARTS) for label in labels]
        missing = sorted({w for row in words for w in row if w not in vectors})
        if missing:
            raise ValueError(
                f"No vector for: {', '.join(missing)}. Say which words stand in for them: "
                f"replace={{{missing[0]!r}: 'another word', …}}"
            )
        points = np.array([np.mean([vectors[w] for w in row], axis=0) for row in words], "float64")
    strange = [label for label, row in zip(labels, points, strict=True) if not np.isfinite(row).all()]
    if strange:
        raise ValueError(f"Vectors must be finite. Received NaN or infinity for: {', '.join(strange)}")
    return points


def _words(text, vectors, replace, parts):
    """The words of a label, or of a part of one, that have a vector or a stand-in; else as they are."""
    for word in (text, text.lower()):
        if word in replace:
            word = replace[word]
            return [word if word in vectors else word.lower()]
        if word in vectors:
            return [word]
    for i, separators in enumerate(parts):
        found = [part for part in re.split(separators, text) if part]
        if len(found) > 1:
            return [word for part in found for word in _words(part, vectors, replace, parts[i:])]
    return [text.lower()]
