"""The paper's observations on training dynamics, checked against curves (sections 6.3.1, 6.3.2).

Each is `holds`, `does not hold` or `within noise`. Where an observation says that one thing is larger
than another, it is a paired t-test over the seeds. Where it says that there is no difference, it holds if
a test shows that what there is lies within a stated margin (Schuirmann 1987, two one-sided tests): that no
test finds a difference proves nothing, least of all with few seeds. An observation about several
differences holds if it does of each, and does not if one is refuted by Holm's correction for their
number. Thresholds of the others are named below.
"""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import scipy.stats

from pls_keras.reports.comparison import SIGNIFICANCE, adjust_by_holm, markdown, significance
from pls_keras.reports.paper import DATASETS, OBSERVATIONS

HOLDS, REFUTED, NOISE = "holds", "does not hold", "within noise"
SLOWEST = 0.0001  # the learning rate at which the paper sees no learning
SATURATED = 0.1  # growth over the last quarter of the epochs, as a fraction of what it has reached
EQUAL = 0.005  # generalization errors that differ by no more than half a point are the same
LEARNT = 0.1  # of the way from chance to a training accuracy of one
SMOOTHED = ("ULS", "SEMLS")


@dataclasses.dataclass(frozen=True)
class Check:
    """One observation of the paper and what the curves say.

    Attributes:
        number: where the paper has it, a key of `pls_keras.reports.paper.OBSERVATIONS`.
        verdict: "holds", "does not hold" or "within noise".
        evidence: the numbers behind it.
        differences: each difference that was tested, where they are several.
    """

    number: str
    verdict: str
    evidence: str
    differences: tuple = ()


@dataclasses.dataclass(frozen=True)
class _Claim:
    """Differences over seeds that should be positive."""

    what: str
    differences: pd.Series

    def p_of_mean(self, value=0.0, alternative="two-sided"):
        """P-value of the t-test of their mean against a value; NaN for one seed."""
        values = self.differences.to_numpy()
        if len(values) < 2:
            return np.nan
        return scipy.stats.ttest_1samp(values, value, alternative=alternative).pvalue

    @property
    def holds(self):
        return self.differences.mean() > 0 and self.p_of_mean() < SIGNIFICANCE

    @property
    def p_refuted(self):
        """P-value against the claim; 1 where the mean is as claimed."""
        return self.p_of_mean() if self.differences.mean() < 0 else 1.0

    def __str__(self):
        return f"{self.what} {self.differences.mean():+.3g} ({significance(self.p_of_mean())})"


class _NoGain(_Claim):
    """Differences over seeds that should not be above `EQUAL`."""

    @property
    def p_equal(self):
        return self.p_of_mean(EQUAL, "less")

    @property
    def holds(self):
        return self.p_equal < SIGNIFICANCE

    @property
    def p_refuted(self):
        return 1.0 if self.holds or self.differences.mean() < 0 else self.p_of_mean()

    def __str__(self):
        return f"{super().__str__()}, within {EQUAL:g}: {significance(self.p_equal)}"


class _NoDifference(_NoGain):
    """Differences over seeds that should lie within ± `EQUAL`."""

    @property
    def p_equal(self):
        return max(self.p_of_mean(EQUAL, "less"), self.p_of_mean(-EQUAL, "greater"))

    @property
    def p_refuted(self):
        return 1.0 if self.holds else self.p_of_mean()


def check_observations(cifar100, cifar10):
    """Check the paper's observations.

    Args:
        cifar100: curves of ResNet-18 on CIFAR-100, as in `figure3.csv`: columns `method`, `seed`,
            `learning_rate`, `epoch`, `grad_norm`, `generalization_error` and `train_accuracy`.
        cifar10: curves of ResNet-34 on CIFAR-10, as in `figure4.csv`.

    Returns:
        List of `Check`, in the paper's order.
    """
    return [
        *check_generalization(cifar100),
        *_smaller_norms_on_cifar10(cifar10),
        *_smaller_then_larger_on_cifar100(cifar100),
        _all_claims("6.3.2 (3)", [*_nols_is_largest(cifar10, 0.1), *_nols_is_largest(cifar100, 0.1)]),
        _closer_on_cifar100(cifar100, cifar10),
        _all_claims("6.3.2 (5)", [*_norm_grows(cifar10, "CIFAR-10"), *_norm_grows(cifar100, "CIFAR-100")]),
        _nothing_is_learnt(cifar10, cifar100),
    ]


