"""Runs that diverge: a training loss that is no finite number any more."""

import keras
import numpy as np

KEPT = ("epoch", "steps", "seconds")  # of the curves of an epoch that has no scores


class DivergenceError(Exception):
    """A run has diverged.

    Attributes:
        curves: its `DataFrame`, a row an epoch, the last without scores.
    """

    def __init__(self, curves):
        super().__init__("the training loss is no finite number")
        self.curves = curves.copy()
        self.curves.loc[self.curves.index[-1], [name for name in curves if name not in KEPT]] = np.nan

    @property
    def result(self):
        """What is kept of such a run: the epoch at which it diverged, and no other score."""
        return {
            "scores": {"diverged": len(self.curves)},
            "reliability": {},
            "guesses": None,
            "theta": None,
        }


class StopAtDivergence(keras.callbacks.Callback):
    """Ends a training after an epoch whose loss is NaN or infinite: no later one is different."""

    def on_epoch_end(self, epoch, logs=None):
        if not np.isfinite(logs["loss"]):
            self.model.stop_training = True


def raise_if_diverged(curves):
    """Raise `DivergenceError` if the last epoch of the curves has no finite loss."""
    if not np.isfinite(curves["loss"].iloc[-1]):
        raise DivergenceError(curves)
