"""Builders of theta, from labels, their meaning, or data (sections 2.1, 5.2 and 8; and beyond)."""

import numbers
import warnings

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.neighbors import NearestNeighbors

from pls_keras.thetas.checks import (
    by_label,
    class_labels,
    cluster_ids,
    extent,
    flag,
    frame_labels,
    names,
    number,
    pairs,
    shown,
    whole_number,
)
from pls_keras.thetas.embeddings import label_vectors
from pls_keras.thetas.taxonomy import class_heights, class_paths
from pls_keras.thetas.theta import LARGEST_MATRIX, Theta


def uniform_theta(labels_or_classes, include_true=True):
    """Uniform label smoothing (ULS): the same share for every class (eq. 2.2).

    Args:
        labels_or_classes: list of the labels of the classes, or their number.
        include_true: whether the true class gets a share too, 1 / K as in eq. 2.2, or the others
            alone, 1 / (K - 1) as in the paper's introduction.

    Returns:
        `Theta`.

    Raises:
        ValueError: if there are fewer than 2 classes, or if the labels are no list, as a set is none,
            are empty or not all different.

    Example:
        >>> theta = uniform_theta(27)
        >>> target = 0.9 * np.eye(27)[11] + 0.1 * theta.rows([11])[0]  # Figure 1
        >>> print(target[11].round(4), target[0].round(4))
        0.9037 0.0037
    """
    if isinstance(labels_or_classes, numbers.Integral):
        if labels_or_classes < 2:
            raise ValueError(f"Theta needs at least 2 classes. Received: {labels_or_classes}")
        labels_or_classes = range(labels_or_classes)
    labels = class_labels(labels_or_classes)
    include_true = flag(include_true, "include_true")
    provenance = {"builder": "uniform_theta", "include_true": include_true}
    return _grouped(labels, np.zeros(len(labels), "int32"), include_true, provenance)


def cluster_theta(clusters, include_true=False):
    """Cluster label smoothing (CLS): equal shares within the true class's cluster (section 5.2.1).

    Args:
        clusters: mapping or `Series` from each label to the name of its cluster, in the order of the
            classes.
        include_true: whether the true class gets a share too. The paper lists it among its
            neighbours, but speaks of "non-ground truth labels".

    Returns:
        `Theta`. Without `include_true` a label alone in its cluster keeps its own mass, so it is not
        smoothed, and a warning names it.

    Raises:
        ValueError: if there are fewer than 2 classes, if a label has no name of a cluster, or if labels
            are class ids that are not 0, 1, …, in this order.

    Example:
        >>> theta = cluster_theta({"cat": "animal", "car": "vehicle", "dog": "animal", "bus": "vehicle"})
        >>> theta.row("car").to_dict()
        {'cat': 0.0, 'car': 0.0, 'dog': 0.0, 'bus': 1.0}
    """
    labels, clusters = by_label(pairs(clusters, "clusters"))
    clusters = names(clusters, "The names of clusters")
    include_true = flag(include_true, "include_true")
    groups = cluster_ids(clusters)
    alone = [label for label, size in zip(labels, np.bincount(groups)[groups], strict=True) if size == 1]
    if alone and not include_true:
        warnings.warn(
            f"Alone in their clusters, so not smoothed: {alone[:20]}. If that is not meant, put them "
            "into a cluster with others.",
            stacklevel=2,
        )
    provenance = {
        "builder": "cluster_theta",
        "clusters": dict(zip(labels, clusters, strict=True)),
        "include_true": include_true,
    }
    return _grouped(labels, groups, include_true, provenance)


