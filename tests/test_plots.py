"""What the figures show, read back from their axes."""

import itertools

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pls_keras import Theta, semantic_theta, uniform_theta
from pls_keras.reports.plots import (
    AXIS_LABELS,
    plot_curves,
    plot_differences,
    plot_learning_rates,
    plot_progress,
    plot_reliability,
    plot_targets,
    plot_theta,
    plot_thetas,
)
from pls_keras.reports.style import HEIGHT, METHOD_COLOURS, WIDTH, looks


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def in_legend(legend):
    return [text.get_text() for text in legend.get_texts()]


def names_on(axis):
    return [tick.get_text() for tick in axis.get_ticklabels()]


def test_a_small_theta_is_drawn_by_row_with_its_numbers():
    theta = Theta([[0.0, 0.8, 0.2], [0.55, 0.0, 0.45], [0.1, 0.9, 0.0]], ["cat", "sea_dog", "fish"])
    ax = plot_theta(theta)
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), theta)
    assert ax.get_xlabel() == "other class"
    assert ax.get_ylabel() == "true class"
    assert names_on(ax.xaxis) == names_on(ax.yaxis) == ["cat", "sea dog", "fish"]
    shown = {text.get_position(): text.get_text() for text in ax.texts}
    assert shown[1, 0] == "0.80"  # x is the other class, y the true one
    assert shown[0, 1] == "0.55"
    assert shown[0, 0] == "0"
    assert len(shown) == 9
    ax.figure.canvas.draw()  # turns the image so that the first class is at the top
    assert ax.yaxis_inverted()


def test_the_colour_bar_is_labelled():
    ax = plot_theta(uniform_theta(4))
    bars = [other for other in ax.figure.axes if other is not ax]
    assert [bar.get_ylabel() for bar in bars] == ["share of ε"]


def test_a_large_theta_has_sparse_ticks_and_no_numbers():
    theta = semantic_theta(range(100), np.random.default_rng(0).normal(size=(100, 5)))
    ax = plot_theta(theta)
    assert not ax.texts
    assert 20 <= len(ax.get_xticks()) == len(ax.get_yticks()) <= 50
    for tick, name in zip(ax.get_yticks(), names_on(ax.yaxis), strict=True):
        assert name == theta.labels[int(tick)]


@pytest.mark.parametrize("name", ["cifar10-semls", "cifar100-semls", "goemotions-semls"])
def test_nothing_is_cut_off_or_overlaps(name):
    ax = plot_theta(Theta.load(name))
    figure = ax.figure
    figure.canvas.draw()
    inside = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert inside.x0 >= 0
    assert inside.y0 >= 0
    assert inside.x1 <= width
    assert inside.y1 <= height
    boxes = [tick.get_window_extent() for tick in ax.yaxis.get_ticklabels()]
    assert not any(first.overlaps(second) for first, second in itertools.pairwise(boxes))


def test_plots_draw_on_the_axes_they_are_given():
    _, (left, right) = plt.subplots(1, 2)
    assert uniform_theta(3).plot(ax=left) is left
    assert not right.get_images()
    assert uniform_theta(3).plot() not in (left, right)


def test_plots_leave_the_settings_of_matplotlib_alone():
    before = dict(plt.rcParams)
    plot_theta(uniform_theta(3))
    assert dict(plt.rcParams) == before


