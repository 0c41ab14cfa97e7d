"""The commands `run` and `report`."""

import pathlib
import re

TABLES = ("table1", "table2", "table3", "goemotions", "sharpened", "tuning")
DYNAMICS = ("figure3", "figure4", "figure5")
TEXTS = ("table2", "table3", "goemotions", "tuning")  # sweeps on texts
SHARED = {"sharpened": "table1"}  # some runs of the first are runs of the second
SCALES = ("paper", "lab", "smoke")
RESULTS = pathlib.Path("notebooks/results")
README_FIGURE = re.compile(r"\(([^()]+)/(figure[345])_(\w+)\.png\)")
README_TABLE = re.compile(r"<!-- (\w+) -->\n.*?<!-- end of \1 -->", re.DOTALL)
CURVE_COLUMNS = [
    "key",
    "dataset",
    "model",
    "width",
    "method",
    "smoothing_ratio",
    "learning_rate",
    "seed",
    "scale",
    "train_images",
    "batch_size",
    "precision",
    "jit_compile",
    "hardware",
    "backend",
    "epoch",
    "seconds",
    "grad_norm",
    "grad_norm_std",
    "grad_norm_max",
    "train_accuracy",
    "test_accuracy",
    "generalization_error",
    "train_loss",
    "test_loss",
    "grad_norm_label",
    "grad_norm_smoothing",
    "grad_cosine",
]
BIN_COLUMNS = [
    "key",
    "dataset",
    "model",
    "method",
    "seed",
    "scale",
    "bin",
    "samples",
    "confidence",
    "accuracy",
]


def add_run(commands):
    """Add `run` to the parser's commands."""
    run = commands.add_parser(
        "run",
        help="train all runs of a table or figure; goes on where it was stopped",
        description="Train the runs of a sweep that the store does not hold yet. Stop it at any "
        "moment and start it again: finished runs stay, and runs on images go on from their last epoch.",
    )
    run.add_argument("sweep", choices=[*TABLES, *DYNAMICS])
    run.add_argument(
        "--scale",
        choices=SCALES,
        default="paper",
        help="paper, lab for two cores (images alone), or smoke for a try (paper)",
    )
    run.add_argument("--workers", type=int, default=1, help="runs at a time (1)")
    run.add_argument("--threads", type=int, default=1, help="threads of each worker (1)")
    run.add_argument("--engine", choices=["joblib", "ray"], default="joblib", help="(joblib)")
    run.add_argument("--store", default="pls-runs", help="folder of finished runs (pls-runs)")
    run.add_argument(
        "--vectors", help="for texts: GloVe or word2vec file, or gensim name (glove-wiki-gigaword-300)"
    )
    run.add_argument(
        "--skip", type=pathlib.Path, help="folder of kept results: leave out the runs that it holds"
    )
    run.set_defaults(run=_run)


def _run(options):
    from pls_keras.experiments.runner import run_sweep
    from pls_keras.experiments.store import RunStore

    runs = _runs(options.sweep, options.scale, options.vectors)
    if options.skip:
        kept = _read_kept(options.skip, options.sweep, runs)
        if kept is None:
            raise ValueError(f"--skip: {options.skip} holds no results of {options.sweep}.")
        done = set(kept["key"])
        runs = [run for run in runs if run.key not in done]
    run_sweep(
        runs,
        RunStore(options.store),
        workers=options.workers,
        engine=options.engine,
        threads=options.threads,
    )
    print(f"Done. See: python -m pls_keras report {options.sweep} --store {options.store}")


def add_report(commands):
    """Add `report` to the parser's commands."""
    report = commands.add_parser(
        "report",
        help="print a table beside the paper's, with paired tests, or draw a figure",
        description="Print a table, or draw a figure, from results that are kept as CSV. With --store, "
        "the finished runs of a store come in first, and all that is printed or drawn is kept. "
        "`report readme` writes the tables into README.md, between comments that name them.",
    )
    report.add_argument("sweep", choices=[*TABLES, "figure2", *DYNAMICS, "observations", "readme"])
    report.add_argument("--scale", choices=SCALES, help="only this scale; else each that there is")
    report.add_argument("--store", help="folder of finished runs to add")
    report.add_argument("--vectors", help="as given to run")
    report.add_argument("--results", type=pathlib.Path, default=RESULTS, help=f"folder ({RESULTS})")
    report.set_defaults(run=_report)


def _report(options):
    import matplotlib

    from pls_keras.report import report_text

    matplotlib.use("Agg")
    if options.store:
        options.results.mkdir(parents=True, exist_ok=True)
        _merge(options)
    if options.sweep == "figure2":
        _draw_figure2(options.results)
        return
    if options.sweep == "readme":
        _write_readme(options)
        return
    scales = [options.scale] if options.scale else SCALES
    texts = []
    for scale in scales:
        if text := report_text(options.sweep, scale, options.results):
            texts.append(text)
            if options.store or options.sweep in DYNAMICS:
                _draw(options.sweep, scale, options.results)
    if not texts:
        raise ValueError(
            f"No results of {options.sweep} in {options.results}. Train them with: python -m pls_keras run "
            f"{options.sweep.replace('observations', 'figure3')}, then add --store pls-runs"
        )
    text = "\n\n".join(texts)
    print(text)
    if options.store:
        (options.results / f"{options.sweep}.md").write_text(text + "\n", encoding="utf-8")


