"""For the notebooks: reports, exercises that check themselves, and a slider."""

import matplotlib.pyplot as plt
import numpy as np

from pls_keras._extras import require
from pls_keras.reports.plots import plot_targets
from pls_keras.reports.tables import report_text
from pls_keras.thetas import uniform_theta


def show_report(name, scale="paper", folder="results"):
    """A table of kept results for a notebook to show.

    Args:
        name: as for `pls_keras.reports.tables.report_text`.
        scale: the same.
        folder: the same.

    Returns:
        `IPython.display.Markdown`.
    """
    require("notebooks", "IPython")
    from IPython.display import Markdown

    text = report_text(name, scale, folder, details=False)
    missing = f"No results of {name} at scale {scale} in {folder!r}: put that folder beside the notebook."
    return Markdown(text or missing)


def check(answer, expected, hint="", *, tolerance=1e-3):
    """Say whether an answer to an exercise is right. Never raises, so that a notebook runs on.

    Args:
        answer: a student's answer: a number, text, a list, an array, a table or a theta. `...` stands
            for none yet.
        expected: the right answer.
        hint: what to say if the answer is wrong.
        tolerance: largest absolute difference of numbers that are taken for the same.

    Returns:
        Whether the answer is right.

    Example:
        >>> check(0.1 + 0.2, 0.3)
        Right.
        True
        >>> check(..., 0.3)
        No answer yet: put yours in the place of the three dots.
        False
    """
    if answer is ...:
        print("No answer yet: put yours in the place of the three dots.")
        return False
    try:
        right = _same(answer, expected, tolerance)
    except Exception as error:  # whatever a student may put there
        print(f"This cannot be compared ({type(error).__name__}: {error}). {hint}".rstrip())
        return False
    print("Right." if right else f"Not yet. {hint}".rstrip())
    return right


def _same(answer, expected, tolerance):
    answer, expected = np.asarray(answer), np.asarray(expected)
    if answer.shape != expected.shape:
        shapes = f"the answer has shape {answer.shape}, {expected.shape} is wanted"
        raise ValueError(shapes)
    if np.issubdtype(expected.dtype, np.number):
        return bool(np.allclose(answer.astype(float), expected, rtol=0, atol=tolerance))
    return bool((answer == expected).all())


def target_slider(theta):
    """Sliders for ε, the power and the class, over the target distribution (needs ipywidgets).

    Args:
        theta: `Theta` to sharpen and to draw beside no smoothing and uniform smoothing.

    Returns:
        The widget. It needs a running kernel.
    """
    require("notebooks", "ipywidgets")
    import ipywidgets

    def draw(label, smoothing_ratio, power):
        thetas = {"NoLS": None, "ULS": uniform_theta(theta.labels), "SEMLS": theta.sharpen(power)}
        plot_targets(thetas, label, smoothing_ratio)
        plt.show()

    return ipywidgets.interactive(
        draw,
        label=ipywidgets.Dropdown(options=theta.labels, description="class"),
        smoothing_ratio=ipywidgets.FloatSlider(0.1, min=0.01, max=0.5, step=0.01, description="ε"),
        power=ipywidgets.FloatSlider(1.0, min=0.5, max=10, step=0.5, description="power"),
    )
