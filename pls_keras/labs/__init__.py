"""For the notebooks: opening figures, reports, exercises that check themselves, and a slider."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pls_keras._extras import require
from pls_keras.data.feeding import never_tune
from pls_keras.labs.answers import QUESTIONS
from pls_keras.reports.pictures import draw_mistakes
from pls_keras.reports.plots import plot_learning_rates, plot_targets, plot_thetas
from pls_keras.reports.tables import REPORTS, load_results, report_text, whole_seeds
from pls_keras.thetas import Theta, uniform_theta

LARGEST_MASS = 0.1  # that the slider's bars show


def opening(lab):
    """The figure that a lab opens with; from there on sharp figures, and fits that end without delay.

    Args:
        lab: its number, 1 to 4.

    Returns:
        The axes.
    """
    from IPython import get_ipython  # an extra

    never_tune()
    if shell := get_ipython():
        shell.run_line_magic("config", 'InlineBackend.figure_formats = ["retina"]')
    if lab == 1:
        semls = Theta.load("cifar10-semls")
        smoothed = {"ULS": uniform_theta(semls.labels), "CLS": Theta.load("cifar10-cls"), "SEMLS": semls}
        return plot_targets({"NoLS": None, **smoothed}, "cat")
    if lab == 2:
        results = load_results("table1", "reduced").query("dataset == 'cifar100'")
        return draw_mistakes(results, REPORTS["table1"])
    if lab == 3:
        return plot_learning_rates(whole_seeds(load_results("figure5", "reduced")), "grad_norm")
    words = Theta.load("digits-semls")
    by = {"all alike (ULS)": uniform_theta(words.labels), "by look (CLS)": Theta.load("digits-cls")}
    return plot_thetas({**by, "by word (SEMLS)": words})


def show_report(name, scale="paper", folder="results"):
    """A table of kept results for a notebook to show, folded until it is clicked on.

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
    if not text:
        return Markdown(
            f"No results of {name} at scale {scale}: put the folder {folder!r} beside the notebook."
        )
    title, _, table = text.partition("\n\n")
    return Markdown(f"<details><summary>{title.strip('*')} (click)</summary>\n\n{table}\n\n</details>")


def check(question, answer):
    """Say whether an answer to an exercise is right. Never raises, so that a notebook runs on.

    Args:
        question: number of the lab and of the exercise, such as "1.2".
        answer: a number, exact or rounded as tables print it; text, in capitals or not, whose first word
            counts; a theta, whose labels may come in any order; or a table of its numbers. `...` stands
            for none yet.

    Returns:
        Whether the answer is right.

    Example:
        >>> check("2.2", 1)
        Right.
        True
        >>> check("2.2", ...)
        No answer yet: put yours in the place of the three dots.
        False
    """
    if question not in QUESTIONS:
        print(f"There is no question {question!r}. There are: {', '.join(QUESTIONS)}")
        return False
    if answer is ...:
        print("No answer yet: put yours in the place of the three dots.")
        return False
    question = QUESTIONS[question]
    try:
        right = _same(answer, question.expected(), question.decimals)
        print("Right." if right else f"Not yet. {question.hint}")
        return right
    except ValueError as error:
        print(f"Not yet. {error} {question.hint}")
    except Exception as error:  # whatever a student may put there
        print(f"This cannot be compared ({type(error).__name__}: {error}). {question.hint}")
    return False


def _same(answer, expected, decimals):
    if isinstance(expected, str):
        if not isinstance(answer, str):
            raise ValueError(f"A word in quotation marks is wanted. Received: {answer!r}.")
        first = answer.casefold().split()[:1]  # "less sure" for "less", "fall" for "falls"
        return first in ([expected.casefold()], [expected.casefold().removesuffix("s")])
    if isinstance(expected, Theta):
        if isinstance(answer, Theta):
            answer = answer.to_frame()
        if isinstance(answer, pd.DataFrame):
            if set(answer.index) != set(expected.labels) or set(answer.columns) != set(expected.labels):
                raise ValueError(f"The labels must be {', '.join(expected.labels)}.")
            answer = answer.loc[list(expected.labels), list(expected.labels)]
        try:
            answer = np.asarray(answer, "float64")
        except (TypeError, ValueError):
            raise ValueError(f"A theta or a table of numbers is wanted. Received: {answer!r}.") from None
        if answer.shape != expected.shape:
            raise ValueError(f"A table of shape {expected.shape} is wanted. Received: {answer.shape}.")
        return bool(np.allclose(answer, expected, rtol=0, atol=0.5 * 10**-decimals))
    try:
        answer = float(answer)
    except (TypeError, ValueError):
        raise ValueError(f"A number is wanted, such as 0.05. Received: {answer!r}.") from None
    # Half a unit of the last decimal, and a little, since 0.125 may be rounded either way.
    return bool(abs(answer - expected) <= 0.5001 * 10**-decimals)


def target_slider(theta, label, smoothing_ratio=0.1):
    """Sliders for ε, the power and the class, over the target distribution (needs ipywidgets).

    Args:
        theta: `Theta` to sharpen and to draw beside no smoothing and uniform smoothing.
        label: the class to begin with.
        smoothing_ratio: ε to begin with.

    Returns:
        The widget. It needs a running kernel. The axis stays as it is, so that bars can be compared.
    """
    require("notebooks", "ipywidgets")
    import ipywidgets

    # A picture as a widget: with the output of `ipywidgets.interactive`, nbconvert may wait without end.
    picture = ipywidgets.Image(format="png")
    chosen = ipywidgets.Dropdown(options=theta.labels, value=label, description="class")
    largest = max(0.3, smoothing_ratio)
    epsilon = ipywidgets.FloatSlider(smoothing_ratio, min=0.01, max=largest, step=0.01, description="ε")
    power = ipywidgets.FloatSlider(8.0, min=0.5, max=16, step=0.5, description="power")

    def draw(change=None):
        thetas = {
            "NoLS": None,
            "ULS": uniform_theta(theta.labels),
            f"SEMLS^{power.value:g}": theta.sharpen(power.value),
        }
        axes = plot_targets(thetas, chosen.value, epsilon.value, limit=LARGEST_MASS)
        figure = axes[0].figure
        with io.BytesIO() as file:
            figure.savefig(file, format="png", dpi=2 * figure.dpi)  # sharp on any screen
            picture.value = file.getvalue()
        picture.width = round(figure.get_figwidth() * figure.dpi)
        plt.close(figure)

    controls = [chosen, epsilon, power]
    for control in controls:
        control.observe(draw, "value")
    draw()
    return ipywidgets.VBox([*controls, picture])
