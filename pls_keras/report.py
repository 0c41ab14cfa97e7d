"""Tables of results: mean ± standard deviation, paired tests between methods, the paper's beside."""

import dataclasses

import numpy as np
import pandas as pd
import scipy.stats

from pls_keras import paper
from pls_keras.theta import Theta

BASELINE = "NoLS"


def compare_methods(scores, metric, baseline=BASELINE, *, pairs="seed", overlap=0.0):
    """Mean and spread of a metric by method, and its paired difference from a baseline.

    Args:
        scores: `DataFrame` with a row a run and columns `method`, `metric` and `pairs`. Every method
            has the same seeds or folds.
        metric: name of a column.
        baseline: method to compare with.
        pairs: column, or list of columns, that says which runs belong together: seeds or folds.
        overlap: test samples over training samples, where `pairs` are folds; 0 for seeds. Training
            sets of folds overlap, so that their scores are not independent, and a plain t-test calls
            noise a difference too often. The variance of the mean is then (1/n + overlap) of the
            sample's rather than 1/n (Nadeau and Bengio 2003, "Inference for the generalization
            error").

    Returns:
        `DataFrame` indexed by method, in order of appearance: `mean`, `std` (of the sample), `n`,
        `difference` from the baseline over the same pairs, and `p`, two-sided, of the paired t-test;
        NaN for the baseline, and where there are not two pairs.

    Example:
        >>> scores = pd.DataFrame({"method": ["NoLS"] * 3 + ["ULS"] * 3, "seed": [0, 1, 2] * 2,
        ...                        "accuracy": [0.90, 0.92, 0.91, 0.93, 0.94, 0.95]})
        >>> compare_methods(scores, "accuracy").round(3).loc["ULS"].to_dict()
        {'mean': 0.94, 'std': 0.01, 'n': 3.0, 'difference': 0.03, 'p': 0.035}
    """
    by_pair = scores.pivot(index=pairs, columns="method", values=metric)
    if by_pair.isna().any(axis=None):
        raise ValueError(f"Every method must have the same {pairs}. Received:\n{by_pair}")
    table = {}
    for method in scores["method"].unique():
        differences = by_pair[method] - by_pair[baseline]
        n = len(differences)
        # Pairs that all differ by the same amount leave no spread for a test.
        p = np.nan
        if method != baseline and np.ptp(differences) > 0:
            t = differences.mean() / np.sqrt((1 / n + overlap) * differences.var())
            p = 2 * scipy.stats.t.sf(abs(t), n - 1)
        table[method] = {
            "mean": by_pair[method].mean(),
            "std": by_pair[method].std(),
            "n": n,
            "difference": differences.mean(),
            "p": p,
        }
    return pd.DataFrame.from_dict(table, orient="index")


def format_comparison(scores, columns, baseline=BASELINE):
    """A printed table with a line a method.

    Args:
        scores: as for `compare_methods`.
        columns: mapping from metric to (title, factor, decimals), such as
            `{"accuracy": ("accuracy, %", 100, 2)}`.
        baseline: method to compare with.

    Returns:
        Text: mean ± standard deviation of each metric. A star marks p < 0.05 against the baseline.
    """
    table = pd.DataFrame(index=scores["method"].unique())
    for metric, (title, factor, decimals) in columns.items():
        compared = compare_methods(scores, metric, baseline)
        table[title] = [
            _cell(factor * row["mean"], factor * row["std"], decimals) + ("*" if row["p"] < 0.05 else " ")
            for _, row in compared.iterrows()
        ]
    return table.to_string()


def _cell(mean, std, decimals=2):
    if pd.isna(mean):
        return ""
    return f"{mean:.{decimals}f}" + ("" if pd.isna(std) else f" ± {std:.{decimals}f}")


def describe_difference(compared, metric, unit="seeds"):
    """One honest sentence on whether any method differs from the baseline.

    Args:
        compared: what `compare_methods` returned.
        metric: name of the metric, for the sentence.
        unit: what was paired, for the sentence.
    """
    baseline, others = compared.index[0], compared.iloc[1:]
    n = int(others["n"].iloc[0])
    if n < 2:
        return f"One of {unit}: differences in {metric} say nothing about the methods."
    differs = others[others["p"] < 0.05]
    if differs.empty:
        return (
            f"Differences in {metric} from {baseline} are within noise "
            f"(n = {n} {unit}, paired t-test, smallest p = {others['p'].min():.2f})."
        )
    parts = [
        f"{method} {row['difference']:+.3g} (p = {row['p']:.3f})" for method, row in differs.iterrows()
    ]
    return (
        f"{metric} differs from {baseline} beyond noise for {', '.join(parts)}; n = {n} {unit}, paired "
        f"t-tests, not corrected for there being {len(others)}."
    )


@dataclasses.dataclass(frozen=True)
class Report:
    """How the runs of a sweep become a table.

    Attributes:
        title: what the table shows.
        pairs: columns that say which runs of different methods belong together.
        unit: what these are called.
        overlap: as for `compare_methods`.
        paper: the paper's cells, with columns row, method, mean and std; None where it has none.
    """

    title: str
    pairs: tuple
    unit: str
    overlap: float = 0.0
    paper: pd.DataFrame | None = None


