"""Which runs a table or a figure has."""

import dataclasses

import numpy as np

from pls_keras.data import labels
from pls_keras.experiments.specs import ImageRun, TextRun

PAPER_METHODS = ("NoLS", "ULS", "SEMLS")  # of Tables 2 and 3 and of the figures

# Beyond the paper: thetas that prefer more strongly, given or learned.
PREFERRING = ("SEMLS^8", "hierarchy", "confusion", "Online")

# Texts -------------------------------------------------------------------------------------------

# Chosen with NoLS on validation texts, as all of `TextRun`; see `tuning`.
TEXT_EPOCHS = {"isear": 10, "tec": 8, "cbet": 5, "goemotions": 5, "sample": 12}
SMOKE_TEXTS = {"vectors": None, "units": 8, "epochs": 2, "folds": 2, "scale": "smoke"}


def text_run(dataset, method, **fields):
    """A `TextRun` with the epochs of its data set."""
    return TextRun(dataset=dataset, method=method, **{"epochs": TEXT_EPOCHS[dataset], **fields})


def table2(scale="paper", **fields):
    """Section 7, Table 2: three corpora, three methods, five folds."""
    if scale == "smoke":
        fields |= SMOKE_TEXTS
    return [
        text_run(dataset, method, fold=fold, seed=fold, **fields)
        for dataset in (("sample",) if scale == "smoke" else ("isear", "tec", "cbet"))
        for fold in range(fields.get("folds", 5))
        for method in PAPER_METHODS
    ]


def table3(scale="paper", **fields):
    """Section 7.1, Table 3: 3, 5 and 7 classes of CBET, three samples of each, five folds."""
    dataset, names = "cbet", labels.CBET_LABELS
    if scale == "smoke":
        dataset, names = "sample", labels.ISEAR_LABELS
        fields |= SMOKE_TEXTS
    rng = np.random.default_rng(0)
    runs = []
    for size in (3, 5, 7):
        for sample in range(3):
            # In the order of the data set, so that a sample is a set of classes.
            classes = tuple(names[i] for i in np.sort(rng.choice(len(names), size, replace=False)))
            runs += [
                text_run(dataset, method, fold=fold, seed=fold, classes=classes, sample=sample, **fields)
                for fold in range(fields.get("folds", 5))
                for method in PAPER_METHODS
            ]
    return runs


def goemotions(scale="paper", **fields):
    """Beyond the paper: 27 emotions on the official split, five seeds."""
    if scale == "smoke":
        return [
            text_run("sample", method, fold=0, **fields | SMOKE_TEXTS)
            for method in ("NoLS", "ULS", "SEMLS", "SEMLS^8", "COOC", "confusion", "Online")
        ]
    return [
        text_run("goemotions", method, seed=seed, **fields)
        for seed in range(5)
        for method in ("NoLS", "ULS", "CLS", "SEMLS", "COOC", *PREFERRING)
    ]


# What the text classifier was chosen among: changes to `TextRun`, and to the epochs.
CHOSEN = "chosen"
CANDIDATES = {
    CHOSEN: {},
    "LSTM, last state": {"model": "LSTM", "pooling": "last"},
    "LSTM": {"model": "LSTM"},
    "last states": {"pooling": "last"},
    "64 units": {"units": 64},
    "dropout 0.5, no word dropout": {"dropout": 0.5, "word_dropout": 0.0},
    "word dropout 0.25": {"word_dropout": 0.25},
    "batches of 32, rate 0.005": {"batch_size": 32, "learning_rate": 0.005},
    "rate 0.004": {"learning_rate": 0.004},
    "2 epochs more": {"more_epochs": 2},
    "2 epochs less": {"more_epochs": -2},
}


def tuning(scale="paper", **fields):
    """The choice of the text classifier: NoLS on two folds of ISEAR and TEC, scored on validation texts.

    The runs of what was chosen are those of Table 2.
    """
    if scale == "smoke":
        fields |= SMOKE_TEXTS
    return [
        candidate_run(name, dataset, fold, **fields)
        for dataset in (("sample",) if scale == "smoke" else ("isear", "tec"))
        for name in CANDIDATES
        for fold in range(2)
    ]


def candidate_run(name, dataset, fold, **fields):
    """The run of a candidate on one fold."""
    changes = dict(CANDIDATES[name])
    run = text_run(dataset, "NoLS", fold=fold, seed=fold, **fields)
    changes["epochs"] = max(1, run.epochs + changes.pop("more_epochs", 0))
    return dataclasses.replace(run, **changes)


def candidate_names(vectors=None):
    """The name of the candidate by the key of its run."""
    fields = {} if vectors is None else {"vectors": vectors}
    return {
        candidate_run(name, dataset, fold, **more).key: name
        for name in CANDIDATES
        for fold in range(2)
        for dataset, more in (("isear", fields), ("tec", fields), ("sample", fields | SMOKE_TEXTS))
    }


# Images ------------------------------------------------------------------------------------------

