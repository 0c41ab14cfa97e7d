"""The paper's results as data, stated once, to print beside ours.

P. Goyal, C. Huang, A. Trabelsi and O. R. Zaiane, "Exploring Preferential Label Smoothing for Neural
Network based Classifiers". Scores are in percent, mean and standard deviation.
"""

import pandas as pd

COLUMNS = ("row", "method", "mean", "std")


def _table(methods, rows):
    cells = [
        (row, method, *cell)
        for row, *scores in rows
        for method, cell in zip(methods, scores, strict=True)
        if cell is not None
    ]
    return pd.DataFrame(cells, columns=COLUMNS)


# Test accuracy of section 6.2, over five runs.
TABLE1 = _table(
    ("NoLS", "ULS", "CLS", "SEMLS"),
    [
        ("cifar10, ResNet-18", (93.809, 0.487), (94.085, 0.273), None, (94.112, 0.568)),
        ("cifar10, ResNet-34", (93.762, 0.578), (93.557, 0.608), None, (93.793, 0.514)),
        ("cifar100, ResNet-18", (72.789, 0.435), (72.665, 0.323), (72.618, 0.724), (72.798, 0.247)),
        ("cifar100, ResNet-34", (71.839, 0.668), (71.902, 0.787), (72.813, 0.689), (71.78, 0.912)),
    ],
)

# Macro F1 of section 7, over five folds.
TABLE2 = _table(
    ("NoLS", "ULS", "SEMLS"),
    [
        ("isear", (58.02, 3.82), (58.71, 3.13), (59.06, 3.51)),
        ("tec", (52.12, 3.73), (51.84, 3.31), (51.48, 3.41)),
        ("cbet", (56.01, 3.97), (56.88, 3.62), (57.02, 3.23)),
    ],
)

# Macro F1 of section 7.1, by number of CBET's classes, over five folds of three samples of classes.
TABLE3 = _table(
    ("NoLS", "ULS", "SEMLS"),
    [
        ("3 classes", (57.54, 3.23), (58.00, 3.41), (58.14, 3.21)),
        ("5 classes", (57.14, 3.43), (57.25, 3.50), (57.29, 3.48)),
        ("7 classes", (57.05, 3.29), (57.36, 3.36), (57.29, 3.28)),
    ],
)
