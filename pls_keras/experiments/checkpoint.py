"""Resuming a run from the end of its last whole epoch."""

import os
import pathlib
import shutil

import keras
import numpy as np
import pandas as pd

from pls_keras.thetas import Theta

DRAWS_PER_EPOCH = 2**16  # more than there are steps


class EpochCheckpoint(keras.callbacks.Callback):
    """Leaves weights, optimizer state and curves after each epoch, and takes them up again.

    Unlike Keras's `BackupAndRestore` it also keeps the curves and the best weights, and a run may be
    killed at any moment: the weights are written whole or not at all, and all else goes by the steps
    that stand in them; so does a theta that is learned while training. Keras does not save the state of
    random layers; here it is set from their seed and the epoch.

    Args:
        folder: where to keep them; None to keep the curves in memory alone.
        model: model compiled with a `PreferentialSmoothingLoss`. What the folder holds is loaded into
            it at once.
        monitor: key in `logs` whose least value marks the best weights; None for the last ones.

    Attributes:
        epoch: epochs that are done.
        curves: `DataFrame` with a row for each of them, `epoch` counted from 1.
    """

    def __init__(self, folder, model, monitor=None):
        super().__init__()
        self.monitor = monitor
        self.folder = None if folder is None else pathlib.Path(folder)
        self.curves = pd.DataFrame()
        self._best_weights = None
        if self.folder and self._file("latest").is_file():
            self.set_model(model)
            model.optimizer.build(model.trainable_variables)
            model.load_weights(self._file("latest"))
            curves = pd.read_csv(self.folder / "curves.csv")
            # A row may be one epoch ahead of the weights.
            steps = int(model.optimizer.iterations)
            self.curves = curves[curves["steps"] <= steps].reset_index(drop=True)
            if self._theta_file(steps).is_file():
                model.loss.theta = Theta.load(self._theta_file(steps))

    @property
    def epoch(self):
        return len(self.curves)

    def on_epoch_begin(self, epoch, logs=None):
        for variable in self.model.variables:
            if variable.path.endswith("seed_generator_state"):  # a seed and a count of draws
                seed = int(keras.ops.convert_to_numpy(variable)[0])
                variable.assign([seed, epoch * DRAWS_PER_EPOCH])

    def on_epoch_end(self, epoch, logs=None):
        steps = int(self.model.optimizer.iterations)
        row = pd.DataFrame([{"epoch": epoch + 1, "steps": steps, **logs}])
        self.curves = pd.concat([self.curves, row], ignore_index=True)
        is_best = self.monitor and self.best_epoch == epoch + 1
        if self.folder is None:
            if is_best:
                self._best_weights = self.model.get_weights()
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / "draft.csv"
        self.curves.to_csv(draft, index=False)
        os.replace(draft, self.folder / "curves.csv")
        if is_best:
            self._save("best")
        outdated = {*self.folder.glob("theta-*.json")} - {self._theta_file(steps)}
        if self.model.loss.observer is not None:  # theta is learned
            self.model.loss.theta.save(self._theta_file(steps))
        self._save("latest")
        for file in outdated:
            file.unlink()

    @property
    def best_epoch(self):
        """The epoch of the best weights, the last if nothing is monitored, counted from 1."""
        if self.monitor is None:
            return self.epoch
        return int(np.argmin(self.curves[self.monitor].fillna(np.inf))) + 1

    def restore_best(self):
        """Load the best weights into the model."""
        if self.monitor is None:
            return
        if self.folder:
            self.model.load_weights(self._file("best"))
        else:
            self.model.set_weights(self._best_weights)

    def delete(self):
        """Remove the folder: the run is done."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _theta_file(self, steps):
        return self.folder / f"theta-{steps}.json"

    def _file(self, name):
        return self.folder / f"{name}.weights.h5"

    def _save(self, name):
        draft = self._file("draft")
        self.model.save_weights(draft)
        os.replace(draft, self._file(name))
