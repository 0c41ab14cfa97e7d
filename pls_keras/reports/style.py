"""How every figure looks, stated once."""

import itertools
import re

# A method has the same colour everywhere (Okabe and Ito's palette, for all kinds of colour vision).
METHOD_COLOURS = {"NoLS": "#000000", "ULS": "#0072B2", "CLS": "#E69F00", "SEMLS": "#009E73"}
METHOD_COLOURS |= {"hierarchy": "#D55E00", "confusion": "#CC79A7", "Online": "#56B4E9"}
OTHER_COLOUR = "#999999"
LINE_STYLES = ("-", "--", ":", "-.")

RC = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 110,
    "font.size": 10,
    "grid.alpha": 0.3,
    "savefig.dpi": 130,
}


def method_colour(method):
    """The colour of a method; variants such as "SEMLS^8" and "ULS-others" have that of their family."""
    return METHOD_COLOURS.get(_family(method), OTHER_COLOUR)


def line_styles(methods):
    """A line style for each method, by name, that differs within a family."""
    styles = {_family(method): itertools.cycle(LINE_STYLES) for method in methods}
    return {method: next(styles[_family(method)]) for method in methods}


def _family(method):
    return re.match(r"\w*", method)[0]
