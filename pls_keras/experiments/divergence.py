"""Runs that diverge: a training loss, or a gradient, that is no finite number any more."""

import keras
import numpy as np

# XLA on a processor may take NaN for zero where it fuses ReLU with a mean: the loss is finite then.
MEASURED = ["loss", "grad_norm"]
KEPT = ("epoch", "steps", "seconds")  # of the curves of an epoch that has no scores


class DivergenceError(Exception):
    """A run has diverged.

    Attributes:
        curves: its `DataFrame`, a row an epoch, the last without scores.
    """

    def __init__(self, curves):
        super().__init__("the training loss or its gradient is no finite number")
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
    """Ends a training after an epoch whose loss or gradient is NaN or infinite: no later one is different.

    It comes after `GradientNorm` in the list of callbacks.
    """

    def on_epoch_end(self, epoch, logs=None):
        if not np.isfinite([logs[name] for name in MEASURED]).all():
            self.model.stop_training = True


def raise_if_diverged(curves):
    """Raise `DivergenceError` if in the curves' last epoch the loss or its gradient is not finite."""
    if not np.isfinite(curves[MEASURED].iloc[-1].astype(float)).all():
        raise DivergenceError(curves)
