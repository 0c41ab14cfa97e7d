"""What a method's name stands for: a theta, and whether anything is smoothed.

Beside the paper's NoLS, ULS, CLS and SEMLS these are "COOC" (co-occurrence), "SEMLS^8" (SEMLS sharpened
to that power), "SEMLS@5" (its five nearest classes alone), "ULS-others" (ULS without the true class, which
keeps 1 - ε as under CLS and SEMLS) and "hierarchy" (nearness in a taxonomy). Two learn their theta:
"confusion" from the validation predictions of a NoLS run of the same seed, "Online" while it trains.
"""

import functools
import hashlib
import re

import numpy as np

from pls_keras.thetas import Theta, cooccurrence_theta, uniform_theta

METHODS = ("NoLS", "ULS", "CLS", "SEMLS")
LEARNED = ("confusion", "Online")
NAME = re.compile(
    r"(?P<family>NoLS|ULS|ULS-others|CLS|COOC|SEMLS|hierarchy|confusion|Online)"
    r"((?<=SEMLS)\^(?P<power>[\d.]+)|(?<=SEMLS)@(?P<nearest>\d+))?"
)


def check_method(method):
    """Raise a `ValueError` if there is no such method."""
    if not NAME.fullmatch(method):
        raise ValueError(
            f"method must be one of {METHODS}, COOC, ULS-others, hierarchy, confusion, Online or, with a "
            f"power or a number of nearest classes, SEMLS^8 or SEMLS@5. Received: {method!r}"
        )


def method_theta(method, data):
    """Theta of a method among the classes of a data set.

    Args:
        method: the method's name.
        data: `ImageDataset` or `TextDataset`.

    Returns:
        `Theta`. NoLS has one too, of which its ε of 0 makes no use; that of Online is the first. None
        for "confusion", whose theta comes from another model.
    """
    if method == "confusion":
        return None
    family, power, nearest = NAME.fullmatch(method).group("family", "power", "nearest")
    theta = {
        "NoLS": lambda: uniform_theta(data.labels),
        "ULS": lambda: uniform_theta(data.labels),
        "ULS-others": lambda: uniform_theta(data.labels, include_true=False),
        "COOC": lambda: cooccurrence_theta(data.indicator, data.labels, pseudocount=1.0),
        "Online": lambda: uniform_theta(data.labels, include_true=False),
        **{
            name: lambda name=name: _shipped(shipped_name(name, data.name), data.labels)
            for name in ("CLS", "SEMLS", "hierarchy")
        },
    }[family]()
    if power:
        return theta.sharpen(float(power))
    return theta.top_k(int(nearest)) if nearest else theta


def shipped_name(method, dataset):
    """Name of the theta that comes with the package which a method takes for a data set; else None."""
    family = NAME.fullmatch(method)["family"]
    return f"{dataset}-{family.lower()}" if family in ("CLS", "SEMLS", "hierarchy") else None


@functools.cache  # a report asks for the key of each run many times
def theta_digest(method, dataset):
    """A hash of the theta that a method takes from word vectors or a taxonomy, which may be built anew.

    None for other methods: what they are is said by their names.
    """
    name = None if method == "CLS" else shipped_name(method, dataset)
    if name not in Theta.shipped():
        return None
    theta = Theta.load(name)
    content = "\n".join(theta.labels).encode() + np.asarray(theta).round(9).tobytes()
    return hashlib.sha256(content).hexdigest()[:8]


def _shipped(name, labels):
    theta = Theta.load(name)
    return theta if theta.labels == tuple(labels) else theta.select(labels)