LEARNING_RATES = (0.1, 0.01, 0.001, 0.0001)  # section 6.3
SEEDS = {"paper": 5, "reduced": 5, "lab": 3, "smoke": 1}
CELLS = {  # of Table 1
    ("cifar100", "ResNet18"): ("NoLS", "ULS", "CLS", "SEMLS"),
    ("cifar10", "ResNet18"): PAPER_METHODS,
    ("cifar100", "ResNet34"): ("NoLS", "ULS", "CLS", "SEMLS"),
    ("cifar10", "ResNet34"): PAPER_METHODS,
}
# Section 6.2: what Table 1 has and the figures have not.
TUNED = {
    "paper": {"epochs": 120, "drops": (40, 80)},
    # Chosen by NoLS on validation images of CIFAR-100, one seed: drops after 5 and 10 were worse.
    "reduced": {"epochs": 16, "drops": (9, 13)},
    "lab": {"drops": (15, 25)},
    "smoke": {"drops": (1,)},
}
REGULARIZED = {"weight_decay": 5e-4, "augment": True, "keep_best": True}
# All training images on a narrow network: hours on two cores, minutes on an accelerator.
REDUCED = {"width": 16, "precision": "auto"}
# For any two cores in an hour: a narrower network, few images and epochs, smaller batches that make up for
# some of the steps. At rates 0.1 and 0.01 these are enough to learn 97 to 100 % of the images of CIFAR-100
# by heart.
LAB = {
    "width": 8,
    "train_images": 2_000,
    "eval_images": 1_000,
    "epochs": 30,
    "batch_size": 32,
}
SMOKE_IMAGES = {
    "dataset": "digits",
    "model": "ResNet8",
    "width": 8,
    "epochs": 2,
    "train_images": 96,
    "eval_images": 64,
}
SCALES = {"paper": {}, "reduced": REDUCED, "lab": LAB, "smoke": SMOKE_IMAGES}


def image_runs(dataset, model, methods, scale, **fields):
    """A run for each seed of the scale and each method."""
    fields = {"dataset": dataset, "model": model, **fields, **SCALES[scale], "scale": scale}
    return [
        ImageRun(method=method, seed=seed, **fields) for seed in range(SEEDS[scale]) for method in methods
    ]


def seed_by_seed(runs):
    """Runs in the order of their seeds, so that a sweep that is stopped has whole seeds."""
    return sorted(runs, key=lambda run: run.seed)


def table1(scale="paper"):
    """Section 6.2, Table 1: two datasets, two networks, three or four methods."""
    cells = CELLS if scale != "smoke" else {("digits", "ResNet8"): CELLS["cifar100", "ResNet18"]}
    if scale == "reduced":
        cells = cells | {("cifar100", "ResNet18"): cells["cifar100", "ResNet18"] + PREFERRING}
    runs = [
        run
        for (dataset, model), methods in cells.items()
        for run in image_runs(dataset, model, methods, scale, **REGULARIZED | TUNED[scale])
    ]
    if scale == "reduced":  # a network after the other, the large one with fewer seeds
        return [run for run in runs if run.model == "ResNet18" or run.seed < 3]
    return seed_by_seed(runs)


def sharpened(scale="paper"):
    """Beyond the paper: Table 1's CIFAR-100 and ResNet-18 with thetas that prefer more strongly.

    The runs of NoLS, ULS, CLS and SEMLS are those of Table 1.
    """
    methods = ("NoLS", "ULS", "ULS-others", "CLS", "SEMLS", "SEMLS^4", "SEMLS^8", "SEMLS@5")
    return image_runs("cifar100", "ResNet18", methods, scale, **REGULARIZED | TUNED[scale])


def figure3(scale="paper"):
    """Section 6.3, Figures 3 and 5: ResNet-18 on CIFAR-100 at four constant learning rates."""
    return _dynamics("cifar100", "ResNet18", scale)


def figure4(scale="paper"):
    """Section 6.3, Figure 4: ResNet-34 on CIFAR-10 at four constant learning rates."""
    runs = _dynamics("cifar10", "ResNet34", scale)
    # Ten classes are learnt by heart in fewer epochs than a hundred.
    fewer = {"reduced": {"epochs": 45}, "lab": {"epochs": 16}}.get(scale, {})
    return [dataclasses.replace(run, **fewer) for run in runs]


def _dynamics(dataset, model, scale):
    # So many epochs that NoLS knows the training images by heart after two thirds of them.
    fields = {"train_images": 10_000, "eval_images": 5_000, "epochs": 60} if scale == "reduced" else {}
    return seed_by_seed(
        run
        for learning_rate in LEARNING_RATES
        for run in image_runs(
            dataset, model, PAPER_METHODS, scale, learning_rate=learning_rate, gradient_parts=True, **fields
        )
        if scale != "reduced" or run.seed < 3
    )


SWEEPS = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "figure3": figure3,
    "figure4": figure4,
    "figure5": figure3,
    "goemotions": goemotions,
    "tuning": tuning,
    "sharpened": sharpened,
}
CURVES = ("figure3", "figure4", "figure5")  # kept as a row a run and epoch
TEXTS = ("table2", "table3", "goemotions", "tuning")
IMAGE_SCALES = ("reduced", "lab")


def sweep_runs(sweep, scale="paper", vectors=None):
    """The runs of a sweep.

    Args:
        sweep: a name of `SWEEPS`.
        scale: "paper"; for images alone "reduced", or "lab" for an hour; or "smoke" for a try.
        vectors: word vectors of runs on texts, as `load_vectors` takes them; None for the default.

    Raises:
        ValueError: if the sweep has no such scale, or no use for vectors.
    """
    if sweep not in TEXTS:
        if vectors:
            raise ValueError("--vectors is for texts. Thetas of images come with the package.")
        return SWEEPS[sweep](scale)
    if scale in IMAGE_SCALES:
        raise ValueError(f"{sweep} has no {scale} scale: two cores finish it at the paper's.")
    return SWEEPS[sweep](scale, **({"vectors": vectors} if vectors else {}))
