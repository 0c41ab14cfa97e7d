"""Label words to vectors, through gensim."""

import pathlib
import re

import numpy as np


def load_vectors(source):
    """Word vectors from a file or from gensim's collection.

    Args:
        source: path of a text file of GloVe or word2vec, of a word2vec ".bin", or of what
            `KeyedVectors.save` wrote (".kv"); or a name that `gensim.downloader` knows, such as
            "glove-wiki-gigaword-300", which is downloaded once.

    Returns:
        gensim's `KeyedVectors`; its `name` goes into the provenance of a theta.

    Raises:
        FileNotFoundError: if there is no such file, and the name cannot be had from gensim either.
    """
    import gensim.downloader  # takes a second, and few programs load vectors
    from gensim.models import KeyedVectors

    path = pathlib.Path(source)
    if path.suffix == ".kv" and path.is_file():
        vectors = KeyedVectors.load(str(path))
    elif path.suffix == ".bin" and path.is_file():
        vectors = KeyedVectors.load_word2vec_format(path, binary=True)
    elif path.is_file():
        with path.open(encoding="utf-8") as lines:
            has_header = re.fullmatch(r"\d+ \d+\s*", lines.readline()) is not None
        vectors = KeyedVectors.load_word2vec_format(path, no_header=not has_header)
    else:
        try:
            vectors = gensim.downloader.load(str(source))
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f"No file {str(source)!r}, and gensim.downloader could not load vectors of this name "
                f"({error}). Give the path of a GloVe or word2vec file, or with a network a name "
                "such as 'glove-wiki-gigaword-300'."
            ) from error
    vectors.name = path.stem if path.is_file() else str(source)
    return vectors


def label_vectors(labels, vectors, *, replace=None):
    """One vector for each label: the mean of its words' vectors.

    Words are what white space and underscores separate; each is looked up as written, then in lower
    case.

    Args:
        labels: K labels.
        vectors: `KeyedVectors` or another mapping from word to vector, or an array of shape
            (K, dimension) that is returned as it is.
        replace: mapping from a word without a vector to the word that stands in for it.

    Returns:
        Array of shape (K, dimension), float64.

    Raises:
        ValueError: if words have no vector; it names them all.

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
        return points
    replace = replace or {}
    words = [re.split(r"[\s_]+", label.strip("_ ")) for label in labels]
    words = [[replace.get(w, replace.get(w.lower(), w)) for w in row] for row in words]
    words = [[w if w in vectors else w.lower() for w in row] for row in words]
    missing = sorted({w for row in words for w in row if w not in vectors})
    if missing:
        raise ValueError(
            f"No vector for: {', '.join(missing)}. Say which words stand in for them: "
            f"replace={{{missing[0]!r}: 'another word', …}}"
        )
    return np.array([np.mean([vectors[w] for w in row], axis=0) for row in words], "float64")
