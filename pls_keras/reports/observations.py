"""The paper's observations on training dynamics, checked against curves (sections 6.3.1, 6.3.2).

Each is `holds`, `does not hold` or `within noise`. Where an observation says that one thing is larger
than another, it is a paired t-test over the seeds; where it makes several such claims, it holds if
all do, and does not if any is refuted. Thresholds of the others are named below. An observation of
no difference holds as long as no test finds one: with few seeds that is weak evidence.
"""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import scipy.stats

from pls_keras.reports.comparison import SIGNIFICANCE, significance
from pls_keras.reports.paper import OBSERVATIONS

HOLDS, REFUTED, NOISE = "holds", "does not hold", "within noise"
SLOWEST = 0.0001  # the learning rate at which the paper sees no learning
SATURATED = 0.1  # growth over the last quarter of the epochs, as a fraction of what it has reached
OVERLAPPING = 0.5  # fraction of the epochs at which the bands mean ± std. dev. overlap
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

    @property
    def p(self):
        values = self.differences.to_numpy()
        return scipy.stats.ttest_1samp(values, 0).pvalue if len(values) > 1 else np.nan

    @property
    def verdict(self):
        if not self.p < SIGNIFICANCE:
            return NOISE
        return HOLDS if self.differences.mean() > 0 else REFUTED

    def __str__(self):
        return f"{self.what} {self.differences.mean():+.3g} ({significance(self.p)})"


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
        _smaller_norms_on_cifar10(cifar10),
        _smaller_then_larger_on_cifar100(cifar100),
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
    saturates = all(growth[rate] < SATURATED for rate in fast) and growth[SLOWEST] >= SATURATED
    gains = {
        (rate, method): late[rate]["NoLS"] - late[rate][method] for rate in rates for method in SMOOTHED
    }
    slowest = [_Claim(f"{method}'s gain", gains[SLOWEST, method]) for method in SMOOTHED]
    overlap = {rate: _overlap(curves[curves["learning_rate"] == rate]) for rate in fast}
    return [
        Check(
            "6.3.1 a",
            HOLDS if saturates else REFUTED,
            "growth over the last quarter of the epochs: "
            + ", ".join(f"{growth[rate]:.0%} at {rate:g}" for rate in rates),
        ),
        Check(
            "6.3.1 b",
            REFUTED if any(claim.verdict == HOLDS for claim in slowest) else HOLDS,
            "; ".join(map(str, slowest)),
        ),
        Check(
            "6.3.1 c",
            HOLDS if min(overlap.values()) > OVERLAPPING else REFUTED,
            "bands of all three overlap at "
            + ", ".join(f"{share:.0%} of the epochs at {rate:g}" for rate, share in overlap.items()),
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
    """The checklist as Markdown, with each difference on a line of its own if `details` are wanted."""
    lines = []
    for check in checks:
        statement = OBSERVATIONS[check.number]
        lines.append(f"- **{check.number}: {check.verdict}.** {statement} *{check.evidence}.*")
        lines += [f"  - {difference}" for difference in check.differences if details]
    return "\n".join(lines)


def _smaller_norms_on_cifar10(curves):
    claims = []
    for rate in sorted(curves["learning_rate"].unique(), reverse=True):
        if rate > SLOWEST:
            early, late = (_by_seed(curves, "grad_norm", *part)[rate] for part in ((0, 0.75), (0.75, 1)))
            for m in SMOOTHED:
                gap = early["NoLS"] - early[m]
                claims.append(_Claim(f"NoLS above {m} at {rate:g}:", gap))
                closer = gap - (late["NoLS"] - late[m]).abs()
                claims.append(_Claim(f"closer in the last quarter at {rate:g}:", closer))
    return _all_claims("6.3.2 (1)", claims)


def _smaller_then_larger_on_cifar100(curves):
    claims = []
    for rate in sorted(curves["learning_rate"].unique(), reverse=True):
        if rate > SLOWEST:
            first, second = (_by_seed(curves, "grad_norm", *part)[rate] for part in ((0, 0.5), (0.5, 1)))
            for m in SMOOTHED:
                claims.append(_Claim(f"NoLS above {m} at {rate:g}, first half:", first["NoLS"] - first[m]))
                sign, words = (1, "NoLS above") if rate == 0.1 else (-1, "NoLS below")
                later = sign * (second["NoLS"] - second[m])
                claims.append(_Claim(f"{words} {m}, second half:", later))
    return _all_claims("6.3.2 (2)", claims)


def _nols_is_largest(curves, rate):
    norms = _by_seed(curves, "grad_norm", 0, 1)[rate]
    dataset = curves["dataset"].iloc[0]
    return [_Claim(f"{dataset}: NoLS above {m}", norms["NoLS"] - norms[m]) for m in SMOOTHED]


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
            f"training accuracy at the end, K = {classes}: "
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


def _overlap(curves):
    """Fraction of the epochs at which the bands mean ± std. dev. of all methods have a common point."""
    groups = curves.groupby(["epoch", "method"])["generalization_error"]
    mean, spread = groups.mean().unstack(), groups.std().unstack().fillna(0)
    return float(((mean - spread).max(axis=1) <= (mean + spread).min(axis=1)).mean())


def _all_claims(number, claims):
    verdicts = [claim.verdict for claim in claims]
    verdict = REFUTED if REFUTED in verdicts else NOISE if NOISE in verdicts else HOLDS
    if len(claims) == 1:
        return Check(number, verdict, str(claims[0]))
    counts = f"Of {len(claims)} differences, as stated: {verdicts.count(HOLDS)}; the other way: "
    counts += f"{verdicts.count(REFUTED)}; within noise: {verdicts.count(NOISE)}"
    return Check(number, verdict, counts, tuple(map(str, claims)))
