"""Figures. A plot takes a table and axes, and returns the axes."""

import contextlib
import itertools
import textwrap

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pls_keras.reports.style import HEIGHT, RC, WIDTH, looks
from pls_keras.thetas import Theta

BY_HEART = 0.99  # training accuracy at which the images are known by heart
LARGEST_ANNOTATED = 12  # classes up to which each cell shows its number
CELL = 0.4  # inches a class, with its part of margins, that such a number needs in one of several panels
MOST_BARS = 10  # classes of a target distribution

AXIS_LABELS = {
    "grad_norm": "gradient norm (L2)",
    "generalization_error": "generalization error",
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "train_loss": "training loss (nats)",
    "nll": "plain cross-entropy in training (nats)",
    "test_loss": "test loss (nats)",
    "grad_norm_label": "norm, label",
    "grad_norm_smoothing": "norm, smoothing",
    "grad_cosine": "cosine of both",
    "confidence": "confidence (mean of the bin)\narea of a point: share of the samples",
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
    with styled():
        if ax is None:
            size = np.clip(0.22 * theta.classes, HEIGHT, WIDTH - 1)
            _, ax = plt.subplots(figsize=(size + 1, size), layout="compressed")
        matrix = np.asarray(theta)
        image = _draw_matrix(theta, ax, matrix.max())
        ax.figure.colorbar(image, ax=ax, label="share of ε", shrink=0.8)
        if theta.classes <= LARGEST_ANNOTATED:
            _write_shares(matrix, ax, matrix.max())
    return ax


def plot_thetas(thetas):
    """Heat maps of several thetas side by side, in one scale of colours.

    Args:
        thetas: mapping from title to `Theta`.

    Returns:
        The axes, an array.
    """
    largest = max(np.asarray(theta).max() for theta in thetas.values())
    size = WIDTH, min(HEIGHT, 1 + 0.87 * WIDTH / len(thetas))
    with styled():
        figure, axes = plt.subplots(1, len(thetas), figsize=size, layout="compressed", squeeze=False)
        for ax, (title, theta) in zip(axes[0], thetas.items(), strict=True):
            image = _draw_matrix(theta, ax, largest)
            if len(thetas) * theta.classes * CELL <= WIDTH:
                _write_shares(np.asarray(theta), ax, largest)
            ax.set_title(title)
            if ax is not axes[0, 0]:
                ax.set_ylabel("")
                ax.set_yticklabels([])
        figure.colorbar(image, ax=axes[0], label="share", shrink=0.8)
    return axes[0]


def _draw_matrix(theta, ax, largest):
    """The cells of a heat map and the names of the classes, or of as many as there is room for."""
    ax.grid(False)
    image = ax.imshow(theta, cmap="Blues", vmin=0, vmax=largest)
    height = ax.get_position(original=True).height * ax.figure.get_size_inches()[1]
    ticks = np.arange(0, theta.classes, -(-theta.classes // int(6 * height)))  # six names an inch
    names = [theta.labels[i].replace("_", " ") for i in ticks]
    ax.set_xticks(ticks, names, rotation=90)
    ax.set_yticks(ticks, names)
    ax.set_xlabel("other class")
    ax.set_ylabel("true class")
    return image


def _write_shares(matrix, ax, largest):
    """The number of each cell of a heat map whose darkest colour stands for `largest`."""
    for (row, column), value in np.ndenumerate(matrix):
        shade = "white" if value > 0.6 * largest else "black"
        text = f"{value:.2f}" if value else "0"
        ax.text(column, row, text, ha="center", va="center", color=shade, fontsize=8)


def plot_targets(thetas, label, smoothing_ratio=0.1, axes=None, *, limit=None):
    """The target distribution q of one true class (eq. 3.1, Figure 1) under several thetas.

    Args:
        thetas: mapping from a method's name to its `Theta`; None for no smoothing. All have the same
            labels.
        label: the true class.
        smoothing_ratio: ε, the mass that theta shares out, in [0, 1).
        axes: as many axes as thetas; None for a new figure.
        limit: mass at which the bars are cut off; None for a little above the largest smoothed share.

    Returns:
        The axes, an array. Of many classes they show the true one, which says its mass, and the nine that
        get most under the last theta.

    Raises:
        ValueError: if `thetas` is no mapping that holds a theta.
        KeyError: if there is no such label.

    Example:
        >>> from pls_keras import uniform_theta
        >>> axes = plot_targets({"NoLS": None, "ULS": uniform_theta(["cat", "dog"])}, "cat")
        >>> [ax.get_title() for ax in axes]
        ['NoLS', 'ULS']
    """
    if isinstance(thetas, Theta) or not any(isinstance(theta, Theta) for theta in thetas.values()):
        raise ValueError(
            'thetas must map names of methods to thetas, such as {"NoLS": None, "SEMLS": theta}. '
            f"Received: {thetas}"
        )
    labels = next(theta.labels for theta in thetas.values() if theta is not None)
    onehot = pd.Series(np.array(labels) == label, labels, dtype="float64")
    rows = pd.DataFrame(
        {
            method: onehot
            if theta is None
            else (1 - smoothing_ratio) * onehot + smoothing_ratio * theta.row(label)
            for method, theta in thetas.items()
        }
    )
    kept = rows.iloc[:, -1].nlargest(MOST_BARS).index
    rows = rows[rows.index.isin(kept)]
    limit = limit or rows.drop(index=label).to_numpy().max() * 1.25
    names = [name.replace("_", " ") for name in rows.index]
    with styled():
        if axes is None:
            size = min(WIDTH, 1.2 + 1.9 * len(thetas)), 0.8 + 0.24 * len(rows)
            _, axes = plt.subplots(1, len(thetas), figsize=size, sharey=True, layout="constrained")
        axes = np.atleast_1d(axes)
        for ax, (method, look) in zip(axes, looks(thetas).items(), strict=True):
            ax.barh(names, rows[method], color=look["color"])
            ax.set_xlim(0, limit)
            mass, place = rows.loc[label, method], names[rows.index.get_loc(label)]
            is_light = matplotlib.colors.rgb_to_hsv(matplotlib.colors.to_rgb(look["color"]))[2] > 0.8
            shade = "black" if is_light else "white"
            ax.text(0.97 * limit, place, f"{mass:.3f} →", ha="right", va="center", color=shade)
            ax.set_title(method)
            ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(3))
            ax.xaxis.set_major_formatter("{x:g}")
        axes[0].invert_yaxis()
        words = "target probability q"
        if len(rows) < len(labels):
            words += f", the {len(rows)} largest under {rows.columns[-1]} of {len(labels)} classes"
        axes[0].figure.supxlabel(words, fontsize=10)
    return axes


def plot_curves(curves, column, ax=None):
    """Curves of one quantity over the epochs, by method: mean and standard deviation over seeds.

    Args:
        curves: `DataFrame` with columns `method`, `seed`, `epoch` and `column`. If there is a column
            `train_accuracy`, a triangle marks the epoch at which 99 % of the training images are known
            for the first time, the mean over the seeds, where all come so far.
        column: the quantity to draw.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes.
    """
    with styled():
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
        for method, look in looks(curves["method"]).items():
            by_epoch = curves[curves["method"] == method].groupby("epoch")[column]
            mean, spread = by_epoch.mean(), by_epoch.std().fillna(0.0)
            ax.plot(mean.index, mean, label=method, **look)
            low = (mean - spread).clip(lower=min(0, curves[column].min()))  # a norm is not negative
            ax.fill_between(mean.index, low, mean + spread, color=look["color"], alpha=0.15, lw=0)
            if epoch := _epoch_by_heart(curves[curves["method"] == method]):
                mark = {"marker": "v", "ms": 7, "color": look["color"], "mec": "white", "ls": ""}
                ax.plot(epoch, mean[epoch], zorder=3, **mark)
        has_mark = any(line.get_marker() == "v" for line in ax.lines)
        ax.set_xlabel("epoch; ▼: 99 % of the training images known" if has_mark else "epoch")
        seeds = curves["seed"].nunique()
        _finish(ax, column, f"mean ± std. dev., {seeds} seeds" if seeds > 1 else "one seed")
        ax.xaxis.get_major_locator().set_params(integer=True)
    return ax


def _finish(ax, column, note):
    """Label the quantity, begin it at 0 if it is never below, and put the legend above the curves."""
    ax.set_ylabel(AXIS_LABELS.get(column, column))
    panels = [panel.dataLim for panel in ax.get_shared_y_axes().get_siblings(ax)]
    low, high = min(panel.y0 for panel in panels), max(panel.y1 for panel in panels)
    room = 0.05 * (high - min(0, low))
    ax.set_ylim(low - room if low < 0 else 0, high + room)
    handles, labels = ax.get_legend_handles_labels()
    handles.append(matplotlib.lines.Line2D([], [], ls=""))
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": len(handles), "borderaxespad": 0.2}
    ax.legend(handles, [*labels, note], **place)


def _epoch_by_heart(curves):
    """The first epoch with the training images known by heart, the mean over seeds; None if not all."""
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
    with styled():
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
        for method, look in looks(curves["method"]).items():
            for i, (_, run) in enumerate(curves[curves["method"] == method].groupby("seed")):
                run = run.sort_values("epoch")
                ax.plot(run["nll"], run[column], label="" if i else method, lw=0.9, alpha=0.8, **look)
        ax.set_xscale("log")
        low, high = sorted(ax.get_xlim())
        if high < 4 * low:  # nearly as on a scale that is not logarithmic
            ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        elif high < 30 * low:  # too few powers of ten to read it by
            ax.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        else:
            ax.xaxis.set_major_locator(matplotlib.ticker.LogLocator(numticks=4))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        if not ax.xaxis_inverted():
            ax.invert_xaxis()
        ax.set_xlabel(AXIS_LABELS["nll"])
        _finish(ax, column, "a line a seed")
    return ax


def plot_learning_rates(curves, columns, axes=None, plot=plot_curves):
    """Curves by method in a panel for each learning rate (Figures 3 to 5).

    Args:
        curves: `DataFrame` as for `plot_curves`, with a column `learning_rate`.
        columns: the quantity to draw, or a list of them, each in a row of panels of its own.
        axes: array of shape (quantities, learning rates); None for a new figure, whose panels of a
            quantity share their scale.
        plot: `plot_curves`, or `plot_progress` for what has been learnt in place of epochs.

    Returns:
        The axes, an array.
    """
    columns = [columns] if isinstance(columns, str) else list(columns)
    rates = sorted(curves["learning_rate"].unique(), reverse=True)
    with styled():
        if axes is None:
            size = WIDTH, min(HEIGHT, 1 + 1.9 * len(columns))
            grid = {"sharey": "row", "sharex": plot is plot_curves, "squeeze": False}
            _, axes = plt.subplots(len(columns), len(rates), figsize=size, layout="constrained", **grid)
        axes = np.reshape(axes, (len(columns), len(rates)))
        for (row, column), (i, rate) in itertools.product(enumerate(columns), enumerate(rates)):
            ax = plot(curves[curves["learning_rate"] == rate], column, ax=axes[row, i])
            legend = ax.get_legend()
            legend.remove()
            ax.set_xlabel("")
            if not row:
                ax.set_title(f"learning rate {rate:g}")
            ax.set_ylabel("" if i else textwrap.fill(ax.get_ylabel(), 20 if len(columns) == 1 else 10))
        names = [text.get_text() for text in legend.get_texts()]
        place = {"loc": "outside upper center", "ncols": len(names)}  # where it hides no curve
        ax.figure.legend(legend.legend_handles, names, **place)
        label = "epoch" if plot is plot_curves else AXIS_LABELS["nll"]
        ax.figure.supxlabel(label, fontsize=10)
        if plot is plot_progress:  # whose numbers stand close, and at both ends of each axis
            for ax in axes.flat:
                ax.tick_params("x", labelsize=8)
            if engine := ax.figure.get_layout_engine():
                engine.set(w_pad=0.08)  # inches
    return axes


def plot_reliability(bins, ax=None):
    """Reliability diagram: accuracy by confidence, a line a method (Guo et al., 2017).

    Args:
        bins: `DataFrame` with columns `method`, `bin`, `samples`, `confidence` and `accuracy`; runs of
            one method are pooled.
        ax: axes to draw on; None for a new figure.

    Returns:
        The axes. Below the diagonal a model is more confident than right. The area of a point is as its
        number of samples.
    """
    with styled():
        if ax is None:
            _, ax = plt.subplots(figsize=(6, 4.2), layout="constrained")
        ax.plot([0, 1], [0, 1], color="#bbbbbb", ls="--", lw=1, label="calibrated")
        for method, look in looks(bins["method"]).items():
            part = bins[(bins["method"] == method) & (bins["samples"] > 0)]
            sums = part[["confidence", "accuracy"]].mul(part["samples"], axis=0)
            pooled = sums.assign(samples=part["samples"]).groupby(part["bin"]).sum()
            x, y = (pooled[name] / pooled["samples"] for name in ("confidence", "accuracy"))
            ax.plot(x, y, label=method, **look)
            ax.scatter(x, y, 150 * pooled["samples"] / pooled["samples"].sum(), color=look["color"])
        ax.set_xlabel(AXIS_LABELS["confidence"])
        ax.set_ylabel("accuracy (fraction of the bin)")
        ax.set_aspect("equal")
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
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
    with styled():
        if ax is None:
            size = (7, 1.2 + 0.42 * groups.ngroups)
            _, ax = plt.subplots(figsize=size, layout="constrained")
        for i, (column, (words, alpha)) in enumerate(bars.items()):
            mean, spread = groups[column].mean(), groups[column].std().fillna(0)
            y = np.arange(len(mean)) + 0.38 * (i - 0.5)
            colours = [look["color"] for look in looks(mean.index).values()]
            ax.barh(y, mean, 0.36, xerr=spread, color=colours, alpha=alpha, error_kw={"lw": 1}, label=words)
        if chance is not None:
            ax.axvline(chance, color="#777777", ls="--", lw=1, label="by chance")
        ax.set_yticks(range(groups.ngroups), list(groups.groups))
        ax.set_xlim(left=0)  # a share is not negative, whatever its spread
        ax.set_ylim(groups.ngroups - 0.4, -0.6)  # the first at the top
        ax.set_xlabel("share that lies in the true class's cluster, mean ± std. dev.")
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
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
    with styled():
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 1 + 0.3 * len(shown)), layout="constrained")
        ax.axvline(0, color="#bbbbbb", lw=1)
        for method, look in looks(shown["method"]).items():
            part = shown[shown["method"] == method]
            bars = {"fmt": "o", "ms": 5, "capsize": 3, "color": look["color"]}
            ax.errorbar(part["difference"], part.index, xerr=part["margin"], **bars)
        names = shown["row"] + ", " + shown["method"] + " (n = " + shown["n"].astype(int).astype(str) + ")"
        ax.set_yticks(shown.index, names)
        ax.set_ylim(len(shown) - 0.5, -0.5)  # the first at the top
        if score:
            ax.set_xlabel(f"{score}: difference and 95 % interval")
    return ax


@contextlib.contextmanager
def styled(changes=()):
    """How figures look, for a while; `changes` are further settings of Matplotlib."""
    with plt.rc_context({**RC, **dict(changes)}):
        yield
        # The first figure of a notebook turns interactive mode on. Leaving must not turn it off again.
        interactive = matplotlib.is_interactive()
    matplotlib.interactive(interactive)
