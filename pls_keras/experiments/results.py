"""Finished runs of a store into the CSVs that reports read, and which runs these hold."""

import numpy as np
import pandas as pd

from pls_keras.experiments.store import describe_environment
from pls_keras.experiments.sweeps import CURVES, IMAGE_SCALES, SCALES, TEXTS, candidate_names, sweep_runs
from pls_keras.reports.tables import read_kept

SHARED = {"sharpened": "table1"}  # some runs of the first are runs of the second
GUESSED = ("reduced", "paper")  # scales at which guesses are kept: all 10,000 test images of CIFAR
GUESSES = "table1_{scale}_guesses.npz"
CURVE_COLUMNS = [
    "key",
    "dataset",
    "model",
    "width",
    "method",
    "theta",
    "smoothing_ratio",
    "learning_rate",
    "seed",
    "scale",
    "train_images",
    "batch_size",
    "precision",
    "jit_compile",
    "hardware",
    "backend",
    "epoch",
    "seconds",
    "grad_norm",
    "grad_norm_std",
    "grad_norm_max",
    "train_accuracy",
    "test_accuracy",
    "generalization_error",
    "train_loss",
    "nll",
    "test_loss",
    "grad_norm_label",
    "grad_norm_smoothing",
    "grad_cosine",
]
BIN_COLUMNS = [
    "key",
    "dataset",
    "model",
    "method",
    "seed",
    "scale",
    "bin",
    "samples",
    "confidence",
    "accuracy",
]


def merge_results(store, sweep, folder, vectors=None):
    """Add a store's finished runs to the kept results.

    Args:
        store: `RunStore`.
        sweep: a name of `SWEEPS`.
        folder: where the CSVs lie: `table1.csv` and `table1_reliability.csv`, `figure3.csv`, …; and
            `table1_reduced_guesses.npz`, which `read_guesses` reads.
        vectors: word vectors of the runs on texts, as given to them.
    """
    scales = [scale for scale in SCALES if scale not in IMAGE_SCALES or sweep not in TEXTS]
    runs = [run for scale in scales for run in sweep_runs(sweep, scale, vectors)]
    curves = sweep in CURVES
    tables = {sweep: (store.histories if curves else store.results)(runs)}
    if sweep in ("table1", "sharpened"):
        tables[f"{sweep}_reliability"] = store.reliability(runs)
    for name, table in tables.items():
        if table.empty:
            continue
        if sweep == "tuning":  # candidates are compared as methods are
            table["method"] = table["key"].map(candidate_names(vectors))
        row = ["key", "epoch"] if curves else ["key", "bin"] if name != sweep else ["key", "metric"]
        columns = CURVE_COLUMNS if curves else BIN_COLUMNS if name != sweep else list(table)
        kept, table = read_results(folder, name, runs), table.reindex(columns=columns)
        if kept is not None:
            kept = kept[~_replaced(kept, table, runs)]
        merged = pd.concat([kept, table], ignore_index=True).drop_duplicates(row, keep="last")
        # In the order of the sweep, and then what it no longer has.
        position = {run.key: i for i, run in enumerate(runs)}
        merged = merged.sort_values(
            "key", kind="stable", key=lambda keys: keys.map(position).fillna(len(runs))
        )
        folder.mkdir(parents=True, exist_ok=True)
        merged.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    if sweep == "table1":
        _merge_guesses(store, [run for run in runs if run.scale in GUESSED], folder)


def _merge_guesses(store, runs, folder):
    """Keep the guesses of a store's runs: 70 kB each."""
    for scale in GUESSED:
        kept = read_guesses(folder, scale)
        come = {run.key: store.guesses(run) for run in runs if run in store and run.scale == scale}
        for key, guesses in come.items():
            if guesses is not None:
                kept[key] = guesses["classes"], guesses["probabilities"].astype("float32")
        if kept:
            classes, probabilities = zip(*kept.values(), strict=True)
            # Rank by rank, which is a third smaller when compressed.
            np.savez_compressed(
                folder / GUESSES.format(scale=scale),
                keys=np.array(list(kept)),
                classes=np.stack(classes).transpose(0, 2, 1),
                probabilities=np.round(255 * np.stack(probabilities)).astype("uint8").transpose(0, 2, 1),
            )


def read_guesses(folder, scale):
    """The five most probable classes of each test image, as kept of Table 1's runs.

    Args:
        folder: of the kept results.
        scale: "reduced" or "paper".

    Returns:
        Mapping from a run's key to its classes (10000, 5), integer, the most probable first, and their
        probabilities (10000, 5), float32, to the next 255th. Empty where none are kept.
    """
    file = folder / GUESSES.format(scale=scale)
    if not file.is_file():
        return {}
    with np.load(file) as arrays:
        keys, classes, p = (arrays[name] for name in ("keys", "classes", "probabilities"))
    p = p.transpose(0, 2, 1).astype("float32") / 255
    return dict(zip(keys.tolist(), zip(classes.transpose(0, 2, 1), p, strict=True), strict=True))


def _replaced(kept, table, runs):
    """Which rows are of runs that a sweep no longer has, since their theta was built anew, say.

    They stay as long as nothing of the same scale, data, classes, model and method has come.
    """
    fields = ["scale", "dataset", "model", "method", *({"classes"} & set(kept))]
    come = pd.MultiIndex.from_frame(kept[fields]).isin(pd.MultiIndex.from_frame(table[fields]))
    return come & ~kept["key"].isin([run.key for run in runs])


def read_results(folder, name, runs):
    """The kept CSV `name`, and the rows of these runs that a sweep which shares them has kept.

    None where there is neither.
    """
    names = [name.replace(sweep, other) for sweep, other in SHARED.items() if name.startswith(sweep)]
    tables = []
    for csv in (folder / f"{kept}.csv" for kept in (*names, name)):
        if csv.is_file():
            table = read_kept(csv)
            table = table if csv.stem == name else table[table["key"].isin([run.key for run in runs])]
            tables.append(table.fillna({"classes": ""}) if "classes" in table else table)
    return pd.concat(tables, ignore_index=True) if tables else None


def kept_runs(folder, sweep, runs):
    """Which runs the kept results hold for a comparison, so that they need no training.

    Methods are compared on one kind of machine. Of a seed or fold that was begun on another kind
    than this one, and is not whole there, no run counts.

    Args:
        folder: of the kept results.
        sweep: a name of `SWEEPS`.
        runs: the sweep's runs, of one scale.

    Returns:
        List of runs. None where the folder holds no results of the sweep.
    """
    kept = read_results(folder, sweep, runs)
    if kept is None:
        return None
    rows = kept.drop_duplicates("key")
    machines = dict(zip(rows["key"], zip(rows["hardware"], rows["backend"], strict=True), strict=True))
    here = tuple(describe_environment()[name] for name in ("hardware", "backend"))
    names = ("dataset", "model", "classes", "sample", "fold", "seed")
    compared = {}
    for run in runs:
        compared.setdefault(tuple(getattr(run, name, None) for name in names), []).append(run)
    done = []
    for together in compared.values():
        whole = len({machines.get(run.key) for run in together}) == 1
        done += [run for run in together if run.key in machines and (whole or machines[run.key] == here)]
    return done
