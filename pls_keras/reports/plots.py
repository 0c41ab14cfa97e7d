"""Figures. A plot takes a table and axes, and returns the axes."""

import contextlib

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from pls_keras.reports.style import RC, line_styles, method_colour

BY_HEART = 0.99  # training accuracy from which on the images are known by heart
LARGEST_ANNOTATED = 12  # classes up to which each cell shows its number

AXIS_LABELS = {
    "grad_norm": "gradient norm (L2, epoch's mean)",
    "generalization_error": "generalization error (fraction)",
    "train_accuracy": "training accuracy (fraction)",
    "test_accuracy": "test accuracy (fraction)",
    "train_loss": "training loss (nats)",
    "nll": "plain cross-entropy of the training batches (nats)",
    "test_loss": "test loss (nats)",
    "grad_norm_label": "norm of (1 - ε) ∇CE(onehot)",
    "grad_norm_smoothing": "norm of ε ∇CE(theta)",
    "grad_cosine": "cosine between the two",
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
    with _style({"axes.grid": False}):
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


def plot_targets(thetas, label, smoothing_ratio=0.1, axes=None):
    """The target distribution q of one true class (eq. 3.1, Figure 1) under several thetas.

    Args:
        thetas: mapping from a method's name to its `Theta`; None for no smoothing. All have the same
            labels.
        label: the true class.
        smoothing_ratio: ε, the mass that theta shares out, in [0, 1).
        axes: as many axes as thetas; None for a new figure.

    Returns:
        The axes, an array. The bars are cut off above the largest smoothed share; the true class
        says its mass.

    Example:
        >>> from pls_keras import uniform_theta
        >>> axes = plot_targets({"NoLS": None, "ULS": uniform_theta(["cat", "dog"])}, "cat")
        >>> [ax.get_title() for ax in axes]
        ['NoLS', 'ULS']
    """
    labels = next(theta.labels for theta in thetas.values() if theta is not None)
    onehot = (np.array(labels) == label).astype(float)
    rows = {
        method: onehot
        if theta is None
        else (1 - smoothing_ratio) * onehot + smoothing_ratio * theta.row(label)
        for method, theta in thetas.items()
    }
    largest = max(np.delete(np.asarray(q), onehot.argmax()).max() for q in rows.values()) * 1.25
    with _style():
        if axes is None:
            size = (2.6 * len(thetas), 0.8 + 0.24 * len(labels))
            _, axes = plt.subplots(1, len(thetas), figsize=size, sharey=True, layout="constrained")
        for ax, (method, q) in zip(np.atleast_1d(axes), rows.items(), strict=True):
            ax.barh(labels, q, color=method_colour(method))
            ax.set_xlim(0, largest)
            ax.text(0.97 * largest, label, f"{np.max(q):.3f} →", ha="right", va="center", color="white")
            ax.set_title(method)
            ax.set_xlabel("target probability q")
        np.atleast_1d(axes)[0].invert_yaxis()
    return np.atleast_1d(axes)


def plot_curves(curves, column, ax=None):
    """Curves of one quantity over the epochs, by method: mean and standard deviation over seeds.

    Args:
        curves: `DataFrame` with columns `method`, `seed`, `epoch` and `column`. If there is a column
            `train_accuracy`, a triangle marks the epoch from which on 99 % of the training images are
            known, the mean over the seeds, where all come so far.
        column: the quantity to draw.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes.
    """
    with _style():
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
        for method, style in line_styles(curves["method"].unique()).items():
            by_epoch = curves[curves["method"] == method].groupby("epoch")[column]
            mean, spread = by_epoch.mean(), by_epoch.std().fillna(0.0)
            colour = method_colour(method)
            ax.plot(mean.index, mean, color=colour, ls=style, label=method)
            low = (mean - spread).clip(lower=min(0, curves[column].min()))  # a norm is not negative
            ax.fill_between(mean.index, low, mean + spread, color=colour, alpha=0.15, lw=0)
            if epoch := _epoch_by_heart(curves[curves["method"] == method]):
                ax.plot(epoch, mean[epoch], marker="v", ms=7, color=colour, mec="white", ls="", zorder=3)
        ax.set_xlabel("epoch")
        ax.set_ylabel(AXIS_LABELS.get(column, column))
        seeds = curves["seed"].nunique()
        title = f"mean ± std. dev., {seeds} seeds" if seeds > 1 else "one seed"
        ax.legend(title=title, frameon=False)
        ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def _epoch_by_heart(curves):
    """The epoch from which on training images are known by heart, the mean over seeds; None if not all."""
    if "train_accuracy" not in curves:
        return None
    known = curves[curves["train_accuracy"] >= BY_HEART].groupby("seed")["epoch"].min()
    return round(known.mean()) if len(known) == curves["seed"].nunique() else None


def plot_progress(curves, column, ax=None):
    """One quantity over what has been learnt so far: a thin line a method and seed.

    Over epochs, a method that learns faster is compared at another state of its training; here all are
    compared where they fit the training images equally well.

    Args:
        curves: `DataFrame` with columns `method`, `seed`, `epoch`, `column`, and `nll`, the plain
            cross-entropy of the training batches in nats, the same for every method.
        column: the quantity to draw.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes. Training goes from left to right, on a logarithmic scale.
    """
    with _style():
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
        for method, style in line_styles(curves["method"].unique()).items():
            for i, (_, run) in enumerate(curves[curves["method"] == method].groupby("seed")):
                run = run.sort_values("epoch")
                look = {"color": method_colour(method), "ls": style, "lw": 0.9, "alpha": 0.8}
                ax.plot(run["nll"], run[column], label="" if i else method, **look)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(matplotlib.ticker.LogFormatter())
        ax.xaxis.set_minor_formatter(matplotlib.ticker.LogFormatter())
        if not ax.xaxis_inverted():
            ax.invert_xaxis()
        ax.set_xlabel(AXIS_LABELS["nll"])
        ax.set_ylabel(AXIS_LABELS.get(column, column))
        ax.legend(title="a line a seed", frameon=False)
    return ax


def plot_learning_rates(curves, columns, axes=None, plot=plot_curves):
    """Curves by method in a panel for each learning rate (Figures 3 to 5).

    Args:
        curves: `DataFrame` as for `plot_curves`, with a column `learning_rate`.
        columns: the quantity to draw, or a list of them, each in a row of panels of its own.
        axes: array of shape (quantities, learning rates), or (2, 2) for one quantity at four rates;
            None for a new figure.
        plot: `plot_curves`, or `plot_progress` for what has been learnt in place of epochs.

    Returns:
        The axes, an array.
    """
    columns = [columns] if isinstance(columns, str) else list(columns)
    rates = sorted(curves["learning_rate"].unique(), reverse=True)
    own = axes is None
    with _style():
        if own:
            shape = (2, 2) if len(columns) == 1 and len(rates) == 4 else (len(columns), len(rates))
            size = (1 + 4 * shape[1], 0.6 + 3 * shape[0])
            _, axes = plt.subplots(*shape, figsize=size, squeeze=False, layout="constrained")
        panels = [(column, rate) for column in columns for rate in rates]
        for ax, (column, rate) in zip(np.ravel(axes), panels, strict=True):
            plot(curves[curves["learning_rate"] == rate], column, ax=ax)
            ax.set_title(f"learning rate {rate:g}")
            legend = ax.get_legend()
            if own or ax is not np.ravel(axes)[0]:
                legend.remove()
            if not ax.get_subplotspec().is_first_col():
                ax.set_ylabel("")
            if not ax.get_subplotspec().is_last_row():
                ax.set_xlabel("")
        if own:  # above the panels, where it hides no curve
            ax.figure.legend(
                *ax.get_legend_handles_labels(),
                title=legend.get_title().get_text(),
                loc="outside upper center",
                ncols=curves["method"].nunique(),
                frameon=False,
            )
    return axes


def plot_reliability(bins, ax=None):
    """Reliability diagram: accuracy by confidence, a line a method (Guo et al., 2017).

    Args:
        bins: `DataFrame` with columns `method`, `bin`, `samples`, `confidence` and `accuracy`; runs of
            one method are pooled.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes. Below the diagonal a model is more confident than right.
    """
    with _style():
        if ax is None:
            _, ax = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
        ax.plot([0, 1], [0, 1], color="#bbbbbb", ls="--", lw=1, label="calibrated")
        for method, style in line_styles(bins["method"].unique()).items():
            part = bins[(bins["method"] == method) & (bins["samples"] > 0)]
            sums = part[["confidence", "accuracy"]].mul(part["samples"], axis=0)
            pooled = sums.assign(samples=part["samples"]).groupby(part["bin"]).sum()
            x, y = (pooled[name] / pooled["samples"] for name in ("confidence", "accuracy"))
            ax.plot(x, y, marker="o", ms=4, color=method_colour(method), ls=style, label=method)
        ax.set_xlabel("confidence (mean of the bin)")
        ax.set_ylabel("accuracy (fraction of the bin)")
        ax.set_aspect("equal")
        ax.legend(frameon=False)
    return ax


def plot_mistakes(scores, chance=None, ax=None):
    """Where each method puts its wrong answers and its further guesses: shares within the true cluster.

    Args:
        scores: `DataFrame` with a row a run and columns `method`, `mistakes_in_cluster` and
            `cluster_share`, in [0, 1], as `pls_keras.experiments.scoring.score` gives them.
        chance: the share of guesses at random, for a line; None for no line.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes: a group of bars a method, the mean over its runs with their standard deviation.
    """
    bars = {"cluster_share": ("second to fifth guess", 1.0), "mistakes_in_cluster": ("wrong answers", 0.45)}
    groups = scores.groupby("method", sort=False)
    with _style():
        if ax is None:
            size = (7, 1.2 + 0.42 * groups.ngroups)
            _, ax = plt.subplots(figsize=size, layout="constrained")
        for i, (column, (words, alpha)) in enumerate(bars.items()):
            mean, spread = groups[column].mean(), groups[column].std().fillna(0)
            y = np.arange(len(mean)) + 0.38 * (i - 0.5)
            colours = [method_colour(method) for method in mean.index]
            ax.barh(y, mean, 0.36, xerr=spread, color=colours, alpha=alpha, error_kw={"lw": 1}, label=words)
        if chance is not None:
            ax.axvline(chance, color="#777777", ls="--", lw=1, label="by chance")
        ax.set_yticks(range(groups.ngroups), list(groups.groups))
        ax.set_ylim(groups.ngroups - 0.4, -0.6)  # the first at the top
        ax.set_xlabel("share that lies in the true class's cluster")
        ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return ax


def plot_differences(compared, score, ax=None):
    """Paired differences from the baseline with their 95 % confidence intervals, a line a method.

    Args:
        compared: `DataFrame` with columns `row`, `method`, `difference`, `margin` and `n`, as
            `pls_keras.reports.tables.compare_with_paper` returns.
        score: what was compared, with its unit, for the axis; None for no label.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes. An interval that holds 0 is a difference within noise.
    """
    shown = compared[compared["margin"].notna()].reset_index(drop=True)
    with _style():
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 1 + 0.3 * len(shown)), layout="constrained")
        ax.axvline(0, color="#bbbbbb", lw=1)
        for method in shown["method"].unique():
            part = shown[shown["method"] == method]
            look = {"fmt": "o", "ms": 5, "capsize": 3, "color": method_colour(method)}
            ax.errorbar(part["difference"], part.index, xerr=part["margin"], **look)
        names = shown["row"] + ", " + shown["method"] + " (n = " + shown["n"].astype(int).astype(str) + ")"
        ax.set_yticks(shown.index, names)
        ax.set_ylim(len(shown) - 0.5, -0.5)  # the first at the top
        if score:
            ax.set_xlabel(f"{score}: difference from the baseline, 95 % confidence interval")
    return ax


@contextlib.contextmanager
def _style(changes=()):
    """How figures look, for a while."""
    with plt.rc_context({**RC, **dict(changes)}):
        yield
        # The first figure of a notebook turns interactive mode on. Leaving must not turn it off again.
        interactive = matplotlib.is_interactive()
    matplotlib.interactive(interactive)
