"""What `check` compares answers with, by the number of the lab and of the exercise."""

import dataclasses
import typing

import numpy as np
import pandas as pd

from pls_keras.reports.comparison import compare_methods
from pls_keras.reports.tables import (
    REPORTS,
    compare_with_paper,
    load_results,
    results_of_curves,
    whole_seeds,
)
from pls_keras.thetas import Theta, cluster_theta


@dataclasses.dataclass(frozen=True)
class Question:
    """An exercise.

    Attributes:
        expected: makes the right answer: a number, text, or a `Theta`.
        hint: what to say if the answer is wrong.
        decimals: of a number, to which an answer may be rounded.
    """

    expected: typing.Callable
    hint: str
    decimals: int = 3


def _power_of_four_classes():
    theta = Theta.load("cifar100-semls")
    return min(range(1, 41), key=lambda power: abs(theta.sharpen(power).effective_classes().mean() - 4))


def _p_of_five_pairs():
    scores = pd.DataFrame({"method": ["NoLS"] * 5 + ["ULS"] * 5, "seed": [*range(5)] * 2})
    scores["accuracy"] = [93.1, 93.9, 93.5, 94.2, 93.3, 93.4, 94.0, 93.9, 94.3, 93.8]
    return compare_methods(scores, "accuracy").loc["ULS", "p"]


def _table2():
    return compare_with_paper(load_results("table2", "paper"), REPORTS["table2"])


def _norms(name):
    results = results_of_curves(whole_seeds(load_results(name, "reduced")))
    norms = results[results["metric"] == "grad_norm"]
    return norms.groupby(["method", "learning_rate"])["value"].mean()


def _smaller_than():
    norms = _norms("figure4")
    return norms["NoLS"].loc[0.1] / norms["ULS"].loc[0.1]


QUESTIONS = {
    "1.1": Question(lambda: 1 - 0.1 + 0.1 / 100, "It keeps 1 − ε and gets a share of ε back."),
    "1.2": Question(
        lambda: cluster_theta({"anger": 1, "disgust": 1, "joy": 2, "love": 2}),
        "cluster_theta takes a mapping from each label to its cluster.",
    ),
    "1.3": Question(
        lambda: Theta.load("cifar100-semls").neighbours("rocket", 1).index[0], "Ask hundred.neighbours."
    ),
    "1.4": Question(_power_of_four_classes, "Try sharpen with larger powers.", decimals=0),
    "2.1": Question(_p_of_five_pairs, "The column p of compare_methods(five, …).", decimals=2),
    "2.2": Question(lambda: 20 * 0.05, "Each has one chance in twenty."),
    "2.3": Question(
        lambda: _table2().query("row == 'ISEAR'").set_index("method")["ece"].idxmin(),
        "The column ece of table2.",
    ),
    "2.4": Question(
        lambda: (_table2()["difference"].abs() > _table2()["margin"]).sum(),
        "An interval is difference ± margin.",
        decimals=0,
    ),
    "3.1": Question(
        lambda: _norms("figure5")["NoLS"].idxmax(),
        "The learning rate, not the norm: sort norms.",
        decimals=4,
    ),
    "3.2": Question(lambda: 0.37, "|test error − training error|, a fraction, not per cent (section 4.1)."),
    "3.3": Question(lambda: "less", "Is p − q positive or negative for the true class?"),
    "3.4": Question(_smaller_than, "Divide two entries of by_method.", decimals=2),
    "4.1": Question(
        lambda: Theta([[0, 1, 0], [1, 0, 0], [0.5, 0.5, 0]], ["red", "orange", "blue"]),
        "Rows are true classes, and each sums to one.",
    ),
    "4.2": Question(
        lambda: -(0.9 * np.log(0.9) + 0.1 * np.log(0.1)), "The entropy of the target q.", decimals=2
    ),
    "4.3": Question(lambda: "falls", "How much of the target is for the named classes?"),
}
