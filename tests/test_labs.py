"""Exercises never break a notebook, and tell right from wrong."""

import pathlib

import numpy as np
import pytest

from pls_keras import Theta, cluster_theta, uniform_theta
from pls_keras.labs import check, opening, show_report, target_slider
from pls_keras.labs.answers import QUESTIONS
from pls_keras.reports.plots import plot_targets

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
        ("3.3", "less sure", True),
        ("3.3", "more", False),
        ("3.3", "", False),
        ("3.4", 1.42, True),
        ("3.4", 1.5, False),
        ("3.4", 1.43, False),  # of SEMLS
        ("4.1", EXPERTS, True),
        ("4.1", np.transpose(EXPERTS), False),
        ("4.1", "red", False),
        ("4.1", {"red": "orange"}, False),
        ("4.3", "Falls ", True),
        ("4.3", "fall", True),
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
    assert ("A word in quotation marks" in said) == (question == "4.3" and not isinstance(answer, str))
    assert ("a table of numbers" in said) == (question == "4.1" and isinstance(answer, str | dict))
    assert ("A number is wanted" in said) == (question in ("1.1", "2.1", "4.2") and not is_number(answer))


def test_the_slider_draws_what_is_chosen_on_one_axis(monkeypatch):
    pytest.importorskip("ipywidgets")
    drawn = []

    def draw(*args, **options):
        drawn.append((args, options))
        return plot_targets(*args, **options)

    monkeypatch.setattr("pls_keras.labs.plot_targets", draw)
    semls = Theta.load("cifar10-semls")
    label, smoothing_ratio, power, picture = target_slider(semls, "dog").children
    first = bytes(picture.value)
    assert first.startswith(b"\x89PNG")
    assert int(picture.width) <= 930
    assert label.options == semls.labels
    assert label.value == "dog"
    assert target_slider(semls, "dog", 0.4).children[1].value == 0.4
    label.value, smoothing_ratio.value, power.value = "cat", 0.2, 3.0
    assert bytes(picture.value) != first
    (thetas, chosen, epsilon), options = drawn[-1]
    assert (chosen, epsilon) == ("cat", 0.2)
    assert options == drawn[0][1]
    assert thetas["NoLS"] is None
    np.testing.assert_allclose(thetas["ULS"], uniform_theta(10))
    np.testing.assert_allclose(thetas["SEMLS^3"], semls.sharpen(3.0))


@pytest.mark.parametrize("lab", [1, 2, 3, 4])
def test_a_lab_opens_with_a_figure_that_fits_the_first_screen(lab, monkeypatch):
    pytest.importorskip("IPython")
    monkeypatch.chdir(NOTEBOOKS)
    width, height = np.ravel(opening(lab))[0].figure.get_size_inches() * 110
    assert width <= 930
    assert height <= 520


def test_a_report_is_folded_and_says_what_is_missing(tmp_path):
    pytest.importorskip("IPython")
    text = show_report("table2", folder=NOTEBOOKS / "results").data
    assert text.startswith("<details><summary>Table 2: macro F1")
    assert "\n\n| data | method |" in text
    assert text.endswith("</details>")
    assert "beside the notebook" in show_report("table2", folder=tmp_path).data


def test_a_lab_begins_without_the_thread_that_tunes_data(monkeypatch):
    told = []
    monkeypatch.setattr("pls_keras.labs.never_tune", lambda: told.append(1))
    opening(1)
    assert told