def hierarchy_theta(tree, labels=None, *, beta=1.0, include_true=False):
    """Shares by nearness in a taxonomy: they fall with the height of the lowest common ancestor.

    A class at height h of the true class gets mass in proportion to `exp(-beta·h)`: all classes alike
    for a `beta` of 0, as ULS has it, the nearest alone for a large one, as CLS. In the reference heights
    are fractions of the tree's, so that its beta is this one times the height of the tree.

    Args:
        tree: taxonomy, as `pls_keras.thetas.class_heights` takes it: a mapping from each label to its
            path from the root down, or a nested mapping.
        labels: K labels in the order of the classes; None for the order of the tree.
        beta: how fast the mass falls, at least 0. At 1 WordNet's tree of CIFAR-100 spreads a row over
            17 classes and gives 56 % to those of the same superclass; clusters of one level need more.
        include_true: whether the true class, at height 0, gets a share too, as in the reference.

    Returns:
        `Theta`, with the tree in its provenance.

    Raises:
        ValueError: if `beta` is negative, if there are more than `LARGEST_MATRIX` classes, or if the
            tree is none.

    Example:
        >>> tree = {"plant": {"tree": ["oak", "fir"], "flower": ["rose"]}}
        >>> hierarchy_theta(tree).row("oak").round(2).to_dict()
        {'oak': 0.0, 'fir': 0.73, 'rose': 0.27}

    Reference:
        Bertinetto et al., "Making Better Mistakes", 2020, section 3.2.
    """
    beta, include_true = number(beta, "beta"), flag(include_true, "include_true")
    paths = class_paths(tree, is_ordered=labels is None)
    labels, heights = class_heights(paths, labels)
    # Relative to the nearest, so that no beta underflows.
    nearest = 0 if include_true else np.where(heights, heights, heights.max()).min(axis=1, keepdims=True)
    shares = np.exp(-beta * np.maximum(heights - nearest, 0))
    if not include_true:
        np.fill_diagonal(shares, 0.0)
    provenance = {
        "builder": "hierarchy_theta",
        "beta": beta,
        "include_true": include_true,
        "tree": {label: list(paths[label]) for label in labels},
    }
    return Theta(shares / shares.sum(axis=1, keepdims=True), labels, provenance=provenance)


def semantic_theta(labels, vectors, *, power=1.0, top_k=None, replace=None):
    """Semantic label smoothing (SEMLS): shares by likeness of the labels' meaning (section 5.2.2).

    The similarity of two labels is 1 / d^power, d the Euclidean distance of their word vectors; the
    true class gets none; each row is scaled to sum to one. With many classes the paper's power of 1
    comes close to uniform; a larger power or `top_k` sharpens theta. See `Theta.effective_classes`.

    Args:
        labels: K labels, in the order of the classes. A label of several words, "maple_tree", is the
            mean of its words' vectors.
        vectors: gensim's `KeyedVectors`, as `pls_keras.thetas.load_vectors` returns, another
            mapping from word to vector, or an array of label vectors of shape (K, dimension).
        power: positive exponent of the distance.
        top_k: if given, keep only this many nearest labels for each; needed for very many classes.
        replace: mapping from a word without a vector to the word that stands in for it.

    Returns:
        `Theta`, with the vectors' name and the words replaced in its provenance.

    Raises:
        ValueError: if a word has no vector, if two labels have the same vector, or if an option is
            out of range.

    Example:
        >>> points = {"cat": [0.0, 0.0], "dog": [1.0, 0.0], "car": [0.0, 4.0]}
        >>> semantic_theta(["cat", "dog", "car"], points).row("cat").to_dict()
        {'cat': 0.0, 'dog': 0.8, 'car': 0.2}
    """
    labels = class_labels(labels)
    power = number(power, "power", positive=True)
    if top_k is not None:
        top_k = whole_number(top_k, "top_k", 1, len(labels) - 1)
    elif len(labels) > LARGEST_MATRIX:
        raise ValueError(
            f"{len(labels):,} labels would need as many columns. Give top_k=50, say, to keep the "
            "nearest labels alone."
        )
    points = label_vectors(labels, vectors, replace=replace)
    # Exact, and squares neither overflow nor vanish.
    points = np.ldexp(points, -np.frexp(np.abs(points).max(initial=0.0))[1])
    neighbours = NearestNeighbors(n_neighbors=top_k or len(labels) - 1).fit(points)
    indices = neighbours.kneighbors(return_distance=False)  # of each point to the others
    # The search's own distances lose digits, and are not always 0 between equal vectors.
    distances = np.stack([np.linalg.norm(points - points[column], axis=1) for column in indices.T], axis=1)
    if not distances.all():
        row, column = np.argwhere(distances == 0)[0]
        raise ValueError(
            f"{labels[row]!r} and {labels[indices[row, column]]!r} have the same vector, so no finite "
            "similarity. Let another word stand in for one of them with replace={...}."
        )
    # Relative to the nearest, so that no power overflows.
    similarity = (distances.min(axis=1, keepdims=True) / distances) ** power
    provenance = {
        "builder": "semantic_theta",
        "power": power,
        "top_k": top_k,
        "vectors": getattr(vectors, "name", type(vectors).__name__),
        "dimension": points.shape[1],
        "replace": dict(replace or {}),
    }
    if top_k is not None:
        return Theta._from_neighbours(labels, provenance, indices, similarity)
    matrix = np.zeros((len(labels), len(labels)))
    np.put_along_axis(matrix, indices, similarity, axis=1)
    return Theta(matrix / matrix.sum(axis=1, keepdims=True), labels, provenance=provenance)


