"""`pls_keras demo`: the four methods on real images, a table, and four figures."""

import dataclasses
import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np

from pls_keras.cli.arguments import folder_path, positive, positive_number, ratio
from pls_keras.cli.terminal import print_aligned
from pls_keras.experiments.image_training import load_images
from pls_keras.experiments.methods import METHODS
from pls_keras.experiments.runner import train_runs
from pls_keras.experiments.specs import ImageRun
from pls_keras.reports.comparison import compare_methods, describe_difference, format_comparison
from pls_keras.reports.plots import plot_curves, plot_mistakes, plot_thetas
from pls_keras.reports.style import RC

DEMOS = {
    # A small training set, so that smoothing has overfitting to work against.
    "digits": ImageRun(
        dataset="digits",
        method="NoLS",
        model="ResNet8",
        width=16,
        batch_size=64,
        epochs=15,
        train_images=300,
    ),
    **{
        name: ImageRun(
            dataset=name,
            method="NoLS",
            width=16,
            epochs=8,
            train_images=10_000,
            eval_images=2_000,
            augment=True,
        )
        for name in ("cifar10", "cifar100")
    },
}
DEMO_SEEDS = {"digits": 3, "cifar10": 1, "cifar100": 1}
COLUMNS = {
    "accuracy": ("test accuracy, %", 100, 2),
    "ece": ("calibration error, %", 100, 2),
    "nll": ("test cross-entropy", 1, 3),
    "cluster_share": ("guesses 2-5 in cluster, %", 100, 1),
    "generalization_error": ("generalization error, %", 100, 2),
    "grad_norm": ("gradient norm", 1, 3),
}


def add_arguments(parser):
    """Add the options of `demo`."""
    parser.description = (
        "Train a narrow ResNet with each method over several seeds, print a table, and write figures of "
        "theta, mistakes, gradient norm and generalization error. Digits need no download; CIFAR comes "
        "through TensorFlow Datasets (TFDS_DATA_DIR)."
    )
    parser.add_argument("--dataset", choices=[*DEMOS], default="digits")
    parser.add_argument("--seeds", type=positive, help="number of seeds (digits 3, CIFAR 1)")
    parser.add_argument("--epochs", type=positive, help="epochs a run (digits 15, CIFAR 8)")
    parser.add_argument("--images", type=positive, help="training images (digits 300, CIFAR 10,000)")
    parser.add_argument("--width", type=positive, help="channels of the first stage (16)")
    parser.add_argument("--smoothing-ratio", type=ratio, help="ε, the mass taken off, in [0, 1) (0.1)")
    parser.add_argument("--learning-rate", type=positive_number, help="constant learning rate (0.1)")
    parser.add_argument("--out", type=folder_path, default="pls-demo", help="folder to write to (pls-demo)")
    parser.set_defaults(run=_run)


def _run(options):
    run_demo(
        options.dataset,
        seeds=options.seeds,
        folder=options.out,
        epochs=options.epochs,
        train_images=options.images,
        width=options.width,
        smoothing_ratio=options.smoothing_ratio,
        learning_rate=options.learning_rate,
    )


def run_demo(dataset="digits", *, seeds=None, folder="pls-demo", **changes):
    """Train NoLS, ULS, CLS and SEMLS over several seeds, print a table, draw figures.

    Args:
        dataset: "digits" (embedded), "cifar10" or "cifar100" (through TFDS).
        seeds: number of seeds; None for the demonstration's own.
        folder: where `curves.csv`, `scores.csv`, `theta.png`, `mistakes.png`, `gradient_norm.png` and
            `generalization_error.png` go.
        **changes: fields of `ImageRun` to change; those that are None stay.

    Returns:
        Pair of `DataFrame`: the curves, a row a run and epoch, and the scores, a row a run.
    """
    first = dataclasses.replace(
        DEMOS[dataset], **{name: value for name, value in changes.items() if value is not None}
    )
    seeds = DEMO_SEEDS[dataset] if seeds is None else seeds
    images = load_images(first)
    runs = [
        dataclasses.replace(first, method=method, seed=seed) for seed in range(seeds) for method in METHODS
    ]
    print(
        f"{dataset}: {len(images.y_train):,} training and {len(images.y_test):,} test images, "
        f"{images.classes} classes; {len(runs)} runs; epochs {first.epochs}, "
        f"ε = {first.smoothing_ratio}, learning rate {first.learning_rate}, backend "
        f"{keras.backend.backend()}"
    )
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)  # an error before anything is trained
    curves, scores = train_runs(runs)

    curves.to_csv(folder / "curves.csv", index=False)
    scores.to_csv(folder / "scores.csv", index=False)
    for figure, name in draw(first, images, curves, scores):
        figure.savefig(folder / f"{name}.png", dpi=RC["savefig.dpi"], bbox_inches="tight")
        plt.close(figure)

    print(f"\nmean ± standard deviation over the seeds, n = {seeds}; * p < 0.05 against NoLS\n")
    print_aligned(format_comparison(scores, COLUMNS))
    print()
    for column, name in (("accuracy", "accuracy"), ("ece", "calibration error")):
        sentence = describe_difference(compare_methods(scores, column), name)
        print(sentence[0].upper() + sentence[1:])
    print(f"\nFigures and the numbers behind them: {folder}/")
    print(
        "Next: jupyter lab notebooks/01_theta_construction.ipynb walks through thetas, and\n"
        "python -m pls_keras theta semantic --help makes one of your own labels."
    )
    return curves, scores


def draw(run, images, curves, scores):
    """Yield the figures of a demonstration with their names."""
    smoothed = {
        method: dataclasses.replace(run, method=method).theta(images) for method in ("SEMLS", "CLS")
    }
    axes = plot_thetas(smoothed)
    axes[0].figure.suptitle(f"Thetas of {run.dataset}")
    yield axes[0].figure, "theta"
    clusters = np.asarray(smoothed["CLS"]) > 0
    chance = clusters.sum() / images.classes / (images.classes - 1)
    ax = plot_mistakes(scores, chance)
    ax.figure.suptitle(f"What is taken for what: {run.dataset}, clusters of CLS")
    yield ax.figure, "mistakes"
    for column, title in (
        ("grad_norm", "Gradient norm"),
        ("generalization_error", "Generalization error, |test - training|"),
    ):
        ax = plot_curves(curves, column)
        ax.figure.suptitle(f"{title}: {run.dataset}, learning rate {run.learning_rate}")
        yield ax.figure, "gradient_norm" if column == "grad_norm" else column
