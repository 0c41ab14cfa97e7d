"""Preferential label smoothing for Keras.

The house has five floors, and an import goes down, never up (`tests/test_house.py` holds it to that):

    5  cli          what one types: a module a command, and `main`
    4  experiments  runs of the paper: specs → sweeps → runner → store → results; benchmarks
    4  labs         what the notebooks alone call
    3  reports      kept results in, a table or a figure out: the paper's numbers, tests, plots
    2  losses       the equation, `preferential_crossentropy`, and the Keras loss around it
    2  callbacks    what is measured, or learned of theta, while a model trains
    2  metrics      what is measured on its predictions
    1  thetas       `Theta`, its builders, taxonomies, words to vectors, the thetas that come along
    1  models       ResNets and LSTMs
    1  data         images, texts, and the names of their classes

Where a new thing goes: a theta's builder into `thetas/builders.py`; a loss into `losses.py`, as a theta
wherever it can be one; a data set into `data/`, its classes into `data/labels.py`; the runs of a table into
`experiments/sweeps.py`, what the table shows into `REPORTS` of `reports/tables.py`; a command into a module
of `cli/` with `add_arguments`, and its name into `COMMANDS` of `cli/__init__.py`.
"""

from pls_keras import (
    _start,  # noqa: F401, before all else
    models,  # noqa: F401, so that saved models find their layers
)
from pls_keras._version import __version__
from pls_keras.callbacks import GeneralizationError, GradientNorm, OnlineTheta
from pls_keras.losses import PreferentialSmoothingLoss, preferential_crossentropy
from pls_keras.metrics import ClusterAccuracy, ClusterShare, ExpectedCalibrationError, MistakeSeverity
from pls_keras.thetas import (
    Theta,
    cluster_theta,
    confusion_theta,
    cooccurrence_theta,
    hierarchy_theta,
    semantic_theta,
    uniform_theta,
)

__all__ = [
    "ClusterAccuracy",
    "ClusterShare",
    "ExpectedCalibrationError",
    "GeneralizationError",
    "GradientNorm",
    "MistakeSeverity",
    "OnlineTheta",
    "PreferentialSmoothingLoss",
    "Theta",
    "__version__",
    "cluster_theta",
    "confusion_theta",
    "cooccurrence_theta",
    "hierarchy_theta",
    "preferential_crossentropy",
    "semantic_theta",
    "uniform_theta",
]
