"""Every comparison with no smoothing in one table: effect, interval, significance, beside the paper's."""

import pandas as pd

from pls_keras.reports.comparison import BASELINE, SIGNIFICANCE, adjust_by_holm, markdown
from pls_keras.reports.paper import DATASETS
from pls_keras.reports.tables import (
    COLUMNS,
    REPORTS,
    compare_with_paper,
    load_results,
    mistakes_of,
    results_of_curves,
)

TABLES = ("table1", "table2", "table3", "goemotions", "figure3", "figure4", "figure5")


def effects_text(folder, scales):
    """What the kept results say of each method, at the largest scale of each table, as Markdown.

    Args:
        folder: of the kept results.
        scales: names of scales, the largest first.

    Returns:
        Text, or None where nothing is kept. Holm's correction is over the methods of a row.
    """
    parts = []
    for name in TABLES:
        for scale in scales:
            try:
                results = load_results(name, scale, folder)
            except FileNotFoundError:
                continue
            report = REPORTS[name]
            results = results_of_curves(results) if report.curve else results
            metrics = (report.metric, *(set(report.others) & {"ece"}), *mistakes_of(results, report))
            parts += [_effects(results, report, metric, scale) for metric in metrics]
            break
    return markdown(pd.concat(parts)) if parts else None


def _effects(results, report, metric, scale):
    table = compare_with_paper(results, report, metric=metric)
    title, _, decimals = COLUMNS[metric]
    table["adjusted"] = table.groupby("row", sort=False)["p"].transform(adjust_by_holm)
    nols = table["row"].map(table[table["method"] == BASELINE].set_index("row")["paper_mean"])
    stated = table["paper_mean"] - nols if metric == report.metric else nols * float("nan")
    data = {"learning rate": f"{DATASETS.get(results['dataset'].iloc[0])}, learning rate"}
    rows = table["row"].replace(data, regex=True)
    shown = pd.DataFrame({"scale": scale, "score": title, "data": rows, "method": table["method"]})
    shown["from NoLS"] = _written(table["difference"], f"{{:+.{decimals}f}}")
    shown["± (95 %)"] = _written(table["margin"], f"{{:.{decimals}f}}")
    shown["the paper's"] = _written(stated, "{:+.2f}")
    shown["n"] = table["n"].astype(int)
    shown["effect, std. dev."] = _written(table["effect"], "{:+.1f}")
    shown["p after Holm"] = _written(table["adjusted"], "{:.3f}").mask(table["adjusted"] < 0.001, "< 0.001")
    shown["verdict"] = table["adjusted"].map(lambda p: "differs" if p < SIGNIFICANCE else "within noise")
    shown.loc[table["n"] < 2, "verdict"] = "says nothing yet"
    return shown[table["method"] != BASELINE]


def _written(numbers, form):
    """Numbers as text, empty where there is none, as of a single seed's spread."""
    return numbers.map(lambda number: "" if pd.isna(number) else form.format(number))