def test_curves_are_the_mean_over_seeds_in_the_colour_of_the_method():
    curves = pd.DataFrame(
        [
            {"method": method, "seed": seed, "epoch": epoch, "grad_norm": base + seed + epoch**2}
            for method, base in [("ULS", 1.0), ("SEMLS", 5.0)]
            for seed in (0, 2)
            for epoch in (1, 2, 3)
        ]
    )
    ax = plot_curves(curves, "grad_norm")
    uls, semls = ax.get_lines()
    np.testing.assert_array_equal(uls.get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(uls.get_ydata(), [3.0, 6.0, 11.0])
    np.testing.assert_allclose(semls.get_ydata(), [7.0, 10.0, 15.0])
    assert [line.get_color() for line in (uls, semls)] == [METHOD_COLOURS["ULS"], METHOD_COLOURS["SEMLS"]]
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(3.0 - np.sqrt(2))  # sample standard deviation of two seeds
    assert ax.get_ylabel() == AXIS_LABELS["grad_norm"]
    assert in_legend(ax.get_legend()) == ["ULS", "SEMLS", "mean ± std. dev., 2 seeds"]
    assert uls.get_linestyle() != semls.get_linestyle()  # they may lie on each other


def test_the_band_of_a_norm_does_not_go_below_zero():
    curves = pd.DataFrame({"method": "ULS", "seed": [0, 1], "epoch": 1, "grad_norm": [0.1, 3.0]})
    ax = plot_curves(curves, "grad_norm")
    assert ax.collections[0].get_paths()[0].vertices[:, 1].min() == 0
    assert ax.get_ylim()[0] == 0


def test_a_triangle_marks_where_all_seeds_know_their_images():
    rows = itertools.product(("NoLS", "ULS"), (0, 1), range(1, 7))
    curves = pd.DataFrame(rows, columns=["method", "seed", "epoch"]).assign(
        grad_norm=lambda t: 10.0 - t["epoch"]
    )
    known = {("NoLS", 0): 3, ("NoLS", 1): 5, ("ULS", 0): 2, ("ULS", 1): 9}
    start = [known[pair] for pair in zip(curves["method"], curves["seed"], strict=True)]
    curves["train_accuracy"] = np.where(curves["epoch"] >= start, 0.995, 0.5)
    ax = plot_curves(curves, "grad_norm")
    marks = [line for line in ax.lines if line.get_marker() == "v"]
    assert [mark.get_xydata().tolist() for mark in marks] == [[[4.0, 6.0]]]
    assert marks[0].get_color() == METHOD_COLOURS["NoLS"]
    assert ax.get_xlabel() == "epoch; ▼: 99 % of the training images known"


def test_progress_goes_from_a_large_loss_to_a_small_one_with_a_line_a_seed():
    rows = itertools.product(("NoLS", "ULS"), (0, 1, 2), (1, 2, 3))
    curves = pd.DataFrame(rows, columns=["method", "seed", "epoch"])
    curves = curves.assign(nll=4.0 / curves["epoch"], grad_norm=curves["epoch"] + curves["seed"])
    ax = plot_progress(curves.sample(frac=1, random_state=0), "grad_norm")
    assert len(ax.lines) == 6
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [4, 2, 4 / 3])
    assert ax.xaxis_inverted()
    assert in_legend(ax.get_legend()) == ["NoLS", "ULS", "a line a seed"]


@pytest.mark.parametrize(("first", "last"), [(2, 1e-3), (2.4, 0.2), (2.4, 1.7), (4.75, 4.3)])
def test_progress_has_losses_to_read_it_by_that_do_not_overlap(first, last):
    curves = pd.DataFrame({"nll": [first, last], "epoch": [1, 2], "method": "NoLS", "seed": 0})
    rates = pd.concat([curves.assign(learning_rate=rate, grad_norm=1.0) for rate in (0.4, 0.3, 0.2, 0.1)])
    ax = plot_learning_rates(rates, "grad_norm", plot=plot_progress)[0, 0]
    ax.figure.canvas.draw()
    labels = [label for label in ax.get_xticklabels(which="both") if label.get_text()]
    low, high = sorted(ax.get_xlim())
    shown = [label for label in labels if low <= label.get_position()[0] <= high]
    boxes = sorted(label.get_window_extent().extents[::2].tolist() for label in shown)
    assert len(boxes) >= 2
    assert all(left[1] < right[0] for left, right in itertools.pairwise(boxes))


def test_one_seed_has_no_band():
    curves = pd.DataFrame({"method": "NoLS", "seed": 1, "epoch": [1, 2], "test_loss": [0.5, 0.25]})
    ax = plot_curves(curves, "test_loss")
    assert in_legend(ax.get_legend())[-1] == "one seed"
    vertices = ax.collections[0].get_paths()[0].vertices
    assert set(vertices[:, 1]) == {0.5, 0.25}


