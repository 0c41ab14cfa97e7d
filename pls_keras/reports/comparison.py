"""Methods compared over the same seeds or folds: mean ± standard deviation, paired tests."""

import functools

import numpy as np
import pandas as pd
import scipy.optimize
import scipy.stats

BASELINE = "NoLS"
SIGNIFICANCE = 0.05
POWER = 0.8


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
        `difference` from the baseline over the same pairs, its `margin` (half of its 95 % confidence
        interval), `p`, two-sided, of the paired t-test, `effect`, the difference in standard deviations
        of the differences, and `detectable`, the difference that such a test would find in four of five
        experiments; the last four are NaN for the baseline, and where there are not two pairs.

    Example:
        >>> scores = pd.DataFrame({"method": ["NoLS"] * 3 + ["ULS"] * 3, "seed": [0, 1, 2] * 2,
        ...                        "accuracy": [0.90, 0.92, 0.91, 0.93, 0.94, 0.95]})
        >>> compare_methods(scores, "accuracy").round(3).loc["ULS", "difference":].to_dict()
        {'difference': 0.03, 'margin': 0.025, 'p': 0.035, 'effect': 3.0, 'detectable': 0.033}
    """
    by_pair = scores.pivot(index=pairs, columns="method", values=metric)
    if by_pair.isna().any(axis=None):
        raise ValueError(f"Every method must have the same {pairs}. Received:\n{by_pair}")
    table = {}
    for method in scores["method"].unique():
        differences = by_pair[method] - by_pair[baseline]
        n = len(differences)
        # Pairs that all differ by the same amount leave no spread for a test.
        margin = p = effect = detectable = np.nan
        if method != baseline and np.ptp(differences) > 0:
            error = np.sqrt((1 / n + overlap) * differences.var())
            margin = error * scipy.stats.t.isf(SIGNIFICANCE / 2, n - 1)
            effect = differences.mean() / differences.std()
            detectable = error * detectable_errors(n)
            p = 2 * scipy.stats.t.sf(abs(differences.mean()) / error, n - 1)
        table[method] = {
            "mean": by_pair[method].mean(),
            "std": by_pair[method].std(),
            "n": n,
            "difference": differences.mean(),
            "margin": margin,
            "p": p,
            "effect": effect,
            "detectable": detectable,
        }
    return pd.DataFrame.from_dict(table, orient="index")


@functools.cache
def detectable_errors(n, significance=SIGNIFICANCE):
    """The difference that a paired t-test of `n` pairs finds with a power of 80 %, in standard errors.

    By the noncentral t distribution, which takes into account that few pairs hardly know their spread.

    Args:
        n: number of pairs, at least 2.
        significance: what p must be below: with Holm's correction, for the smallest of m p-values,
            0.05 / m.
    """
    critical = scipy.stats.t.isf(significance / 2, n - 1)
    return scipy.optimize.brentq(
        lambda nc: scipy.stats.nct.sf(critical, n - 1, nc) - POWER, 0, 10 * critical
    )


def pairs_needed(spread, difference):
    """How many pairs a paired t-test needs to find a difference with a power of 80 %.

    Args:
        spread: standard deviation of the differences within pairs.
        difference: the true difference, in the same unit.

    Returns:
        Number of pairs, at least 2.

    Example:
        >>> pairs_needed(1.0, 1.0), pairs_needed(0.5, 1.0)
        (10, 5)
    """
    n = max(2, int(7.8 * (spread / difference) ** 2))  # of the normal distribution, which asks for too few
    while detectable_errors(n) * spread / n**0.5 > difference:
        n += 1
    return n


def adjust_by_holm(p):
    """P-values of several comparisons, each corrected for there being so many.

    Args:
        p: `Series` of p-values; NaN where nothing was tested.

    Returns:
        `Series` in the same order: one is below 0.05 with a probability of 5 % at most if no method
        differs (Holm 1979, "A simple sequentially rejective multiple test procedure").

    Example:
        >>> adjust_by_holm(pd.Series({"ULS": 0.01, "CLS": 0.2, "SEMLS": 0.02})).to_dict()
        {'ULS': 0.03, 'CLS': 0.2, 'SEMLS': 0.04}
    """
    ascending = p.dropna().sort_values()
    adjusted = (ascending * np.arange(len(ascending), 0, -1)).cummax().clip(upper=1)
    return adjusted.reindex(p.index)


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
            cell(factor * row["mean"], factor * row["std"], decimals)
            + ("*" if row["p"] < SIGNIFICANCE else " ")
            for _, row in compared.iterrows()
        ]
    return table.to_string()


def cell(mean, std, decimals=2):
    """A mean with its standard deviation as text; either may be NaN."""
    if pd.isna(mean):
        return ""
    return f"{mean:.{decimals}f}" + ("" if pd.isna(std) else f" ± {std:.{decimals}f}")


def markdown(table):
    """A `DataFrame` as a table of Markdown, without its index."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def significance(p):
    """A p-value as text, such as "p = 0.023"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def describe_difference(compared, metric, unit="seeds", baseline=BASELINE):
    """One honest sentence on whether any method differs from the baseline.

    Args:
        compared: what `compare_methods` returned.
        metric: name of the metric, for the sentence.
        unit: what was paired, for the sentence.
        baseline: what `compare_methods` compared with.
    """
    others = compared.drop(index=baseline)
    n = int(others["n"].iloc[0])
    if n < 2:
        return f"n = {n}: differences in {metric} say nothing about the methods."
    differs = others[others["p"] < SIGNIFICANCE]
    if differs.empty:
        return (
            f"Differences in {metric} from {baseline} are within noise "
            f"(n = {n} {unit}, paired t-test, smallest p = {others['p'].min():.2f})."
        )
    parts = []
    for method, row in differs.iterrows():
        parts.append(f"{method} {row['difference']:+.3g} ({significance(row['p'])})")
    sentence = (
        f"{metric} differs from {baseline} beyond noise for {', '.join(parts)}; n = {n} {unit}, paired "
        f"t-test{'s' if len(others) > 1 else ''}."
    )
    if len(others) == 1:
        return sentence
    adjusted = adjust_by_holm(others["p"])
    left = [method for method in others.index if adjusted[method] < SIGNIFICANCE]
    return f"{sentence} Holm's correction for there being {len(others)} leaves {', '.join(left) or 'none'}."
