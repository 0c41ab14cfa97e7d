"""Emotion corpora of section 7, from their official files, and a small corpus that needs no download."""

import csv
import dataclasses
import hashlib
import html
import io
import os
import pathlib
import tempfile
import warnings
import zipfile

import keras
import numpy as np

from pls_keras.data import labels as names
from pls_keras.data.cache import keras_home

FOLDER = pathlib.Path("datasets") / "pls_keras"  # in Keras's cache
SAMPLE = pathlib.Path(__file__).parent / "emotion_sentences.csv"
GITHUB = "https://raw.githubusercontent.com"
GOEMOTIONS = f"{GITHUB}/google-research/google-research/master/goemotions/data"


@dataclasses.dataclass(frozen=True)
class Source:
    """An official file: its name in Keras's cache, its address, and its sha256 where it is known."""

    file: str
    url: str
    sha256: str | None


TEC = Source(
    "Jan9-2012-tweets-clean.txt",
    "http://saifmohammad.com/WebDocs/Jan9-2012-tweets-clean.txt.zip",
    "dca42ec5b4c46ea76762df2935ca9ad1c62539febda8ea0a77e3d0cf746af14e",
)
ISEAR = Source(
    "isear.csv",
    f"{GITHUB}/sinmaniphel/py_isear_dataset/master/isear.csv",
    "370110fff70a1e1d9e23b10cf6db1f64876120fa02276afe5916fbfeb038cdca",
)
CBET = Source("CBET.csv", "https://webdocs.cs.ualberta.ca/~zaiane/CBET/CBET.csv", None)
GOEMOTIONS_SPLITS = {
    "train": Source(
        "train.tsv",
        f"{GOEMOTIONS}/train.tsv",
        "1c254a142be5c00e80d819b9ae1bbd36d94b2eeb8f4b1271846508d57e57d9c5",
    ),
    "validation": Source(
        "dev.tsv",
        f"{GOEMOTIONS}/dev.tsv",
        "575489c079c9de1097062a01738f998590d6b7ead66dd1c9fd1d2ba01fd8bc62",
    ),
    "test": Source(
        "test.tsv",
        f"{GOEMOTIONS}/test.tsv",
        "0587b2dd8b27b97352adbfc3fb083d46005c8946657fdc2b1ca8b1cc7f1f8be4",
    ),
}
# Single-label rows of the whole file, as section 7 counts them.
CBET_ROWS = 76_860


@dataclasses.dataclass(frozen=True, eq=False)
class TextDataset:
    """Texts with one label each.

    Attributes:
        name: name of the corpus.
        texts: array of str of shape (n,).
        y: class ids of shape (n,), int64.
        labels: K label names, in the order of the ids.
        split: "train", "validation" or "test" for each text, where the corpus has its own split;
            else None.
        indicator: annotations of all rows, those of several labels too, for `cooccurrence_theta`:
            uint8 of shape (m, K). Of a corpus with its own split, the training rows alone, so that
            no test annotation reaches a theta.
        fraction: rows that are here over those of the whole file, at most 1.
    """

    name: str
    texts: np.ndarray
    y: np.ndarray
    labels: tuple[str, ...]
    split: np.ndarray | None
    indicator: np.ndarray
    fraction: float = 1.0

    @property
    def classes(self):
        """Number of classes, K."""
        return len(self.labels)

    def select(self, labels):
        """The texts of some labels, with the ids counted anew in the order of the corpus.

        Raises:
            ValueError: if the corpus lacks one of them.
        """
        unknown = set(labels) - set(self.labels)
        if unknown or len(set(labels)) < 2:
            raise ValueError(f"labels must name at least 2 of {self.labels}. Received: {tuple(labels)}")
        kept = [i for i, label in enumerate(self.labels) if label in set(labels)]
        rows = np.isin(self.y, kept)
        indicator = self.indicator[:, kept]
        return dataclasses.replace(
            self,
            texts=self.texts[rows],
            y=np.searchsorted(kept, self.y[rows]),
            labels=tuple(self.labels[i] for i in kept),
            split=None if self.split is None else self.split[rows],
            indicator=indicator[indicator.any(axis=1)],
        )

    def __repr__(self):
        part = "" if self.fraction == 1 else f", {self.fraction:.0%} of the whole"
        return f"TextDataset({self.name}: {len(self.texts):,} texts, {self.classes} labels{part})"


def load_text(name):
    """A corpus of section 7 from its official file, or the sample that comes with the package.

    A file is downloaded once, into `datasets/pls_keras` in Keras's cache (`KERAS_HOME`, by default
    `~/.keras`). Where there is no network, put it there under its official name:
    `Jan9-2012-tweets-clean.txt` (TEC), `isear.csv`, `CBET.csv`, and `train.tsv`, `dev.tsv` and
    `test.tsv` (GoEmotions). A part of CBET loads with a warning that says how much it is.

    Texts with several labels are left out of `texts` and counted in `indicator`; so is "neutral" of
    GoEmotions.

    Args:
        name: "tec", "cbet", "isear", "goemotions" or "sample".

    Returns:
        `TextDataset`.

    Raises:
        FileNotFoundError: if a file is missing and cannot be downloaded.
        ValueError: if a file is not the official one, or if there is no such corpus.

    Example:
        >>> load_text("sample").labels
        ('joy', 'fear', 'anger', 'sadness', 'disgust', 'shame', 'guilt')
    """
    loaders = {
        "tec": _load_tec,
        "cbet": _load_cbet,
        "isear": _load_isear,
        "goemotions": _load_goemotions,
        "sample": _load_sample,
    }
    if name not in loaders:
        raise ValueError(f"name must be one of {tuple(loaders)}. Received: {name!r}")
    return loaders[name]()


