"""How every figure looks, stated once."""

# A method has the same colour everywhere (Okabe and Ito's palette, for all kinds of colour vision).
METHOD_COLOURS = {"NoLS": "#000000", "ULS": "#0072B2", "CLS": "#E69F00", "SEMLS": "#009E73"}
OTHER_COLOUR = "#999999"

RC = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 110,
    "font.size": 10,
    "grid.alpha": 0.3,
    "savefig.dpi": 130,
}
