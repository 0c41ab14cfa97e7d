"""Kept measurements of `bench`, as Markdown."""

import json

import pandas as pd

from pls_keras.reports.comparison import markdown

MEASURED_WITH = ("keras", "tensorflow", "jax", "torch")


def speed_text(what, folder):
    """What `bench` has measured of one thing, a table for each machine.

    Args:
        what: name of a bench, such as "loss".
        folder: of the files that `bench --json` wrote.

    Returns:
        Text, medians where a machine has several files; None where nothing is kept.
    """
    machines = {}
    for path in sorted(folder.glob("*.json")):
        measured = json.loads(path.read_text(encoding="utf-8"))
        if table := measured["tables"].get(what):
            machines.setdefault(_machine(measured), []).append(pd.DataFrame(table))
    texts = [
        f"{machine}:\n\n{markdown(_medians(pd.concat(tables)))}" for machine, tables in machines.items()
    ]
    return "\n\n".join(texts) or None


def _machine(measured):
    versions = measured["packages"]
    packages = [f"{name} {versions[name]}" for name in MEASURED_WITH if name in versions]
    return f"{measured['hardware']}, {', '.join(packages)}"


def _medians(table):
    """Medians of the floats for each combination of the other columns."""
    measured = table.select_dtypes("float").columns
    others = table.columns.difference(measured, sort=False).tolist()
    if others:
        medians = table.groupby(others, sort=False).median().reset_index()
    else:
        medians = table.median().to_frame().T
    medians[measured] = medians[measured].map(_rounded)
    return medians.rename(columns=lambda name: name.replace("_", " "))


def _rounded(value):
    if pd.isna(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"