def cooccurrence_theta(indicator, labels, *, pseudocount=0.0):
    """Shares by how often labels are given together, from multi-label annotations (section 8).

    Args:
        indicator: 0/1 array, `DataFrame` or SciPy sparse matrix of shape (n, K): which labels each
            sample has.
        labels: K labels, in the order of the columns, whose names they must be if these have names.
        pseudocount: count, at least 0, added to each pair of different labels.

    Returns:
        `Theta`: entry [true, other] is the share of `other` among the labels given with `true`.

    Raises:
        ValueError: if a label never occurs with another and `pseudocount` is 0, or if an argument is
            out of range.

    Example:
        >>> together = [[1, 1, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]]
        >>> cooccurrence_theta(together, ["joy", "love", "fear"]).row("love").round(2).to_dict()
        {'joy': 0.67, 'love': 0.0, 'fear': 0.33}
    """
    columns = indicator.columns if isinstance(indicator, pd.DataFrame) else pd.RangeIndex(0)
    labels = frame_labels(columns, labels, "indicator")
    given = indicator
    try:
        indicator = scipy.sparse.csr_array(indicator, dtype="float64")
        fits = indicator.shape[1:] == (len(labels),) and np.isin(indicator.data, (0, 1)).all()
    except (TypeError, ValueError):  # text, or rows of different lengths
        fits = False
    if not fits:
        raise ValueError(
            f"indicator must hold 0 and 1 in a column for each of the {len(labels)} labels, a row a "
            f"sample. Received: {shown(given)}"
        )
    counts = (indicator.T @ indicator).toarray()
    provenance = {"builder": "cooccurrence_theta", "samples": indicator.shape[0]}
    return _from_counts(counts, labels, pseudocount, provenance, "Never given together with another label")


