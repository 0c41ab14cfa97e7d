"""The thetas that come with the package: what each is built from."""

import warnings

from pls_keras.data import labels
from pls_keras.thetas.builders import cluster_theta, semantic_theta

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
# Words that small sets of vectors lack. Vectors that have a word use it.
STAND_INS = {
    "annoyance": "frustration",
    "disapproval": "criticism",
    "disgust": "contempt",
    "mower": "lawn",
    "nervousness": "nervous",
    "remorse": "regret",
    "thankfulness": "gratitude",
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
    for name, names in SEMANTIC.items():
        words = {word for label in names for word in label.split("_")}
        replace = {
            word: stand_in for word, stand_in in STAND_INS.items() if word in words and word not in vectors
        }
        thetas[name] = semantic_theta(names, vectors, replace=replace)
    return thetas