def _load_tec():
    # Separators other than a line feed occur inside texts, and tabs do too.
    lines = _fetch(TEC).split("\n")
    fields = [line.split("\t") for line in lines if line.strip()]
    texts = [" ".join(field[1:-1]) for field in fields]
    return _single(
        "tec", texts, [field[-1].strip().removeprefix(":: ") for field in fields], names.TEC_LABELS
    )


def _load_isear():
    rows = [line.split("|") for line in _fetch(ISEAR).splitlines()[1:] if line]
    # Texts may hold the separator; "á" stands for the end of a line.
    texts = ["|".join(row[40:-2]).replace("á", " ") for row in rows]
    return _single("isear", texts, [row[36] for row in rows], names.ISEAR_LABELS)


def _load_cbet():
    columns = {"text", *names.CBET_LABELS}  # in any order
    rows = list(csv.DictReader(io.StringIO(_fetch(CBET))))
    if not rows or not columns <= set(rows[0]):
        raise ValueError(
            f"{_path(CBET)} must have rows with the columns {sorted(columns)}. "
            f"Received: {list(rows[0]) if rows else 'no rows'}"
        )
    dataset = _multiple(
        "cbet",
        [row["text"] for row in rows],
        [[label for label in names.CBET_LABELS if row[label] == "1"] for row in rows],
        names.CBET_LABELS,
    )
    found = len(dataset.texts)
    if found > CBET_ROWS:
        raise ValueError(f"{_path(CBET)} must have {CBET_ROWS:,} rows of one label. Received: {found:,}")
    if found < CBET_ROWS:
        warnings.warn(
            f"{_path(CBET)} is a part of CBET: {found:,} of {CBET_ROWS:,} rows of one label "
            f"({found / CBET_ROWS:.0%}). Its scores are not comparable with the whole corpus's.",
            stacklevel=3,
        )
    return dataclasses.replace(dataset, fraction=found / CBET_ROWS)


def _load_goemotions():
    # The official ids follow the alphabet; the last is "neutral".
    emotions = (*names.GOEMOTIONS_LABELS, "neutral")
    texts, labels, splits = [], [], []
    for split, source in GOEMOTIONS_SPLITS.items():
        rows = [line.split("\t") for line in _fetch(source).split("\n") if line]
        texts += [row[0] for row in rows]
        labels += [[emotions[int(i)] for i in row[1].split(",")] for row in rows]
        splits += [split] * len(rows)
    return _multiple("goemotions", texts, labels, names.GOEMOTIONS_LABELS, np.array(splits))


def _load_sample():
    rows = list(csv.DictReader(SAMPLE.read_text(encoding="utf-8").splitlines()))
    labels = [row["labels"].split("+") for row in rows]
    return _multiple("sample", [row["text"] for row in rows], labels, names.ISEAR_LABELS)


def _single(name, texts, labels, known):
    return _multiple(name, texts, [[label] for label in labels], known)


def _multiple(name, texts, labels, known, split=None):
    """A corpus from texts and the list of labels of each; labels that are not known are left out."""
    ids = {label: i for i, label in enumerate(known)}
    indicator = np.zeros((len(texts), len(known)), "uint8")
    for row, given in enumerate(labels):
        indicator[row, [ids[label] for label in given if label in ids]] = 1
    single = np.array([len(given) == 1 and given[0] in ids for given in labels])
    counted = indicator.any(axis=1) if split is None else indicator.any(axis=1) & (split == "train")
    cleaned = np.array([" ".join(html.unescape(text).split()) for text in texts], dtype=object)
    return TextDataset(
        name=name,
        texts=cleaned[single],
        y=indicator[single].argmax(axis=1),
        labels=tuple(known),
        split=None if split is None else split[single],
        indicator=indicator[counted],
    )


def _path(source):
    return keras_home() / FOLDER / source.file


def _fetch(source):
    """The text of an official file, from Keras's cache or from its address."""
    path = _path(source)
    advice = f"Get it from {source.url} and put it into the folder {path.parent} as {path.name}."
    if not path.is_file():
        try:
            _download(source, path)
        except Exception as error:  # get_file raises a plain Exception
            raise FileNotFoundError(
                f"No file {path}, and it could not be downloaded ({error}). {advice}"
            ) from error
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if source.sha256 not in (None, digest):
        raise ValueError(
            f"{path} is not the official file: its sha256 is {digest}, of {len(content):,} bytes, and "
            f"must be {source.sha256}. Perhaps it was cut short or opened in an editor. {advice}"
        )
    return content.decode("utf-8")


def _download(source, path):
    """Get a file whole or not at all, also if several processes do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = pathlib.PurePosixPath(source.url).name
    with tempfile.TemporaryDirectory(prefix=".part-", dir=path.parent) as part:
        got = keras.utils.get_file(name, source.url, cache_dir=part)
        if name != path.name:
            with zipfile.ZipFile(got) as archive:
                got = archive.extract(path.name, part)
        os.replace(got, path)