def confusion_theta(y_true, y_pred, labels, *, pseudocount=0.1):
    """Shares by how often a model takes one class for another, on samples it was not trained on.

    Args:
        y_true: true class ids of shape (n,) or (n, 1).
        y_pred: the model's predictions for them: probabilities of shape (n, K), or class ids of
            shape (n,) or (n, 1). Take validation samples: a model seldom mistakes what it was trained
            on, and test samples must not decide how it is trained.
        labels: K labels, in the order of the classes.
        pseudocount: count, at least 0, added to each pair of different classes; small, as a class is
            mistaken for few others and each of them seldom.

    Returns:
        `Theta`: entry [true, other] is the share of `other` in what the model gave the classes beside
        `true`, for samples of `true`. The row of a class without samples is uniform, and a warning names
        it.

    Raises:
        ValueError: if a class is never mistaken and `pseudocount` is 0, or if an argument is out of
            range.

    Example:
        >>> guessed = [0, 1, 1, 2, 2, 1]
        >>> theta = confusion_theta([0, 0, 0, 0, 1, 2], guessed, ["cat", "dog", "fox"], pseudocount=1.0)
        >>> theta.row("cat").to_dict()
        {'cat': 0.0, 'dog': 0.6, 'fox': 0.4}
    """
    columns = y_pred.columns if isinstance(y_pred, pd.DataFrame) else pd.RangeIndex(0)
    labels = frame_labels(columns, labels, "y_pred")
    y_true, y_pred = (y[:, 0] if y.shape[1:] == (1,) else y for y in map(np.asarray, (y_true, y_pred)))
    are_ids = y_pred.ndim == 1
    fits = y_true.ndim == 1 and y_pred.shape in (y_true.shape, (len(y_true), len(labels)))
    fits = fits and all(np.isin(ids, range(len(labels))).all() for ids in (y_true, y_pred)[: 1 + are_ids])
    if not fits or y_pred.dtype.kind not in "biuf":
        from_ids = "Ids that count from 1 need y - 1; of text take its place in labels, labels.index(y)."
        advice = "Of one-hot labels take y_true.argmax(axis=1)." if y_true.ndim == 2 else from_ids
        raise ValueError(
            f"y_true must hold class ids in [0, {len(labels)}), shape (n,), and y_pred as many ids or "
            f"probabilities, shape (n, {len(labels)}). {advice} Received: y_true {extent(y_true)}, and "
            f"y_pred {extent(y_pred)}"
        )
    y_true = y_true.astype(int)
    if not are_ids and not (np.all(y_pred >= 0) and np.allclose(y_pred.sum(axis=1), 1, atol=1e-2)):
        raise ValueError("y_pred must hold probabilities that sum to one in each row; take their softmax.")
    predictions = np.eye(len(labels))[y_pred.astype(int)] if are_ids else y_pred.astype("float64")
    absent = [labels[i] for i in np.setdiff1d(range(len(labels)), y_true)]
    if absent and pseudocount:
        warnings.warn(f"No samples of {absent[:20]}: what they are taken for is uniform.", stacklevel=2)
    counts = np.zeros((len(labels), len(labels)))
    np.add.at(counts, y_true, predictions)
    provenance = {"builder": "confusion_theta", "samples": len(y_true), "probabilities": not are_ids}
    return _from_counts(counts, labels, pseudocount, provenance, "Never taken for another class")


def _from_counts(counts, labels, pseudocount, provenance, complaint):
    """Theta in proportion to counts (classes, classes) off the diagonal, and a count added to each."""
    pseudocount = number(pseudocount, "pseudocount")
    counts = counts + pseudocount
    np.fill_diagonal(counts, 0.0)
    lonely = [label for label, count in zip(labels, counts.sum(axis=1), strict=True) if not count]
    if lonely:
        raise ValueError(
            f"{complaint}: {lonely}. Leave them out, or give pseudocount=0.1, say, which spreads their "
            "mass evenly."
        )
    provenance = {**provenance, "pseudocount": pseudocount}
    return Theta(counts / counts.sum(axis=1, keepdims=True), labels, provenance=provenance)


def _grouped(labels, groups, include_true, provenance):
    """Equal shares within each group; a class alone in its group keeps its own mass."""
    sizes = np.bincount(groups)[groups]
    alone = sizes == 1
    group_weight = np.where(alone, 1.0, 1 / np.maximum(sizes - (not include_true), 1))
    own = np.arange(len(groups))[:, None]
    return Theta._from_parts(
        labels,
        provenance,
        groups=groups,
        group_weight=group_weight,
        indices=own[:, : 0 if include_true else 1],
        values=np.where(alone, 0.0, -group_weight)[:, None][:, : 0 if include_true else 1],
    )
