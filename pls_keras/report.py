"""Tables of results: mean ± standard deviation, and paired tests between methods."""

import numpy as np
import pandas as pd
import scipy.stats


def compare_methods(scores, metric, baseline="NoLS"):
    """Mean and spread of a metric by method, and its paired difference from a baseline.

    Args:
        scores: `DataFrame` with columns `method`, `seed` and `metric`, a row a run. Every method has
            the same seeds.
        metric: name of a column.
        baseline: method to compare with.

    Returns:
        `DataFrame` indexed by method, in order of appearance: `mean`, `std` (of the sample), `n`,
        `difference` from the baseline over the same seeds, and `p`, two-sided, of the paired t-test;
        NaN for the baseline, and where there are not two seeds.

    Example:
        >>> scores = pd.DataFrame({"method": ["NoLS"] * 3 + ["ULS"] * 3, "seed": [0, 1, 2] * 2,
        ...                        "accuracy": [0.90, 0.92, 0.91, 0.93, 0.94, 0.95]})
        >>> compare_methods(scores, "accuracy").round(3).loc["ULS"].to_dict()
        {'mean': 0.94, 'std': 0.01, 'n': 3.0, 'difference': 0.03, 'p': 0.035}
    """
    by_seed = scores.pivot(index="seed", columns="method", values=metric)
    if by_seed.isna().any(axis=None):
        raise ValueError(f"Every method must have the same seeds. Received:\n{by_seed}")
    table = {}
    for method in scores["method"].unique():
        values, other = by_seed[method], by_seed[baseline]
        # Seeds that all differ by the same amount leave no spread for a test.
        tested = method != baseline and np.ptp(values - other) > 0
        table[method] = {
            "mean": values.mean(),
            "std": values.std(),
            "n": len(values),
            "difference": (values - other).mean(),
            "p": scipy.stats.ttest_rel(values, other).pvalue if tested else np.nan,
        }
    return pd.DataFrame.from_dict(table, orient="index")


def format_comparison(scores, columns, baseline="NoLS"):
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
        cells = []
        for _, row in compared.iterrows():
            spread = f" ± {factor * row['std']:.{decimals}f}" if row["n"] > 1 else ""
            star = "*" if row["p"] < 0.05 else " "
            cells.append(f"{factor * row['mean']:.{decimals}f}{spread}{star}")
        table[title] = cells
    return table.to_string()


def describe_difference(scores, metric, baseline="NoLS"):
    """One honest sentence on whether any method differs from the baseline."""
    compared = compare_methods(scores, metric, baseline).drop(index=baseline)
    n = int(compared["n"].iloc[0])
    if n < 2:
        return f"One seed: differences in {metric} say nothing about the methods; try --seeds 5."
    differs = compared[compared["p"] < 0.05]
    if differs.empty:
        return (
            f"Differences in {metric} from {baseline} are within noise "
            f"({n} seeds, paired t-test, smallest p = {compared['p'].min():.2f})."
        )
    parts = [
        f"{method} {row['difference']:+.3g} (p = {row['p']:.3f})" for method, row in differs.iterrows()
    ]
    return (
        f"{metric} differs from {baseline} beyond noise for {', '.join(parts)}; {n} seeds, paired "
        f"t-tests, not corrected for there being {len(compared)}."
    )
