"""Finished runs on disk: whole or not there at all, so that a sweep may be stopped at any moment."""

import contextlib
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import tempfile

import filelock
import keras
import numpy as np
import pandas as pd

from pls_keras.experiments.hardware import describe_hardware
from pls_keras.thetas import Theta

SPARE = 2**20  # bytes that a store must have room for
PACKAGES = ("pls_keras", "keras", "tensorflow", "jax", "torch", "numpy", "scikit-learn")


class RunStore:
    """A folder with a folder for each finished run, named by its key.

    Each holds `history.csv`, a row an epoch; `guesses.npz`, the most probable classes of each test sample
    and their probabilities; `theta.json`, where theta was learned; and `result.json`: the run's record, its
    scores, the seconds it took, and the packages and hardware it ran on.

    Args:
        folder: path; made when the first run is written.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def __contains__(self, run):
        return (self.folder / run.key).is_dir()

    def check(self):
        """Raise an `OSError` that says so, before hours of training, if nothing can be written here."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder, buffering=0) as file:
                file.write(bytes(SPARE))
        except OSError as error:
            raise self._unwritable(error) from error

    @contextlib.contextmanager
    def lock(self):
        """Keep other sweeps out, in this process or another, until the context ends.

        Raises:
            OSError: if another sweep is at work here.
        """
        try:
            with filelock.FileLock(self.folder / ".lock", blocking=False):
                yield
        except filelock.Timeout as error:
            raise OSError(
                f"Another sweep is at work in the store {str(self.folder)!r}. Start this one when that has "
                "ended, or give another --store."
            ) from error

    def write(self, run, history, result):
        """Store a run; one that is already there stays.

        Args:
            run: a `Run`.
            history: `DataFrame` with a row an epoch.
            result: dict of plain values with a dict `scores`, and perhaps a dict of arrays `guesses` and
                a `theta`, as `runner.execute` returns.
        """
        files = {"guesses", "theta"}
        plain = {name: value for name, value in result.items() if name not in files}
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = pathlib.Path(tempfile.mkdtemp(prefix=".draft-", dir=self.folder))
        try:
            history.to_csv(draft / "history.csv", index=False)
            if result.get("guesses") is not None:
                np.savez_compressed(draft / "guesses.npz", **result["guesses"])
            if result.get("theta") is not None:
                result["theta"].save(draft / "theta.json")
            text = json.dumps({"run": run.record(), **plain}, indent=1)
            (draft / "result.json").write_text(text + "\n", encoding="utf-8")
            draft.chmod(0o755)
            for path in (*draft.iterdir(), draft):
                _sync(path)
            draft.rename(self.folder / run.key)
            _sync(self.folder)
        except OSError as error:
            if run not in self:
                raise self._unwritable(error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def results(self, runs):
        """Scores of those of `runs` that are finished: a `DataFrame` with a row a run and metric.

        Columns: the run's key and record, with the precision and way of compiling that "auto" chose;
        `seconds`, `hardware`, `backend`; then `metric` and `value`.
        """
        rows = []
        for run in runs:
            if run in self:
                result = self._result(run)
                known = {"key": run.key, **result["run"]}
                known["classes"] = "+".join(known.get("classes", ()))
                known |= {name: result[name] for name in ("seconds", "hardware", "backend")}
                known |= result.get("way", {})
                rows += [{**known, "metric": m, "value": v} for m, v in result["scores"].items()]
        return pd.DataFrame(rows)

    def histories(self, runs):
        """Curves of those of `runs` that are finished: a `DataFrame` with a row a run and epoch."""
        return self._tables(runs, lambda key, _: pd.read_csv(self.folder / key / "history.csv"))

    def reliability(self, runs):
        """Bins of the reliability diagrams of those of `runs` that are finished, a row a run and bin."""
        return self._tables(
            runs, lambda _, result: pd.DataFrame(result["reliability"]).rename_axis("bin").reset_index()
        )

    def guesses(self, run):
        """The most probable classes of each test sample of a run, in their order.

        Returns:
            Dict of `classes` (n, 5), integer, and their `probabilities` (n, 5), float16; None where the
            run is not finished, or was stored without.
        """
        file = self.folder / run.key / "guesses.npz"
        if not file.is_file():
            return None
        with np.load(file) as arrays:
            return dict(arrays)

    def theta(self, run):
        """The theta that a run learned; None where it learned none."""
        file = self.folder / run.key / "theta.json"
        return Theta.load(file) if file.is_file() else None

    def _tables(self, runs, read):
        """One table of all finished runs, each with its plain fields and hardware."""
        parts = []
        for run in runs:
            if run in self:
                result = self._result(run)
                fields = {n: v for n, v in run.record().items() if not isinstance(v, (tuple, dict))}
                where = {name: result[name] for name in ("hardware", "backend")} | result.get("way", {})
                parts.append(read(run.key, result).assign(key=run.key, **fields | where))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _unwritable(self, error):
        return OSError(
            f"The store {str(self.folder)!r} cannot be written: {error.strerror or error}. Finished runs "
            "are safe. Make room for it, or give another --store."
        )

    def _result(self, run):
        file = self.folder / run.key / "result.json"
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{file} is missing or cut short ({error}). Remove the folder {file.parent}; the next "
                "sweep trains that run anew."
            ) from error


def _sync(path):
    """Have the disk keep a file or a folder, whatever happens to the machine next."""
    if path.is_dir() and os.name == "nt":  # which has no such call for folders
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def describe_environment():
    """Where this process runs: packages and their versions, backend and hardware."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "backend": keras.backend.backend(),
        "hardware": describe_hardware(),
        "python": platform.python_version(),
        "packages": versions,
    }