METRICS = {"macro_f1": "macro F1, %", "ece": "calibration error, %", "nll": "cross-entropy, nats"}
REPORTS = {
    "table2": Report(
        "Table 2: macro F1 on emotion corpora, LSTM, by five-fold cross-validation",
        pairs=("fold",),
        unit="folds",
        overlap=1 / 4,
        paper=paper.TABLE2,
    ),
    "table3": Report(
        "Table 3: macro F1 with 3, 5 and 7 classes of CBET, three samples of classes, five folds",
        pairs=("sample", "fold"),
        unit="folds of three samples of classes",
        overlap=1 / 4,
        paper=paper.TABLE3,
    ),
    "goemotions": Report(
        "GoEmotions: macro F1 with 27 emotions, official split",
        pairs=("seed",),
        unit="seeds",
    ),
}


def compare_with_paper(results, report):
    """Ours beside the paper's.

    Args:
        results: `DataFrame` with a row a run and metric, as `RunStore.results` returns.
        report: one of `REPORTS`.

    Returns:
        `DataFrame` with a row for each row of the paper's table and method: `n`, `mean` and `std` of
        macro F1 in percent, `paper_mean`, `paper_std`, `difference` from NoLS over the same folds or
        seeds, its `p`, and the means of `ece` in percent and `nll`. Folds or seeds that some method
        has not finished do not count.
    """
    runs = results.pivot(
        index=["key", "dataset", "classes", "method", *report.pairs], columns="metric", values="value"
    ).reset_index()
    counts = runs["classes"].str.count(r"\+") + 1
    runs["row"] = runs["dataset"].where(runs["classes"] == "", counts.astype(str) + " classes")
    runs[["macro_f1", "ece"]] *= 100
    order = list(dict.fromkeys(results["method"]))
    parts = []
    for row in sorted(runs["row"].unique(), key=_paper_order(report)):
        here = runs[runs["row"] == row].sort_values("method", key=lambda m: m.map(order.index))
        finished = here.groupby(list(report.pairs))["method"].transform("size")
        here = here[finished == here["method"].nunique()]
        compared = compare_methods(here, "macro_f1", pairs=list(report.pairs), overlap=report.overlap)
        means = here.groupby("method")[["ece", "nll"]].mean()
        parts.append(compared.join(means).rename_axis("method").reset_index().assign(row=row))
    table = pd.concat(parts, ignore_index=True)
    cells = report.paper if report.paper is not None else pd.DataFrame(columns=paper.COLUMNS)
    cells = cells.rename(columns={"mean": "paper_mean", "std": "paper_std"})
    return table.merge(cells, on=["row", "method"], how="left")


def _paper_order(report):
    rows = [] if report.paper is None else list(report.paper["row"].unique())
    return lambda row: (rows.index(row) if row in rows else len(rows), row)


def format_report(results, report):
    """The table as Markdown, an honest sentence for each row, and what the runs stand on."""
    table = compare_with_paper(results, report)
    shown = pd.DataFrame(
        {
            "data": table["row"],
            "method": table["method"],
            "n": table["n"].astype(int),
            "macro F1, %": [_cell(m, s) for m, s in zip(table["mean"], table["std"], strict=True)],
            "the paper's": [
                _cell(m, s) for m, s in zip(table["paper_mean"], table["paper_std"], strict=True)
            ],
            "from NoLS": [
                "" if method == BASELINE else f"{difference:+.2f}"
                for method, difference in zip(table["method"], table["difference"], strict=True)
            ],
            "p": ["" if np.isnan(p) else f"{p:.2f}" for p in table["p"]],
            "ECE, %": table["ece"].map("{:.1f}".format),
            "NLL": table["nll"].map("{:.3f}".format),
        }
    )
    if report.paper is None:
        shown = shown.drop(columns="the paper's")
    lines = [f"**{report.title}**", "", _markdown(shown), ""]
    for row in table["row"].unique():
        compared = table[table["row"] == row].set_index("method")
        lines.append(f"- {row}: {describe_difference(compared, 'macro F1', report.unit)}")
    return "\n".join([*lines, "", *(f"- {note}" for note in _notes(results))])


def _markdown(table):
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _notes(results):
    """What the runs stand on: data that is not whole, words replaced, vectors, hardware, time."""
    runs = results.drop_duplicates("key")
    notes = []
    fractions = results[results["metric"] == "fraction"].groupby("dataset")["value"].first()
    for dataset, fraction in fractions.items():
        if fraction < 1:
            notes.append(
                f"{dataset} here is {fraction:.0%} of the whole file: its rows are not the paper's data, "
                "and must not be compared as if they were."
            )
        replaced = Theta.load(f"{dataset}-semls").provenance["replace"]
        if replaced:
            words = ", ".join(f"{word} by {other}" for word, other in replaced.items())
            notes.append(f"SEMLS on {dataset}: word vectors of {words}.")
    notes += [
        f"ε = {_joined(runs['smoothing_ratio'])}; model {_joined(runs['model'])}; word vectors "
        f"{_joined(runs['vectors'])}; scale {_joined(runs['scale'])}; {_joined(runs['hardware'])}; "
        f"{len(runs)} runs, {runs['seconds'].sum() / 3600:.1f} hours of training in all."
    ]
    return notes


def _joined(values):
    return ", ".join(dict.fromkeys(str(value) for value in values))
