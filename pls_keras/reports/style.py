"""How every figure looks, stated once.

A notebook's page is some 930 pixels wide in JupyterLab on a laptop, a README's 830: figures are at most
`WIDTH` by `HEIGHT` inches of 110 pixels, so that type of 10 points reads as the text beside it does.
"""

import itertools
import re

WIDTH, HEIGHT = 8.2, 4.6

# A method has the same colour everywhere (Okabe and Ito's palette, for all kinds of colour vision).
METHOD_COLOURS = {"NoLS": "#000000", "ULS": "#0072B2", "CLS": "#E69F00", "SEMLS": "#009E73"}
METHOD_COLOURS |= {"hierarchy": "#D55E00", "confusion": "#CC79A7", "Online": "#56B4E9"}
OTHER_COLOURS = ("#882255", "#999933", "#6699CC", "#AA4499", "#777777")
# Of each family, from the first on: the lines of ULS and SEMLS often lie on each other.
LINE_STYLES = {"ULS": ("-", ":", "-."), "SEMLS": ("--", ":", "-.", "-"), "CLS": ("-.", "-", ":")}
OTHER_STYLES = ("-", "--", ":", "-.")

RC = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.dpi": 110,
    "figure.titlesize": 10,
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.columnspacing": 1.2,
    "legend.frameon": False,
    "savefig.dpi": 200,
}


def looks(methods):
    """Colour and line style of each method, by name.

    Variants such as "SEMLS^8" and "ULS-others" have the colour of their family and a line style of their
    own; methods of no known family have colours of their own.

    Args:
        methods: names of all methods of a figure.

    Returns:
        Mapping from name to a dict of `color` and `ls`.
    """
    families = {method: re.match(r"\w*", method)[0] for method in dict.fromkeys(methods)}
    others = dict(
        zip(
            dict.fromkeys(f for f in families.values() if f not in METHOD_COLOURS),
            itertools.cycle(OTHER_COLOURS),
        )
    )
    styles = {f: itertools.cycle(LINE_STYLES.get(f, OTHER_STYLES)) for f in families.values()}
    return {
        method: {"color": {**METHOD_COLOURS, **others}[family], "ls": next(styles[family])}
        for method, family in families.items()
    }
