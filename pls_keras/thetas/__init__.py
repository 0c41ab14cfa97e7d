"""Theta, its builders, and label words as vectors; the thetas that come with the package lie beside."""

from pls_keras.thetas.builders import (
    cluster_theta,
    confusion_theta,
    cooccurrence_theta,
    hierarchy_theta,
    semantic_theta,
    uniform_theta,
)
from pls_keras.thetas.embeddings import label_vectors
from pls_keras.thetas.taxonomy import class_heights, wordnet_paths
from pls_keras.thetas.theta import Theta
from pls_keras.thetas.vector_files import load_vectors

__all__ = [
    "Theta",
    "class_heights",
    "cluster_theta",
    "confusion_theta",
    "cooccurrence_theta",
    "hierarchy_theta",
    "label_vectors",
    "load_vectors",
    "semantic_theta",
    "uniform_theta",
    "wordnet_paths",
]
