"""Figures. A plot takes a table and axes, and returns the axes."""

import matplotlib.pyplot as plt
import numpy as np

from pls_keras.style import METHOD_COLOURS, RC

LARGEST_ANNOTATED = 12  # classes up to which each cell shows its number

AXIS_LABELS = {
    "grad_norm": "gradient norm (L2, mean of the epoch's steps)",
    "generalization_error": "generalization error (fraction of images)",
    "train_accuracy": "training accuracy (fraction)",
    "test_accuracy": "test accuracy (fraction)",
    "train_loss": "training loss (nats)",
    "test_loss": "test loss (nats)",
}


def plot_theta(theta, ax=None):
    """Heat map of a theta (Figure 2): rows are true classes, columns what they share ε with.

    Args:
        theta: `Theta`.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes.

    Example:
        >>> from pls_keras import uniform_theta
        >>> plot_theta(uniform_theta(3)).get_ylabel()
        'true class'
    """
    with plt.rc_context({**RC, "axes.grid": False}):
        if ax is None:
            size = np.clip(0.22 * theta.classes, 6, 14)
            _, ax = plt.subplots(figsize=(size + 1, size), layout="compressed")
        matrix = np.asarray(theta)
        image = ax.imshow(matrix, cmap="Blues", vmin=0)
        ax.figure.colorbar(image, ax=ax, label="share of ε", shrink=0.8)
        step = -(-theta.classes // 50)  # at most 50 names fit on an axis
        ticks = np.arange(0, theta.classes, step)
        names = [theta.labels[i].replace("_", " ") for i in ticks]
        small = 10 if theta.classes <= LARGEST_ANNOTATED else 6
        ax.set_xticks(ticks, names, rotation=90, fontsize=small)
        ax.set_yticks(ticks, names, fontsize=small)
        ax.set_xlabel("other class")
        ax.set_ylabel("true class")
        if theta.classes <= LARGEST_ANNOTATED:
            for (row, column), value in np.ndenumerate(matrix):
                shade = "white" if value > 0.6 * matrix.max() else "black"
                text = f"{value:.2f}" if value else "0"
                ax.text(column, row, text, ha="center", va="center", color=shade, fontsize=8)
    return ax


def plot_curves(curves, column, ax=None):
    """Curves of one quantity over the epochs, by method: mean and standard deviation over seeds.

    Args:
        curves: `DataFrame` with columns `method`, `seed`, `epoch` and `column`.
        column: the quantity to draw.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes.
    """
    with plt.rc_context(RC):
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
        for method in curves["method"].unique():
            by_epoch = curves[curves["method"] == method].groupby("epoch")[column]
            mean, spread = by_epoch.mean(), by_epoch.std().fillna(0.0)
            colour = METHOD_COLOURS[method]
            ax.plot(mean.index, mean, color=colour, label=method)
            ax.fill_between(mean.index, mean - spread, mean + spread, color=colour, alpha=0.15, lw=0)
        ax.set_xlabel("epoch")
        ax.set_ylabel(AXIS_LABELS.get(column, column))
        seeds = curves["seed"].nunique()
        title = f"mean ± std. dev., {seeds} seeds" if seeds > 1 else "one seed"
        ax.legend(title=title, frameon=False)
        ax.xaxis.get_major_locator().set_params(integer=True)
    return ax