def check_generalization(curves):
    """Check section 6.3.1's inferences on the curves of Figure 3."""
    rates = sorted(curves["learning_rate"].unique(), reverse=True)
    fast = [rate for rate in rates if rate > SLOWEST]
    late = _by_seed(curves, "generalization_error", 0.75, 1.0)
    reached = curves.groupby("learning_rate")
    growth = {
        rate: _late_growth(part.groupby("epoch")["generalization_error"].mean()) for rate, part in reached
    }
    gains = {
        (rate, method): late[rate]["NoLS"] - late[rate][method] for rate in rates for method in SMOOTHED
    }

    def saturation(number, claimed, rates):
        grows = ", ".join(f"{round(growth[rate], 2) + 0.0:.0%} at {rate:g}" for rate in rates)
        evidence = f"growth over the last quarter of the epochs, of what is reached: {grows}"
        verdict = all((growth[rate] < SATURATED) == claimed for rate in rates)
        return Check(number, HOLDS if verdict else REFUTED, evidence)

    return [
        saturation("6.3.1 a1", True, fast),
        saturation("6.3.1 a2", False, [SLOWEST]),
        _all_claims("6.3.1 b", [_NoGain(f"{m}'s gain", gains[SLOWEST, m]) for m in SMOOTHED]),
        _all_claims(
            "6.3.1 c",
            [_NoDifference(f"{m}'s gain at {rate:g}:", gains[rate, m]) for rate in fast for m in SMOOTHED],
        ),
        _all_claims(
            "6.3.1 d",
            [_Claim(f"{m}'s gain at {rate:g}:", gains[rate, m]) for rate in fast for m in SMOOTHED],
        ),
        _all_claims(
            "6.3.1 e",
            [
                _Claim(
                    f"{m}'s gain at {fast[0]:g} above that at {rate:g}:", gains[fast[0], m] - gains[rate, m]
                )
                for m in SMOOTHED
                for rate in fast[1:]
            ],
        ),
    ]


def format_checks(checks, *, details=True):
    """The checklist as a table of Markdown, and each difference that was tested if `details`."""
    table = pd.DataFrame(
        {
            "section": [check.number for check in checks],
            "the paper's claim": [OBSERVATIONS[check.number] for check in checks],
            "verdict": [check.verdict for check in checks],
            "the numbers": [check.evidence for check in checks],
        }
    )
    counts = table["verdict"].value_counts().reindex([HOLDS, REFUTED, NOISE], fill_value=0)
    home = "Of {} claims {} hold, {} do not, and {} are within noise.".format(len(table), *counts)
    lines = [f"- **{c.number}** {difference}" for c in checks for difference in c.differences if details]
    return "\n\n".join(filter(None, [markdown(table), home, "\n".join(lines)]))


def _smaller_norms_on_cifar10(curves):
    smaller, closer = [], []
    for rate in sorted(curves["learning_rate"].unique(), reverse=True):
        if rate > SLOWEST:
            early, late = (_by_seed(curves, "grad_norm", *part)[rate] for part in ((0, 0.75), (0.75, 1)))
            for m in SMOOTHED:
                gap = early["NoLS"] - early[m]
                smaller.append(_Claim(f"NoLS above {m} at {rate:g}:", gap))
                nearer = gap - (late["NoLS"] - late[m]).abs()
                closer.append(_Claim(f"{m} closer in the last quarter at {rate:g}:", nearer))
    return _all_claims("6.3.2 (1a)", smaller), _all_claims("6.3.2 (1b)", closer)


def _smaller_then_larger_on_cifar100(curves):
    claims = {"6.3.2 (2a)": [], "6.3.2 (2b)": [], "6.3.2 (2c)": []}
    for rate in sorted(curves["learning_rate"].unique(), reverse=True):
        if rate > SLOWEST:
            first, second = (_by_seed(curves, "grad_norm", *part)[rate] for part in ((0, 0.5), (0.5, 1)))
            later, sign, word = ("6.3.2 (2c)", 1, "above") if rate == 0.1 else ("6.3.2 (2b)", -1, "below")
            for m in SMOOTHED:
                gap = first["NoLS"] - first[m]
                claims["6.3.2 (2a)"].append(_Claim(f"NoLS above {m} at {rate:g}, first half:", gap))
                gap = sign * (second["NoLS"] - second[m])
                claims[later].append(_Claim(f"NoLS {word} {m} at {rate:g}, second half:", gap))
    return [_all_claims(*claim) for claim in claims.items()]


