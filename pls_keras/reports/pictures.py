"""The pictures of a report, written beside its results."""

import matplotlib.pyplot as plt
import numpy as np

from pls_keras.reports.plots import plot_learning_rates, plot_reliability
from pls_keras.reports.style import RC
from pls_keras.reports.tables import REPORTS, load_results, row_names

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
        curves = load_results(name, scale, results)
        _save(plot_learning_rates(curves, report.curve), folder / f"{name}_{scale}.png")
        if report.curve == "grad_norm":
            _save(plot_learning_rates(curves, GRADIENT_PARTS), folder / f"{name}_{scale}_parts.png")
    if report.reliability:
        bins = load_results(f"{name}_reliability", scale, results)
        _draw_reliability(bins, report, folder / f"{name}_{scale}_reliability.png")


def draw_theta(theta, path):
    """Draw a theta as a heat map (Figure 2)."""
    _save(theta.plot(), path)


def _draw_reliability(bins, report, path):
    cells = list(bins.groupby(row_names(bins, report), sort=False))
    size = (4.2 * len(cells), 4.4)
    with plt.rc_context(RC):
        _, axes = plt.subplots(1, len(cells), figsize=size, layout="constrained", squeeze=False)
    for ax, (row, part) in zip(axes[0], cells, strict=True):
        plot_reliability(part, ax=ax).set_title(row)
    _save(axes, path)


def _save(axes, path):
    figure = np.ravel(axes)[0].figure
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
    print(f"Wrote {path}")
