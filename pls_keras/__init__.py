"""Preferential label smoothing for Keras."""

from pls_keras._version import __version__
from pls_keras.builders import (
    cluster_theta,
    cooccurrence_theta,
    semantic_theta,
    uniform_theta,
)
from pls_keras.callbacks import GeneralizationError, GradientNorm
from pls_keras.losses import PreferentialSmoothingLoss, preferential_crossentropy
from pls_keras.metrics import ExpectedCalibrationError
from pls_keras.theta import Theta

__all__ = [
    "ExpectedCalibrationError",
    "GeneralizationError",
    "GradientNorm",
    "PreferentialSmoothingLoss",
    "Theta",
    "__version__",
    "cluster_theta",
    "cooccurrence_theta",
    "preferential_crossentropy",
    "semantic_theta",
    "uniform_theta",
]