def _merge(options):
    """Add the store's finished runs to the kept results."""
    import pandas as pd

    from pls_keras.experiments.store import RunStore
    from pls_keras.experiments.sweeps import candidate_names

    store, sweep = RunStore(options.store), options.sweep
    if sweep in ("figure2", "observations", "readme"):
        return
    scales = [scale for scale in SCALES if scale != "lab" or sweep not in TEXTS]
    runs = [run for scale in scales for run in _runs(sweep, scale, options.vectors)]
    curves = sweep in DYNAMICS
    tables = {sweep: (store.histories if curves else store.results)(runs)}
    if sweep in ("table1", "sharpened"):
        tables[f"{sweep}_reliability"] = store.reliability(runs)
    for name, table in tables.items():
        if table.empty:
            continue
        if sweep == "tuning":  # candidates are compared as methods are
            table["method"] = table["key"].map(candidate_names(options.vectors))
        row = ["key", "epoch"] if curves else ["key", "bin"] if name != sweep else ["key", "metric"]
        columns = CURVE_COLUMNS if curves else BIN_COLUMNS if name != sweep else list(table)
        parts = [_read_kept(options.results, name, runs), table[columns]]
        merged = pd.concat(parts, ignore_index=True).drop_duplicates(row, keep="last")
        merged.to_csv(options.results / f"{name}.csv", index=False, float_format="%.6g")


def _draw(sweep, scale, folder):
    """Draw the pictures of a report beside its results."""
    from pls_keras.report import load_results

    if sweep in DYNAMICS:
        _draw_curves(load_results(sweep, scale, folder), sweep, scale, folder)
    elif sweep in ("table1", "sharpened"):
        _draw_reliability(sweep, scale, folder)


def _write_readme(options):
    """Put each table between `<!-- table2 -->` and `<!-- end of table2 -->`, and draw the pictures."""
    from pls_keras.report import load_results, report_text

    path = pathlib.Path("README.md")
    text = path.read_text(encoding="utf-8")

    def table(match):
        texts = (report_text(match[1], scale, options.results, details=False) for scale in SCALES)
        found = next((text for text in texts if text), "Not measured yet.")
        return f"<!-- {match[1]} -->\n{found}\n<!-- end of {match[1]} -->"

    path.write_text(README_TABLE.sub(table, text), encoding="utf-8")
    for folder, sweep, scale in README_FIGURE.findall(text):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        _draw_curves(load_results(sweep, scale, options.results), sweep, scale, pathlib.Path(folder))
    print(f"Wrote {path}")


def _draw_figure2(folder):
    from pls_keras.theta import Theta

    theta = Theta.load("cifar10-semls")
    print(theta.to_frame().round(3).to_string())
    folder.mkdir(parents=True, exist_ok=True)
    _save(theta.plot(), folder / "figure2.png")


def _draw_curves(curves, sweep, scale, folder):
    from pls_keras.plots import plot_learning_rates

    column = "generalization_error" if sweep == "figure3" else "grad_norm"
    _save(plot_learning_rates(curves, column), folder / f"{sweep}_{scale}.png")
    parts = ["grad_norm_label", "grad_norm_smoothing", "grad_cosine"]
    if sweep != "figure3":
        _save(plot_learning_rates(curves, parts), folder / f"{sweep}_{scale}_parts.png")


def _draw_reliability(sweep, scale, folder):
    import matplotlib.pyplot as plt

    from pls_keras.plots import plot_reliability
    from pls_keras.report import REPORTS, load_results
    from pls_keras.style import RC

    bins = load_results(f"{sweep}_reliability", scale, folder)
    cells = list(bins.groupby(REPORTS[sweep].rows(bins), sort=False))
    size = (4.2 * len(cells), 4.4)
    with plt.rc_context(RC):
        _, axes = plt.subplots(1, len(cells), figsize=size, layout="constrained", squeeze=False)
    for ax, (row, part) in zip(axes[0], cells, strict=True):
        plot_reliability(part, ax=ax).set_title(row)
    _save(axes, folder / f"{sweep}_{scale}_reliability.png")


def _save(axes, path):
    import matplotlib.pyplot as plt
    import numpy as np

    figure = np.ravel(axes)[0].figure
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
    print(f"Wrote {path}")


def _read_kept(folder, name, runs):
    """The kept CSV `name`, and the rows of these runs that a sweep which shares them has kept.

    None where there is neither.
    """
    import pandas as pd

    names = [name.replace(sweep, other) for sweep, other in SHARED.items() if name.startswith(sweep)]
    tables = []
    for csv in (folder / f"{kept}.csv" for kept in (*names, name)):
        if csv.is_file():
            table = pd.read_csv(csv, dtype={"classes": str})
            table = table if csv.stem == name else table[table["key"].isin([run.key for run in runs])]
            tables.append(table.fillna({"classes": ""}) if "classes" in table else table)
    return pd.concat(tables, ignore_index=True) if tables else None


def _runs(sweep, scale, vectors):
    from pls_keras.experiments.sweeps import SWEEPS

    if sweep not in TEXTS:
        if vectors:
            raise ValueError("--vectors is for texts. Thetas of images come with the package.")
        return SWEEPS[sweep](scale)
    if scale == "lab":
        raise ValueError(f"{sweep} has no lab scale: two cores finish it at the paper's.")
    return SWEEPS[sweep](scale, **({"vectors": vectors} if vectors else {}))