def test_methods_have_four_colours_that_grey_tells_apart():
    assert list(METHOD_COLOURS)[:4] == ["NoLS", "ULS", "CLS", "SEMLS"]
    assert len(set(METHOD_COLOURS.values())) == len(METHOD_COLOURS)
    weights = np.array([0.2126, 0.7152, 0.0722])
    rgb = np.array([matplotlib.colors.to_rgb(colour) for colour in list(METHOD_COLOURS.values())[:4]])
    brightness = np.sort(rgb @ weights)
    assert np.diff(brightness).min() > 0.05


def test_variants_of_a_method_have_its_colour_and_a_line_style_of_their_own():
    methods = ["NoLS", "SEMLS", "ULS", "SEMLS^4", "SEMLS@5", "ULS-others"]
    bins = pd.DataFrame({"method": methods, "bin": 0, "samples": 1, "confidence": 0.5, "accuracy": 0.5})
    seen = {
        line.get_label(): (line.get_color(), line.get_linestyle())
        for line in plot_reliability(bins).get_lines()[1:]
    }
    assert len(set(seen.values())) == len(methods)
    for family in ("ULS", "SEMLS"):
        assert {seen[m][0] for m in methods if m.startswith(family)} == {METHOD_COLOURS[family]}


def test_methods_of_no_known_family_have_colours_of_their_own():
    mine = looks(["NoLS", "mine", "yours", "mine^2"])
    assert mine["mine"]["color"] == mine["mine^2"]["color"] != mine["yours"]["color"]
    assert not {mine["mine"]["color"], mine["yours"]["color"]} & set(METHOD_COLOURS.values())


def test_learning_rates_have_a_panel_each_from_the_largest_on():
    curves = pd.DataFrame(
        [
            {
                "method": m,
                "seed": 0,
                "epoch": e,
                "learning_rate": rate,
                "grad_norm": rate * e,
                "test_loss": e,
            }
            for m in ("NoLS", "ULS")
            for rate in (0.001, 0.1, 0.01, 0.0001)
            for e in (1, 2)
        ]
    )
    axes = plot_learning_rates(curves, "grad_norm")
    assert axes.shape == (1, 4)
    titles = [f"learning rate {rate}" for rate in ("0.1", "0.01", "0.001", "0.0001")]
    assert [ax.get_title() for ax in axes.flat] == titles
    np.testing.assert_allclose(axes[0, 1].get_lines()[0].get_ydata(), [0.01, 0.02])
    for ax in axes.flat:  # one scale, from 0 to the largest of all
        assert ax.get_ylim() == (0, pytest.approx(0.2 * 1.05))
    assert not any(ax.get_legend() for ax in axes.flat)  # one for all, where it hides no curve
    [legend] = axes[0, 0].figure.legends
    assert in_legend(legend) == ["NoLS", "ULS", "one seed"]
    assert axes[0, 0].get_ylabel() == AXIS_LABELS["grad_norm"]
    both = plot_learning_rates(curves, ["grad_norm", "test_loss"])
    assert both.shape == (2, 4)
    assert both[1, 0].get_ylabel().replace("\n", " ") == AXIS_LABELS["test_loss"]
    _, given = plt.subplots(1, 4)
    assert plot_learning_rates(curves, "grad_norm", given)[0, 2] is given[2]


def test_a_reliability_diagram_pools_the_runs_of_a_method():
    bins = pd.DataFrame(
        {
            "method": ["ULS"] * 4,
            "bin": [0, 1, 0, 1],
            "samples": [1, 0, 3, 2],
            "confidence": [0.2, 0.0, 0.4, 0.9],
            "accuracy": [0.0, 0.0, 1.0, 0.5],
        }
    )
    diagonal, line = plot_reliability(bins).get_lines()
    np.testing.assert_allclose(diagonal.get_xydata(), [[0, 0], [1, 1]])
    np.testing.assert_allclose(line.get_xydata(), [[0.35, 0.75], [0.9, 0.5]])
    assert line.get_color() == METHOD_COLOURS["ULS"]
    [points] = diagonal.axes.collections
    assert points.get_sizes()[0] == 2 * points.get_sizes()[1]  # as the four samples to the two


