"""What a method's name stands for: a theta, and whether anything is smoothed.

Beside the paper's NoLS, ULS, CLS and SEMLS these are "COOC" (co-occurrence), "SEMLS^8" (SEMLS sharpened
to that power), "SEMLS@5" (its five nearest classes alone), and "ULS-others" (ULS without the true class,
which keeps 1 - ε as under CLS and SEMLS).
"""

import re

from pls_keras.thetas import Theta, cooccurrence_theta, uniform_theta

METHODS = ("NoLS", "ULS", "CLS", "SEMLS")
NAME = re.compile(
    r"(?P<family>NoLS|ULS|ULS-others|CLS|COOC|SEMLS)"
    r"((?<=SEMLS)\^(?P<power>[\d.]+)|(?<=SEMLS)@(?P<nearest>\d+))?"
)


def check_method(method):
    """Raise a `ValueError` if there is no such method."""
    if not NAME.fullmatch(method):
        raise ValueError(
            f"method must be one of {METHODS}, COOC, ULS-others or, with a power or a number of nearest "
            f"classes, SEMLS^8 or SEMLS@5. Received: {method!r}"
        )


def method_theta(method, data):
    """Theta of a method among the classes of a data set.

    Args:
        method: the method's name.
        data: `ImageDataset` or `TextDataset`.

    Returns:
        `Theta`. NoLS has one too, of which its ε of 0 makes no use.
    """
    family, power, nearest = NAME.fullmatch(method).group("family", "power", "nearest")
    theta = {
        "NoLS": lambda: uniform_theta(data.labels),
        "ULS": lambda: uniform_theta(data.labels),
        "ULS-others": lambda: uniform_theta(data.labels, include_true=False),
        "COOC": lambda: cooccurrence_theta(data.indicator, data.labels, pseudocount=1.0),
        "CLS": lambda: _shipped(f"{data.name}-cls", data.labels),
        "SEMLS": lambda: _shipped(f"{data.name}-semls", data.labels),
    }[family]()
    if power:
        return theta.sharpen(float(power))
    return theta.top_k(int(nearest)) if nearest else theta


def _shipped(name, labels):
    theta = Theta.load(name)
    return theta if theta.labels == tuple(labels) else theta.select(labels)
