"""The pictures of a report, written beside its results."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np

from pls_keras.reports.comparison import BASELINE
from pls_keras.reports.plots import (
    AXIS_LABELS,
    plot_differences,
    plot_learning_rates,
    plot_progress,
    plot_reliability,
    styled,
)
from pls_keras.reports.style import RC, WIDTH
from pls_keras.reports.tables import (
    COLUMNS,
    REPORTS,
    compare_with_paper,
    load_results,
    mistakes_of,
    paper_order,
    whole_pairs,
    whole_seeds,
)

GRADIENT_PARTS = ["grad_norm_label", "grad_norm_smoothing", "grad_cosine"]


def draw_report(name, scale, folder, results):
    """Draw what a report has to show beside its table.

    Args:
        name: one of `REPORTS`. Those of curves have a picture of them, those with reliability diagrams
            have these; others have none.
        scale: "paper", "lab" or "smoke".
        folder: where the pictures go.
        results: folder of the kept results.
    """
    report = REPORTS[name]
    if report.curve:
        curves = whole_seeds(load_results(name, scale, results))
        _save(plot_learning_rates(curves, report.curve), folder / f"{name}_{scale}.png")
        measured = set(curves.columns[curves.notna().all()])
        if "nll" in measured:
            axes = plot_learning_rates(curves, report.curve, plot=plot_progress)
            _save(axes, folder / f"{name}_{scale}_progress.png")
        if report.curve == "grad_norm" and "grad_norm_label" in measured:
            _save(plot_learning_rates(curves, GRADIENT_PARTS), folder / f"{name}_{scale}_parts.png")
    if report.reliability:
        bins = load_results(f"{name}_reliability", scale, results)
        _draw_reliability(bins, report, folder / f"{name}_{scale}_reliability.png")
    if report.mistakes and mistakes_of(kept := load_results(name, scale, results), report):
        axes = draw_mistakes(kept, report)
        if axes is not None:
            _save(axes, folder / f"{name}_{scale}_mistakes.png")


def draw_theta(theta, path):
    """Draw a theta as a heat map (Figure 2)."""
    _save(theta.plot(), path)


def _draw_reliability(bins, report, path):
    runs = whole_pairs(bins.drop_duplicates("key"), report)  # those that the table counts
    order = paper_order(report, runs)
    rows = bins["key"].map(runs.set_index("key")["row"])
    cells = sorted(bins.groupby(rows), key=lambda cell: order(cell[0]))
    grid = {"sharey": True, "squeeze": False, "layout": "constrained"}
    with styled():
        size = (WIDTH, 1 + 0.72 * WIDTH / len(cells))
        figure, axes = plt.subplots(1, len(cells), figsize=size, **grid)
        legends = []
        for ax, (row, part) in zip(axes[0], cells, strict=True):
            plot_reliability(part, ax=ax).set_title(row.replace(", ", "\n"))
            legends.append(ax.get_legend_handles_labels())
            ax.get_legend().remove()
            ax.set(xlabel="", ylabel="" if len(legends) > 1 else ax.get_ylabel())
        figure.supxlabel(AXIS_LABELS["confidence"], fontsize=10)
        figure.legend(*max(legends, key=lambda legend: len(legend[1])), loc="outside right center")
    _save(axes, path)


def draw_mistakes(results, report):
    """What each method changes: accuracy, and where its mistakes and further guesses lie.

    Args:
        results: `DataFrame` as `pls_keras.reports.tables.compare_with_paper` takes it, with scores of
            mistakes.
        report: one of `REPORTS`.

    Returns:
        The axes, an array with a row for each row of the report that has an interval, a column a score.
        None where none has one, for want of a second seed.
    """
    metrics = (report.metric, "cluster_accuracy", "cluster_share")
    tables = {metric: compare_with_paper(results, report, metric=metric) for metric in metrics}
    tables = {metric: table[table["n"] > 1] for metric, table in tables.items()}
    rows = tables[report.metric].groupby("row", sort=False)["margin"].count()
    if rows.empty:
        return None
    size = (WIDTH, 1.2 + 0.27 * rows.sum() + 0.3 * len(rows))
    grid = {"height_ratios": rows + 1, "sharey": "row", "squeeze": False, "layout": "constrained"}
    with styled():
        figure, axes = plt.subplots(len(rows), len(metrics), figsize=size, **grid)
        for i, row in enumerate(rows.index):
            for ax, (metric, table) in zip(axes[i], tables.items(), strict=True):
                part = table[table["row"] == row]
                plot_differences(part, None, ax=ax).locator_params("x", nbins=4)
                ax.set_yticks(range(len(part) - 1), part["method"][part["margin"].notna()])
                if not i:
                    ax.set_title(textwrap.fill(COLUMNS[metric][0].replace(", %", ", points"), 26))
            n = tables[report.metric].set_index("row").loc[row, "n"].max()
            axes[i, 0].set_ylabel(f"{row}, {n:.0f} {report.unit}".replace(", ", "\n"))
        figure.supxlabel(f"difference from {BASELINE} and 95 % interval", fontsize=10)
    return axes


def _save(axes, path):
    figure = np.ravel(axes)[0].figure
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=RC["savefig.dpi"], bbox_inches="tight")
    plt.close(figure)
    print(f"Wrote {path}")