def test_differences_show_their_interval_in_the_methods_colour():
    compared = pd.DataFrame(
        {
            "row": ["isear"] * 3,
            "method": ["NoLS", "ULS", "SEMLS^8"],
            "difference": [0.0, -0.5, 0.25],
            "margin": [np.nan, 0.6, 0.1],
            "n": [5.0, 5.0, 5.0],
        }
    )
    ax = plot_differences(compared, "macro F1, points")
    assert names_on(ax.yaxis) == ["isear, ULS (n = 5)", "isear, SEMLS^8 (n = 5)"]
    [uls, sharp] = [bars.get_children() for bars in ax.containers]
    assert matplotlib.colors.to_hex(uls[0].get_color()) == METHOD_COLOURS["ULS"].lower()
    for (marker, *_, interval), middle, margin in ((uls, -0.5, 0.6), (sharp, 0.25, 0.1)):
        assert marker.get_xdata() == [middle]
        [segment] = interval.get_segments()
        np.testing.assert_allclose(segment[:, 0], [middle - margin, middle + margin])
    assert "macro F1, points" in ax.get_xlabel()


@pytest.mark.parametrize("thetas", [uniform_theta(3), {"NoLS": None}])
def test_targets_of_no_mapping_to_thetas_say_what_is_wanted(thetas):
    with pytest.raises(ValueError, match="must map names of methods to thetas"):
        plot_targets(thetas, "0")


def test_targets_show_the_largest_of_many_classes_and_the_true_one():
    emotions = Theta.load("goemotions-semls")
    axes = plot_targets({"ULS": uniform_theta(emotions.labels), "SEMLS": emotions}, "gratitude", 0.2)
    nearest = {"gratitude", *emotions.neighbours("gratitude", 9).index}
    assert set(names_on(axes[0].yaxis)) == nearest
    widths = dict(zip(names_on(axes[0].yaxis), (bar.get_width() for bar in axes[1].patches), strict=True))
    assert widths["gratitude"] == pytest.approx(0.8)
    assert widths["admiration"] == pytest.approx(0.2 * emotions.row("gratitude")["admiration"])
    assert axes[0].texts[0].get_text() == f"{0.8 + 0.2 / 27:.3f} →"
    fixed = plot_targets({"SEMLS": emotions}, "joy", limit=0.1)[0]
    assert fixed.get_xlim() == (0, 0.1)


def test_figures_of_a_notebook_are_no_wider_and_higher_than_its_page():
    rows = itertools.product(("NoLS", "ULS"), (0.1, 0.01, 0.001, 0.0001), (0, 1), (1, 2))
    curves = pd.DataFrame(rows, columns=["method", "learning_rate", "seed", "epoch"])
    curves = curves.assign(grad_norm=1.0, test_loss=2.0, nll=0.5)
    theta = Theta.load("cifar10-semls")
    drawn = [
        plot_theta(theta),
        plot_thetas({"a": theta, "b": theta, "c": theta})[0],
        plot_targets(dict.fromkeys("abcde", theta), "cat")[0],
        plot_curves(curves, "grad_norm"),
        plot_learning_rates(curves, ["grad_norm", "test_loss", "grad_norm"])[0, 0],
        plot_learning_rates(curves, "grad_norm", plot=plot_progress)[0, 0],
    ]
    for ax in drawn:
        ax.figure.canvas.draw()
        assert (ax.figure.get_size_inches() <= (WIDTH, HEIGHT)).all()
        inside = ax.figure.get_tightbbox()
        assert inside.x0 >= 0
        assert inside.y0 >= 0
        assert inside.x1 <= ax.figure.get_size_inches()[0]
        assert inside.y1 <= ax.figure.get_size_inches()[1]
