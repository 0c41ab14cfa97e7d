"""The thetas that come with the package: what each is built from."""

import json
import pathlib
import warnings

from pls_keras.data import labels
from pls_keras.thetas.builders import cluster_theta, hierarchy_theta, semantic_theta

SEMANTIC = {
    "cifar10-semls": labels.CIFAR10_LABELS,
    "cifar100-semls": tuple(labels.CIFAR100_SUPERCLASSES),
    "digits-semls": labels.DIGIT_LABELS,
    "isear-semls": labels.ISEAR_LABELS,
    "tec-semls": labels.TEC_LABELS,
    "cbet-semls": labels.CBET_LABELS,
    "goemotions-semls": labels.GOEMOTIONS_LABELS,
    "sample-semls": labels.ISEAR_LABELS,
}
CLUSTERS = {
    "cifar10-cls": labels.CIFAR10_KINDS,
    "cifar100-cls": labels.CIFAR100_SUPERCLASSES,
    "digits-cls": labels.DIGIT_LOOKALIKES,
    "goemotions-cls": labels.GOEMOTIONS_EKMAN,
}
# WordNet's taxonomy of the classes, as `wordnet_paths` gives it for `labels.CIFAR10_SYNSETS` and the like.
WORDNET = json.loads((pathlib.Path(labels.__file__).parent / "wordnet.json").read_text(encoding="utf-8"))
TREES = {
    "cifar10-hierarchy": WORDNET["cifar10"],
    "cifar100-hierarchy": WORDNET["cifar100"],
    "goemotions-hierarchy": labels.GOEMOTIONS_TREE,
}


def build_shipped_thetas(vectors):
    """Build all thetas that come with the package.

    Args:
        vectors: `KeyedVectors`, as `pls_keras.thetas.load_vectors` returns.

    Returns:
        Dict from name to `Theta`.
    """
    with warnings.catch_warnings():  # "disgust" is alone in Ekman's group of GoEmotions
        warnings.simplefilter("ignore", UserWarning)
        thetas = {name: cluster_theta(clusters) for name, clusters in CLUSTERS.items()}
    thetas |= {name: hierarchy_theta(tree) for name, tree in TREES.items()}
    for name, names in SEMANTIC.items():
        thetas[name] = semantic_theta(names, vectors)
    return thetas
