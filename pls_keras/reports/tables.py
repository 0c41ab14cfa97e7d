"""Tables of results beside the paper's, as Markdown, each with what it stands on."""

import dataclasses
import pathlib
import re

import numpy as np
import pandas as pd

from pls_keras.reports import paper
from pls_keras.reports.comparison import (
    BASELINE,
    SIGNIFICANCE,
    adjust_by_holm,
    cell,
    compare_methods,
    describe_difference,
    detectable_errors,
    markdown,
)
from pls_keras.reports.observations import check_observations, format_checks

# Metric: title, factor and decimals in a table.
COLUMNS = {
    "macro_f1": ("macro F1, %", 100, 2),
    "accuracy": ("accuracy, %", 100, 2),
    "generalization_error": ("generalization error, %", 100, 2),
    "grad_norm": ("gradient norm", 1, 3),
    "ece": ("calibration error, %", 100, 1),
    "nll": ("cross-entropy", 1, 3),
    "val_macro_f1": ("validation macro F1, %", 100, 2),
    "val_nll": ("validation cross-entropy", 1, 3),
    "train_accuracy": ("training accuracy, %", 100, 1),
    "test_accuracy": ("test accuracy, %", 100, 1),
    "cluster_accuracy": ("cluster accuracy, %", 100, 2),
    "mistakes_in_cluster": ("mistakes within the cluster, %", 100, 1),
    "cluster_share": ("second to fifth guesses within the cluster, %", 100, 1),
    "mistake_severity": ("severity of mistakes", 1, 3),
}
CALIBRATION = ("ece", "nll")
LEARNED = ("train_accuracy", "test_accuracy")
MISTAKES = ("cluster_accuracy", "mistakes_in_cluster", "cluster_share", "mistake_severity")
STARS = f"A star marks what differs from {BASELINE} after Holm's correction."
UNFINISHED = "No seed or fold is finished for every method on one kind of machine yet. Let the sweep go on."
KEPT = ("key", "dataset", "method", "seed", "scale")  # columns that each table of results has
ANEW = "Take it from the repository, or write it anew: remove it, then report with --store."
OBSERVED = ("figure3", "figure4")  # whose curves the paper's observations are read off
# Pairs are of one machine: on another, sums of floats round otherwise.
MACHINE = ("hardware", "backend", "precision", "jit_compile")
# What all runs of a table have in common: field and the words around its values.
FACTS = {
    "smoothing_ratio": "ε = {}",
    "model": "model {}",
    "width": "width {}",
    "train_images": "{} training images",
    "epochs": "{} epochs",
    "batch_size": "batches of {}",
    "augment": "cropped and mirrored at random: {}",
    "weight_decay": "weight decay {}",
    "precision": "in {}",
    "jit_compile": "compiled by XLA: {}",
    "vectors": "word vectors {}",
    "scale": "scale {}",
    "backend": "on {}",
    "hardware": "{}",
}
WORDS = {  # what stands in a run's record, for a reader
    **paper.DATASETS,
    "True": "yes",
    "False": "no",
    "auto": "where it is faster",
    "mixed_bfloat16": "bfloat16",
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "torch": "PyTorch",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """How the runs of a sweep become a table.

    Attributes:
        title: what the table shows.
        metric: the score that methods are compared in.
        others: further scores to show.
        row: what the name of a row is made of, in the words of `row_names`.
        pairs: columns that say which runs of different methods belong together.
        unit: what these are called.
        overlap: as for `compare_methods`.
        baselines: methods that the others are tested against. The table shows the first.
        paper: the paper's cells, with columns row, method, mean and std; None where it has none.
        curve: column whose curves are drawn, of reports of training dynamics.
        reliability: whether reliability diagrams are drawn.
        mistakes: whether a second table compares where mistakes and further guesses lie (`MISTAKES`),
            in those rows whose runs have these scores.
    """

    title: str
    metric: str
    others: tuple = CALIBRATION
    row: str = "{data}"
    pairs: tuple = ("seed",)
    unit: str = "seeds"
    overlap: float = 0.0
    baselines: tuple = (BASELINE,)
    paper: pd.DataFrame | None = None
    curve: str | None = None
    reliability: bool = False
    mistakes: bool = False


REPORTS = {
    "table1": Report(
        title="Table 1: test accuracy on CIFAR",
        metric="accuracy",
        row="{data}, {network}",
        baselines=(BASELINE, "ULS"),
        paper=paper.TABLE1,
        reliability=True,
        mistakes=True,
    ),
    "table2": Report(
        title="Table 2: macro F1 on emotion corpora, five-fold cross-validation",
        metric="macro_f1",
        pairs=("fold",),
        unit="folds",
        overlap=1 / 4,
        paper=paper.TABLE2,
    ),
    "table3": Report(
        title="Table 3: macro F1 with 3, 5 and 7 classes of CBET, three samples of classes, five folds",
        metric="macro_f1",
        pairs=("sample", "fold"),
        unit="folds of three samples of classes",
        overlap=1 / 4,
        paper=paper.TABLE3,
    ),
    "goemotions": Report(
        title="GoEmotions: macro F1 with 27 emotions, official split",
        metric="macro_f1",
        baselines=(BASELINE, "ULS"),
        mistakes=True,
    ),
    "tuning": Report(
        title="The text classifier's choice: NoLS on validation texts of two folds",
        metric="val_macro_f1",
        others=("val_nll",),
        pairs=("fold",),
        unit="folds",
        overlap=1 / 4,
        baselines=("chosen",),
    ),
    "sharpened": Report(
        title="Thetas that prefer more strongly: test accuracy on CIFAR-100",
        metric="accuracy",
        row="{data}, {network}",
        reliability=True,
        # The last leaves the true class the same mass as SEMLS.
        baselines=(BASELINE, "ULS", "ULS-others"),
        mistakes=True,
    ),
    "figure3": Report(
        title="Figure 3: generalization error after the last epoch, ResNet-18 on CIFAR-100",
        metric="generalization_error",
        others=LEARNED,
        row="learning rate {learning_rate:g}",
        curve="generalization_error",
    ),
    "figure4": Report(
        title="Figure 4: gradient norm, mean of all epochs, ResNet-34 on CIFAR-10",
        metric="grad_norm",
        others=LEARNED,
        row="learning rate {learning_rate:g}",
        curve="grad_norm",
    ),
    "figure5": Report(
        title="Figure 5: gradient norm, mean of all epochs, ResNet-18 on CIFAR-100",
        metric="grad_norm",
        others=LEARNED,
        row="learning rate {learning_rate:g}",
        curve="grad_norm",
    ),
}


def row_names(runs, report):
    """The name of each run's row in a report's table, from the run's columns.

    Beside these, `data` is the data set in words, or the number of classes where a run has some of them
    alone, and `network` the model's name as the paper has it.

    Args:
        runs: `DataFrame` with a row a run.
        report: one of `REPORTS`.

    Returns:
        `Series` of text.
    """
    rows = []
    for run in runs.to_dict("records"):
        classes = run.get("classes")
        data = f"{classes.count('+') + 1} classes" if classes else _plain(run["dataset"])
        network = _plain(run.get("model", ""))
        rows.append(report.row.format(data=data, network=network, **run))
    return pd.Series(rows, index=runs.index, name="row")


def load_results(name, scale, folder="results"):
    """Results that were kept as CSV.

    Args:
        name: "table1", "figure3", "table1_reliability", …
        scale: one of `pls_keras.experiments.sweeps.SCALES`.
        folder: where `name`.csv lies; by default as seen from the notebooks.

    Returns:
        `DataFrame`.

    Raises:
        FileNotFoundError: if there is no such file, or nothing of this scale in it.
        ValueError: if it is no table of results.
    """
    csv = pathlib.Path(folder) / f"{name}.csv"
    table = read_kept(csv) if csv.is_file() else pd.DataFrame({"scale": []})
    table = table[table["scale"] == scale]
    if table.empty:
        raise FileNotFoundError(
            f"No results of {name} at scale {scale} in {csv}. A notebook needs the repository's folder "
            "notebooks/results beside it."
        )
    return table.fillna({"classes": ""})


def read_kept(csv):
    """A CSV of kept results as a `DataFrame`; a `ValueError` that names it if it is none."""
    try:
        table = pd.read_csv(csv, dtype={"classes": str})
    except ValueError as error:  # it is empty, binary, or its rows differ in length
        raise ValueError(f"{csv} is not a CSV file: {error}. {ANEW}") from error
    if lacking := [name for name in KEPT if name not in table]:
        raise ValueError(f"{csv} is no table of results: it lacks the columns {lacking}. {ANEW}")
    return table


def report_text(name, scale, folder="results", *, details=True):
    """A report from results that were kept, as Markdown.

    Args:
        name: one of `REPORTS`, or "observations".
        scale: one of `pls_keras.experiments.sweeps.SCALES`.
        folder: as for `load_results`.
        details: whether observations, and the table of mistakes, come with each difference that was
            tested.

    Returns:
        Text, or None where nothing of this scale is kept.
    """
    names = OBSERVED if name == "observations" else (name,)
    try:
        tables = [load_results(part, scale, folder) for part in names]
    except FileNotFoundError:
        return None
    if name == "observations":
        checks = format_checks(check_observations(*map(whole_seeds, tables)), details=details)
        return f"**The paper's observations, scale {scale}**\n\n{checks}"
    [table] = tables
    results = results_of_curves(table) if "epoch" in table else table
    return format_report(results, REPORTS[name], details=details)


def whole_seeds(curves):
    """The curves of those seeds that every method has finished at every learning rate on one machine.

    Args:
        curves: `DataFrame` with a row a run and epoch, as in `figure3.csv`.

    Returns:
        `DataFrame`: the rows that can be compared.

    Raises:
        ValueError: if there are none.
    """
    cells = ["learning_rate", "method"]
    machine = [name for name in MACHINE if name in curves]
    runs = curves.drop_duplicates(["seed", *cells, *machine])
    finished = runs.groupby(["seed", *machine], dropna=False).size()
    whole = finished[finished == len(runs[cells].drop_duplicates())]
    if whole.empty:
        raise ValueError(UNFINISHED)
    index = pd.MultiIndex.from_frame(curves[["seed", *machine]])
    return curves[index.isin(whole.index)]


def results_of_curves(curves):
    """Scores of runs from their curves, in the form of `RunStore.results`.

    Args:
        curves: `DataFrame` with a row a run and epoch, as in `figure3.csv`.

    Returns:
        `DataFrame` with a row a run and metric: `grad_norm` is the mean of all epochs, all else what it
        was after the last.
    """
    last = curves[curves["epoch"] == curves.groupby("key")["epoch"].transform("max")].copy()
    last["grad_norm"] = last["key"].map(curves.groupby("key")["grad_norm"].mean())
    last["seconds"] = last["key"].map(curves.groupby("key")["seconds"].sum())
    scores = ["generalization_error", "grad_norm", "train_accuracy", "test_accuracy"]
    last.loc[last["generalization_error"].isna(), ["grad_norm"]] = np.nan  # of a run that diverged
    last["epochs"] = last["epoch"]
    names = ("key", "dataset", "learning_rate", "method", "theta", "seed", *FACTS, "seconds")
    fields = [name for name in dict.fromkeys(names) if name in last]
    return last.melt(fields, scores, var_name="metric")


def whole_pairs(runs, report):
    """The runs of those seeds or folds that every method of their row has finished on one machine.

    Args:
        runs: `DataFrame` with a row a run.
        report: one of `REPORTS`.

    Returns:
        `DataFrame`: the rows that can be compared, with a column `row`, the name of each in the report.
    """
    runs = runs.assign(row=row_names(runs, report))
    machine = [name for name in MACHINE if name in runs]
    finished = runs.groupby(["row", *report.pairs, *machine], dropna=False)["method"].transform("size")
    return runs[finished == runs.groupby("row")["method"].transform("nunique")].copy()


def compare_with_paper(results, report, baseline=BASELINE, metric=None):
    """Ours beside the paper's.

    Args:
        results: `DataFrame` with a row a run and metric, as `RunStore.results` returns.
        report: one of `REPORTS`.
        baseline: method to compare with.
        metric: the score to compare; None for the report's.

    Returns:
        `DataFrame` with a row for each row of the paper's table and method: `n`, `mean` and `std` of
        the metric, `paper_mean`, `paper_std`, `difference` from the baseline over the same folds or
        seeds, its `margin`, `p` and `detectable`, and the means of the report's other scores, in the
        units of `COLUMNS`. Folds or seeds that some method has not finished on the same kind of machine
        do not count, nor do runs without the metric.
    """
    metric = metric or report.metric
    names = list(dict.fromkeys([metric, *report.others]))
    wide = results[results["metric"].isin(names)].pivot(index="key", columns="metric", values="value")
    runs = results.drop(columns=["metric", "value"]).drop_duplicates("key").join(wide, on="key")
    runs = whole_pairs(runs[runs[metric].notna()], report)
    runs[names] *= [COLUMNS[name][1] for name in names]
    order = list(dict.fromkeys(results["method"]))
    parts = []
    for row in sorted(runs["row"].unique(), key=paper_order(report, runs)):
        here = runs[runs["row"] == row].sort_values("method", key=lambda m: m.map(order.index))
        if baseline not in set(here["method"]):
            continue
        compared = compare_methods(here, metric, baseline, pairs=list(report.pairs), overlap=report.overlap)
        means = here.groupby("method")[list(report.others)].mean()
        parts.append(compared.join(means).rename_axis("method").reset_index().assign(row=row))
    if not parts:
        raise ValueError(UNFINISHED)
    table = pd.concat(parts, ignore_index=True)
    cells = report.paper if report.paper is not None else pd.DataFrame(columns=paper.COLUMNS)
    cells = cells.rename(columns={"mean": "paper_mean", "std": "paper_std"})
    return table.merge(cells, on=["row", "method"], how="left")


def paper_order(report, runs):
    """The key that sorts names of rows as the paper's table has them, its own first.

    Args:
        report: one of `REPORTS`.
        runs: `DataFrame` with a column `row`.
    """
    rows = [] if report.paper is None else list(report.paper["row"].unique())
    rows += [row for row in runs["row"].unique() if row not in rows]
    return rows.index


def format_report(results, report, *, details=True):
    """The table as Markdown, an honest sentence for each row, and what the runs stand on.

    Args:
        results: `DataFrame` as for `compare_with_paper`.
        report: one of `REPORTS`.
        details: whether the table of mistakes comes with a sentence for each of its comparisons.
    """
    table = compare_with_paper(results, report, report.baselines[0])
    title, _, decimals = COLUMNS[report.metric]
    shown = {
        "data": table["row"],
        "method": table["method"],
        "n": table["n"].astype(int),
        title: [cell(m, s, decimals) for m, s in zip(table["mean"], table["std"], strict=True)],
    }
    if report.paper is not None:
        paper_cells = zip(table["paper_mean"], table["paper_std"], strict=True)
        shown["the paper's"] = [cell(mean, std) for mean, std in paper_cells]
    shown[f"from {report.baselines[0]}"] = [
        "" if method == report.baselines[0] else f"{difference:+.{decimals}f}"
        for method, difference in zip(table["method"], table["difference"], strict=True)
    ]
    shown["p"] = ["" if np.isnan(p) else "< 0.01" if p < 0.01 else f"{p:.2f}" for p in table["p"]]
    for name in report.others:
        other, _, decimals = COLUMNS[name]
        shown[other] = table[name].map(f"{{:.{decimals}f}}".format)
    sentences = [*_sentences(results, report, report.metric), *_power(results, report)]
    blocks = [f"**{report.title}**", markdown(pd.DataFrame(shown)), _bullets(sentences)]
    if mistakes := mistakes_of(results, report):
        blocks += [f"**Which mistakes?** {STARS}", markdown(_table_of_mistakes(results, report))]
        if details:
            blocks.append(
                _bullets(line for metric in mistakes for line in _sentences(results, report, metric))
            )
    return "\n\n".join([*blocks, _bullets(_notes(results, report, table))])


def _sentences(results, report, metric):
    """Whether any method differs in a metric: a sentence for each baseline and row."""
    title = COLUMNS[metric][0].partition(",")[0]
    for baseline in report.baselines:
        compared = compare_with_paper(results, report, baseline, metric)
        for row in compared["row"].unique():
            here = compared[compared["row"] == row].set_index("method")
            yield f"{row}: {describe_difference(here, title, report.unit, baseline)}"


def _power(results, report):
    """What the tests could have seen, alone and where Holm's correction begins: a sentence for each row."""
    found, methods = {}, {}
    metrics = [report.metric, *(set(report.others) & {"ece"}), *mistakes_of(results, report)]
    for metric in metrics:
        compared = compare_with_paper(results, report, report.baselines[0], metric)
        for row, here in compared.dropna(subset="detectable").groupby("row", sort=False):
            n, methods[row] = int(here["n"].iloc[0]), len(here)
            # The root mean square over the methods, which is that of the noise of all.
            alone = (here["detectable"] ** 2).mean() ** 0.5
            first = alone * detectable_errors(n, SIGNIFICANCE / len(here)) / detectable_errors(n)
            corrected = f" ({_two_digits(first)})" if len(here) > 1 else ""
            words = f"{_two_digits(alone)}{corrected} in {COLUMNS[metric][0].partition(',')[0]}"
            found.setdefault(row, []).append(words)
    for row, differences in found.items():
        corrected = (
            "; in brackets, what it must be to stand Holm's correction for there being "
            f"{methods[row]}, if no other method differs"
        )
        yield (
            f"{row}: a test here finds a difference of {', '.join(differences)} in four of five "
            f"experiments (power 80 %){corrected if methods[row] > 1 else ''}."
        )


def _two_digits(number):
    """A number as text, to its second digit and without an exponent."""
    return np.format_float_positional(number, precision=2, fractional=False, trim="-")


def mistakes_of(results, report):
    """The scores of mistakes that these results have and the report shows."""
    return MISTAKES if report.mistakes and set(MISTAKES) <= set(results["metric"]) else ()


def _table_of_mistakes(results, report):
    columns = {}
    for metric in MISTAKES:
        table = compare_with_paper(results, report, BASELINE, metric)
        adjusted = table.groupby("row", sort=False)["p"].transform(adjust_by_holm)
        title, _, decimals = COLUMNS[metric]
        columns |= {"data": table["row"], "method": table["method"], "n": table["n"].astype(int)}
        columns[title] = [
            cell(mean, std, decimals) + (" *" if p < SIGNIFICANCE else "")
            for mean, std, p in zip(table["mean"], table["std"], adjusted, strict=True)
        ]
    return pd.DataFrame(columns)


def _bullets(lines):
    return "\n".join(f"- {line}" for line in dict.fromkeys(lines))


def _notes(results, report, table):
    """What the runs stand on: data that is not whole, earlier thetas, settings, hardware, time."""
    runs = results.drop_duplicates("key")
    notes = []
    measured = results[(results["metric"] == report.metric) & results["value"].notna()]["key"]
    diverged = runs[~runs["key"].isin(measured)]
    names = [
        f"{_plain(run['dataset'])} {run['method']} seed {run['seed']}"
        for run in diverged.to_dict("records")
    ]
    if names:
        notes.append(f"Diverged, and in no mean: {', '.join(names)}.")
    if unpaired := len(runs) - len(diverged) - int(table["n"].sum()):
        notes.append(
            f"Runs not counted: {unpaired}, whose seed or fold lacks a method on the same machine."
        )
    fractions = results[results["metric"] == "fraction"].groupby("dataset")["value"].first()
    for dataset, fraction in fractions.items():
        if fraction < 1:
            notes.append(
                f"{_plain(dataset)} here is {fraction:.0%} of the whole file: its rows are not the paper's "
                "data, and must not be compared as if they were."
            )
    # Since the thetas were built from whole vectors, a run says which one it had.
    unsaid = runs["theta"].isna() if "theta" in runs else True
    for dataset in runs.loc[runs["method"].str.startswith("SEMLS") & unsaid, "dataset"].unique():
        notes.append(
            f"SEMLS on {_plain(dataset)}: an earlier theta than the package's, from 50-dimensional word "
            "vectors that lacked some labels."
        )
    hours = runs["seconds"].sum() / 3600
    took = f"{len(runs)} runs, {hours:.1f} hours of training in all."
    machine = [name for name in MACHINE if name in runs]
    parts = [part for _, part in runs.groupby(machine, dropna=False, sort=False)] if machine else [runs]
    if len(parts) == 1:
        return [*notes, f"{_facts(runs, FACTS)}; {took}"]
    notes.append(f"{_facts(runs, [name for name in FACTS if name not in MACHINE])}; {took}")
    every = row_names(runs, report).nunique()
    for part in parts:
        rows = row_names(part, report).unique()
        where = f"{' and '.join(rows)}: " if len(rows) < every else ""
        notes.append(f"{where}{len(part)} runs; {_facts(part, machine)}.")
    return notes


def _facts(runs, names):
    """What all of these runs have in common, as far as they say it."""
    return "; ".join(
        FACTS[name].format(", ".join(dict.fromkeys(map(_plain, runs[name]))))
        for name in names
        if name in runs and runs[name].notna().all()
    )


def _plain(value):
    """A value of a run in the words of a reader."""
    value = f"{value:g}" if isinstance(value, float) else str(value)
    return WORDS.get(value, re.sub(r"^ResNet(?=\d)", "ResNet-", value))
