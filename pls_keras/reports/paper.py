"""The paper's results as data, stated once, to print beside ours.

P. Goyal, C. Huang, A. Trabelsi and O. R. Zaiane, "Exploring Preferential Label Smoothing for Neural
Network based Classifiers". Scores are in percent, mean and standard deviation.
"""

import pandas as pd

COLUMNS = ("row", "method", "mean", "std")
DATASETS = {  # in the paper's words
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "isear": "ISEAR",
    "tec": "TEC",
    "cbet": "CBET",
    "goemotions": "GoEmotions",
}


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
        ("CIFAR-10, ResNet-18", (93.809, 0.487), (94.085, 0.273), None, (94.112, 0.568)),
        ("CIFAR-10, ResNet-34", (93.762, 0.578), (93.557, 0.608), None, (93.793, 0.514)),
        ("CIFAR-100, ResNet-18", (72.789, 0.435), (72.665, 0.323), (72.618, 0.724), (72.798, 0.247)),
        ("CIFAR-100, ResNet-34", (71.839, 0.668), (71.902, 0.787), (72.813, 0.689), (71.78, 0.912)),
    ],
)

# Macro F1 of section 7, over five folds.
TABLE2 = _table(
    ("NoLS", "ULS", "SEMLS"),
    [
        ("ISEAR", (58.02, 3.82), (58.71, 3.13), (59.06, 3.51)),
        ("TEC", (52.12, 3.73), (51.84, 3.31), (51.48, 3.41)),
        ("CBET", (56.01, 3.97), (56.88, 3.62), (57.02, 3.23)),
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

# What sections 6.3.1 and 6.3.2 observe, in words of ours, a claim each. Of rate 0.0001 the paper also says
# that the norms behave unlike those at other rates, which says nothing that could be tested.
OBSERVATIONS = {
    "6.3.1 a1": "At rates above 0.0001 the generalization error saturates before the last epochs.",
    "6.3.1 a2": "At rate 0.0001 it still grows at the end.",
    "6.3.1 b": "At rate 0.0001 no smoothing lowers the generalization error.",
    "6.3.1 c": "At the other rates the methods' generalization errors are the same.",
    "6.3.1 d": "On CIFAR-100 ULS and SEMLS have a lower generalization error than NoLS.",
    "6.3.1 e": "On CIFAR-100 what ULS and SEMLS gain is largest where the rate is high.",
    "6.3.2 (1a)": "On CIFAR-10 ULS and SEMLS have smaller gradient norms than NoLS.",
    "6.3.2 (1b)": "Their norms come closer to NoLS's at the end.",
    "6.3.2 (2a)": "On CIFAR-100 their norms are smaller at first.",
    "6.3.2 (2b)": "They are larger later, at rates 0.01 and 0.001.",
    "6.3.2 (2c)": "They are smaller later as well, at rate 0.1.",
    "6.3.2 (3)": "At rate 0.1 NoLS has the largest norm.",
    "6.3.2 (4)": "The norms of ULS and SEMLS are closer to each other on CIFAR-100 than on CIFAR-10.",
    "6.3.2 (5)": "With every method the norm grows as the learning rate falls.",
    "6.3.2 (6)": "At rate 0.0001 nothing is learnt.",
}
