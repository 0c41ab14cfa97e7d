"""The checklist on curves that are made to agree with the paper, and on curves that are not."""

import itertools

import numpy as np
import pandas as pd
import pytest

from pls_keras.reports.observations import HOLDS, NOISE, REFUTED, check_observations, format_checks
from pls_keras.reports.paper import OBSERVATIONS

RATES = (0.1, 0.01, 0.001, 0.0001)
METHODS = ("NoLS", "ULS", "SEMLS")
EPOCHS = 40


def curves(dataset, norm, error, learnt=lambda rate: 0.01 if rate == 0.0001 else 1.0, noise=0.001):
    """Curves from functions of rate, method and progress t in (0, 1], with a little noise by seed."""
    rng = np.random.default_rng(0)
    rows = []
    for rate, method, seed in itertools.product(RATES, METHODS, range(4)):
        for epoch in range(1, EPOCHS + 1):
            t = epoch / EPOCHS
            rows.append(
                {
                    "dataset": dataset,
                    "learning_rate": rate,
                    "method": method,
                    "seed": seed,
                    "epoch": epoch,
                    "grad_norm": norm(rate, method, t) * (1 + noise * rng.normal()),
                    "generalization_error": error(rate, method, t) + noise * rng.normal(),
                    "train_accuracy": learnt(rate),
                }
            )
    return pd.DataFrame(rows)


def slow(rate):
    """1 at rate 0.1, 2 at 0.01, …"""
    return -np.log10(rate)


def agreeing():
    def error(rate, method, t):
        if rate == 0.0001:
            return 0.1 * t
        gain = {0.1: 0.004, 0.01: 0.002, 0.001: 0.002}[rate]
        return 0.4 * (1 - np.exp(-8 * t)) - gain * (method != "NoLS")

    def norm10(rate, method, t):
        gap = {"NoLS": 0.0, "ULS": 0.2, "SEMLS": 0.3}[method]
        return slow(rate) * (1 - gap * (t <= 0.75))

    def norm100(rate, method, t):
        gap = {"NoLS": 0.0, "ULS": 0.20, "SEMLS": 0.21}[method]
        return slow(rate) * (1 - gap * (1 if t <= 0.5 or rate == 0.1 else -1.5))

    return curves("cifar100", norm100, error, noise=0.001), curves("cifar10", norm10, error)


def verdicts(checks):
    return {check.number: check.verdict for check in checks}


def test_curves_as_the_paper_sees_them_hold_in_every_point():
    checks = check_observations(*agreeing())
    assert list(verdicts(checks)) == list(OBSERVATIONS)
    assert verdicts(checks) == dict.fromkeys(OBSERVATIONS, HOLDS), format_checks(checks)


def test_the_opposite_is_refuted():
    hundred, ten = agreeing()
    swap = {"NoLS": "SEMLS", "SEMLS": "NoLS", "ULS": "ULS"}
    swapped = [part.assign(method=part["method"].map(swap)) for part in (hundred, ten)]
    upside_down = {0.1: 0.0001, 0.01: 0.001, 0.001: 0.01, 0.0001: 0.1}
    got = verdicts(check_observations(*swapped))
    for number in ("6.3.1 d", "6.3.2 (1a)", "6.3.2 (2a)", "6.3.2 (2b)", "6.3.2 (2c)", "6.3.2 (3)"):
        assert got[number] == REFUTED, number
    turned = [part.assign(learning_rate=part["learning_rate"].map(upside_down)) for part in (hundred, ten)]
    got = verdicts(check_observations(*turned))
    for number in ("6.3.1 a1", "6.3.1 a2", "6.3.2 (5)", "6.3.2 (6)"):
        assert got[number] == REFUTED, number
    got = verdicts(check_observations(ten, hundred))
    assert got["6.3.2 (4)"] == REFUTED


def test_differences_smaller_than_the_spread_are_noise():
    def same(rate, method, t):
        return slow(rate)

    parts = [curves(name, same, lambda *_: 0.3, noise=0.05) for name in ("cifar100", "cifar10")]
    got = verdicts(check_observations(*parts))
    for number in ("6.3.1 b", "6.3.1 c", "6.3.1 e", "6.3.2 (3)", "6.3.2 (4)"):
        assert got[number] == NOISE, number


@pytest.mark.parametrize(
    ("gain", "noise", "verdict"),
    [(0.001, 0.002, HOLDS), (0.001, 0.05, NOISE), (0.02, 0.002, REFUTED), (-0.02, 0.002, HOLDS)],
)
def test_no_gain_is_shown_within_a_margin_and_not_by_finding_none(gain, noise, verdict):
    def error(rate, method, t):
        return 0.1 * t - gain * (method != "NoLS")

    ten = agreeing()[1]
    got = verdicts(check_observations(curves("cifar100", lambda *_: 1.0, error, noise=noise), ten))
    assert got["6.3.1 b"] == verdict
    assert got["6.3.1 c"] == (REFUTED if gain == -0.02 else verdict)  # of which either sign is a difference


def test_one_seed_proves_nothing():
    parts = [part[part["seed"] == 0] for part in agreeing()]
    got = verdicts(check_observations(*parts))
    assert got["6.3.2 (3)"] == got["6.3.1 d"] == NOISE


def test_the_checklist_gives_statement_verdict_and_numbers():
    checks = check_observations(*agreeing())
    short = format_checks(checks, details=False)
    evidence = "of 4 differences 4 as stated, 0 the other way, 0 within noise"
    assert f"| 6.3.2 (3) | {OBSERVATIONS['6.3.2 (3)']} | holds | {evidence} |\n" in short
    assert short.endswith("Of 15 claims 15 hold, 0 do not, and 0 are within noise.")
    detailed = format_checks(checks)
    assert detailed.startswith(short)
    assert "\n- **6.3.2 (3)** CIFAR-100: NoLS above ULS +0.2" in detailed


@pytest.mark.parametrize("number", OBSERVATIONS)
def test_statements_are_sentences(number):
    assert OBSERVATIONS[number].endswith(".")