def _nols_is_largest(curves, rate):
    norms = _by_seed(curves, "grad_norm", 0, 1)[rate]
    dataset = curves["dataset"].iloc[0]
    return [
        _Claim(f"{DATASETS.get(dataset, dataset)}: NoLS above {m}", norms["NoLS"] - norms[m])
        for m in SMOOTHED
    ]


def _closer_on_cifar100(cifar100, cifar10):
    def gap(curves):
        norms = _by_seed(curves, "grad_norm", 0, 1)
        rates = [rate for rate in norms.columns.levels[0] if rate > SLOWEST]
        gaps = [(norms[r]["ULS"] - norms[r]["SEMLS"]).abs() / norms[r].mean(axis=1) for r in rates]
        return pd.concat(gaps, axis=1).mean(axis=1)

    ten, hundred = gap(cifar10), gap(cifar100)
    what = f"relative gap {ten.mean():.3f} on CIFAR-10, {hundred.mean():.3f} on CIFAR-100, difference"
    return _all_claims("6.3.2 (4)", [_Claim(what, (ten - hundred).dropna())])


def _norm_grows(curves, dataset):
    norms = _by_seed(curves, "grad_norm", 0, 1)
    rates = sorted(norms.columns.levels[0], reverse=True)
    return [
        _Claim(f"{dataset}, {m}, {slow:g} above {fast:g}:", norms[slow][m] - norms[fast][m])
        for m in ("NoLS", *SMOOTHED)
        for fast, slow in itertools.pairwise(rates)
    ]


def _nothing_is_learnt(*datasets):
    evidence, verdicts = [], []
    for curves, classes in zip(datasets, (10, 100), strict=True):
        chance = 1 / classes
        accuracy = _by_seed(curves, "train_accuracy", 0.9, 1.0).mean().groupby(level=0).mean()
        learnt = (accuracy - chance) / (1 - chance)
        verdicts.append(learnt[SLOWEST] < LEARNT)
        evidence.append(
            f"training accuracy at the end, mean of the methods, K = {classes}: "
            + ", ".join(
                f"{accuracy[rate]:.0%} at {rate:g}" for rate in sorted(accuracy.index, reverse=True)
            )
        )
    return Check("6.3.2 (6)", HOLDS if all(verdicts) else REFUTED, "; ".join(evidence))


def _by_seed(curves, column, start, stop):
    """Mean of a column over part of the epochs: a row a seed, columns (learning rate, method)."""
    last = curves["epoch"].max()
    part = curves[(curves["epoch"] > start * last) & (curves["epoch"] <= stop * last)]
    return part.pivot_table(values=column, index="seed", columns=["learning_rate", "method"])


def _late_growth(curve):
    """How much a curve grew over the last quarter of the epochs, as a fraction of its end."""
    last = curve.index.max()
    smooth = curve.rolling(max(1, last // 10), min_periods=1).mean()
    return float((smooth[last] - smooth[int(0.75 * last)]) / smooth[last])


def _all_claims(number, claims):
    as_stated = sum(claim.holds for claim in claims)
    refuted = sum(claim.p_refuted < SIGNIFICANCE for claim in claims)
    # All must hold, which makes that verdict rare by chance; that one of many is refuted is not.
    smallest = adjust_by_holm(pd.Series([claim.p_refuted for claim in claims])).min()
    verdict = HOLDS if as_stated == len(claims) else REFUTED if smallest < SIGNIFICANCE else NOISE
    if len(claims) == 1:
        return Check(number, verdict, str(claims[0]))
    counts = f"of {len(claims)} differences {as_stated} as stated, {refuted} the other way, "
    counts += f"{len(claims) - as_stated - refuted} within noise"
    return Check(number, verdict, counts, tuple(map(str, claims)))
