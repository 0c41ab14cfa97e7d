"""Exercises never break a notebook, and tell right from wrong."""

import pathlib

import numpy as np
import pytest

from pls_keras import Theta, cluster_theta, uniform_theta
from pls_keras.labs import check, target_slider
from pls_keras.labs.answers import QUESTIONS

NOTEBOOKS = pathlib.Path(__file__).parents[1] / "notebooks"

COLD_AND_WARM = {"anger": "cold", "disgust": "cold", "joy": "warm", "love": "warm"}
IN_ANOTHER_ORDER = dict(reversed(COLD_AND_WARM.items()))
OF_OTHER_LABELS = {"a": 1, "b": 1, "c": 2, "d": 2}
EXPERTS = [[0, 1, 0], [1, 0, 0], [0.5, 0.5, 0]]


def is_number(answer):
    return answer is ... or isinstance(answer, float)


@pytest.mark.parametrize(
    ("question", "answer", "right"),
    [
        ("1.1", 0.901, True),
        ("1.1", 0.9, False),  # ULS without the true class
        ("1.1", "p=0.9", False),
        ("1.2", cluster_theta(COLD_AND_WARM), True),
        ("1.2", cluster_theta(IN_ANOTHER_ORDER), True),
        ("1.2", cluster_theta(COLD_AND_WARM).to_frame(), True),
        ("1.2", cluster_theta(OF_OTHER_LABELS), False),
        ("1.2", uniform_theta([*COLD_AND_WARM]), False),
        ("1.2", np.eye(3), False),
        ("1.4", 34, True),
        ("1.4", 33, False),
        ("2.1", 0.02, True),  # as the tables print it
        ("2.1", 0.023, True),
        ("2.1", 0.05, False),
        ("2.1", "p=0.02", False),
        ("3.1", 0.01, True),
        ("3.1", 0.0001, False),
        ("3.4", 1.5, True),
        ("3.4", 1.2, False),
        ("4.1", EXPERTS, True),
        ("4.1", np.transpose(EXPERTS), False),
        ("4.3", "Falls ", True),
        ("4.3", "rises", False),
        ("4.3", None, False),
        ("4.2", lambda: 1, False),
        ("4.2", ..., False),
        ("9.9", 1, False),
    ],
)
def test_check_tells_right_from_wrong_and_never_raises(question, answer, right, capsys, monkeypatch):
    monkeypatch.chdir(NOTEBOOKS)
    assert check(question, answer) is right
    said = capsys.readouterr().out
    assert said.startswith("Right.") == right
    assert ("No answer yet" in said) == (answer is ...)
    assert right or answer is ... or question == "9.9" or QUESTIONS[question].hint in said
    assert "ValueError" not in said
    assert ("A number is wanted" in said) == (question in ("1.1", "2.1", "4.2") and not is_number(answer))


def test_the_slider_draws_what_is_chosen(monkeypatch):
    pytest.importorskip("ipywidgets")
    drawn = []
    monkeypatch.setattr("pls_keras.labs.plot_targets", lambda *arguments: drawn.append(arguments))
    semls = Theta.load("cifar10-semls")
    slider = target_slider(semls)
    label, smoothing_ratio, power = slider.children[:3]
    assert label.options == semls.labels
    label.value, smoothing_ratio.value, power.value = "dog", 0.2, 3.0
    slider.update()
    thetas, chosen, epsilon = drawn[-1]
    assert (chosen, epsilon) == ("dog", 0.2)
    assert thetas["NoLS"] is None
    np.testing.assert_allclose(thetas["ULS"], uniform_theta(10))
    np.testing.assert_allclose(thetas["SEMLS"], semls.sharpen(3.0))
