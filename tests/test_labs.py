"""Exercises never break a notebook, and tell right from wrong."""

import numpy as np
import pytest

from pls_keras import Theta, uniform_theta
from pls_keras.labs import check, target_slider


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        (0.9010004, 0.901, True),
        (0.91, 0.901, False),
        ("truck", "truck", True),
        ("car", "truck", False),
        ([[0, 1], [1, 0]], Theta([[0.0, 1.0], [1.0, 0.0]], ["a", "b"]), True),
        (Theta([[0.0, 1.0], [0.5, 0.5]], ["a", "b"]), [[0, 1], [1, 0]], False),
        ([0.5, 0.5], [0.5, 0.5, 0.0], False),
        ("half", 0.5, False),
        (None, 0.5, False),
        (lambda: 1, 0.5, False),
        (..., 0.5, False),
    ],
)
def test_check_tells_right_from_wrong_and_never_raises(answer, expected, right, capsys):
    assert check(answer, expected, "Think again.") is right
    said = capsys.readouterr().out
    assert said.startswith("Right.") == right
    assert ("No answer yet" in said) == (answer is ...)
    assert right or answer is ... or "Think again." in said


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
