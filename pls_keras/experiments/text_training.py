"""One run on texts: a spec in, its curves and its result out."""

import dataclasses
import functools

import keras
import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split

from pls_keras.callbacks import GradientNorm, OnlineTheta
from pls_keras.data.feeding import fit, predict
from pls_keras.data.text import load_text
from pls_keras.data.tokens import LengthBatches, embedding_matrix, text_vectorization
from pls_keras.experiments.divergence import DivergenceError, StopAtDivergence, raise_if_diverged
from pls_keras.experiments.methods import LEARNED
from pls_keras.experiments.scoring import guesses, reliability, score
from pls_keras.losses import PreferentialSmoothingLoss
from pls_keras.metrics import ExpectedCalibrationError
from pls_keras.models import LSTM, BiLSTM
from pls_keras.thetas import confusion_theta, load_vectors

MODELS = {"LSTM": LSTM, "BiLSTM": BiLSTM}
RANDOM_DIMENSION = 50
ROWS = 512  # word vectors come in multiples of so many rows, so that folds share compiled programs

# A worker meets the same corpus and vectors many times.
_load_text = functools.lru_cache(maxsize=2)(load_text)
_load_vectors = functools.lru_cache(maxsize=1)(load_vectors)


def load_texts(run):
    """The texts of a run: its data set, or that of some classes alone."""
    texts = _load_text(run.dataset)
    return texts.select(run.classes) if run.classes else texts


def split_texts(run, texts):
    """Which texts train, validate and test a run.

    Folds are stratified and the same for every method and seed. A tenth of what is left by the test
    fold validates.

    Returns:
        Three arrays of row numbers: training, validation, test.
    """
    if run.fold is None:
        return tuple(np.flatnonzero(texts.split == part) for part in ("train", "validation", "test"))
    folds = StratifiedKFold(run.folds, shuffle=True, random_state=0).split(texts.texts, texts.y)
    rest, test = list(folds)[run.fold]
    train, validation = train_test_split(rest, test_size=0.1, stratify=texts.y[rest], random_state=0)
    return train, validation, test


def class_weights(y, exponent):
    """Weight of each class in the loss, frequency^-exponent, 1 on average over the texts."""
    counts = np.bincount(y)
    weights = (counts / len(y)) ** -exponent
    return dict(enumerate(weights / weights[y].mean()))


def build_text_model(run, texts, embeddings, steps, theta):
    """The compiled model of a run, for token ids, to be trained for a number of steps with a theta."""
    keras.utils.set_random_seed(run.seed)
    model = MODELS[run.model](
        texts.classes,
        embeddings=embeddings,
        trainable_embeddings=True,
        units=run.units,
        dropout=run.dropout,
        word_dropout=run.word_dropout,
        pooling=run.pooling,
    )
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(run.learning_rate, steps)),
        loss=PreferentialSmoothingLoss(theta, run.method_smoothing_ratio),
        metrics=[
            "accuracy",
            ExpectedCalibrationError(),
            keras.metrics.SparseCategoricalCrossentropy(name="nll"),
        ],
    )
    return model


def train_on_texts(run, callbacks=()):
    """Train one model and test it with the weights of its best validation epoch.

    Best is the least plain cross-entropy, whatever the method's own loss.

    Args:
        run: `TextRun`.
        callbacks: further Keras callbacks.

    Returns:
        Pair of the curves, a `DataFrame` with a row an epoch, and the result, a dict of `scores`,
        `reliability` and `guesses` (`pls_keras.experiments.scoring`) on the test texts, and the `theta`
        that was learned, if any. The scores are also, with `val_` before them, of the validation texts;
        `best_epoch`; `oov_rate`, the share of the training texts' words without a vector of their own;
        `fraction`, how much of the whole corpus there is; and the numbers of texts. A run that diverges
        ends with that epoch, `diverged` is its only score.
    """
    texts = load_texts(run)
    train, validation, test = split_texts(run, texts)
    layer = text_vectorization(texts.texts[train], min_count=run.min_count, max_words=run.max_words)
    tokens = keras.ops.convert_to_numpy(layer(list(texts.texts)))
    embeddings, found = embed(run, layer.get_vocabulary())

    def batches(rows, size=512, **shuffling):
        return LengthBatches(tokens[rows], texts.y[rows], size, **shuffling)

    def trained(run, theta):
        training = batches(train, run.batch_size, shuffle=True, seed=run.seed)
        model = build_text_model(run, texts, embeddings, len(training) * run.epochs, theta)
        best = keras.callbacks.EarlyStopping(
            "val_nll", patience=run.epochs, mode="min", restore_best_weights=True
        )
        # Under Online the true class keeps 1 - ε, as in CLS.
        learning = [OnlineTheta(include_true=False)] if run.method == "Online" else []
        history = fit(
            model,
            training,
            epochs=run.epochs,
            class_weight=class_weights(texts.y[train], run.class_weight),
            validation_data=batches(validation),
            callbacks=[GradientNorm(), *learning, best, StopAtDivergence(), *callbacks],
        )
        curves = pd.DataFrame(history.history)
        curves.insert(0, "epoch", np.arange(1, len(curves) + 1))
        raise_if_diverged(curves)
        return model, curves, best

    theta = run.theta(texts)
    try:
        if theta is None:  # of what the same run with NoLS takes its validation texts for
            twin = dataclasses.replace(run, method="NoLS")
            model, *_ = trained(twin, twin.theta(texts))
            theta = confusion_theta(*predict_texts(model, batches(validation)), texts.labels)
        model, curves, best = trained(run, theta)
    except DivergenceError as end:
        return end.curves, end.result
    words = tokens[train][tokens[train] > 0]
    tested, validated = predict_texts(model, batches(test)), predict_texts(model, batches(validation))
    scores = {
        **score(*tested, texts),
        **{f"val_{name}": value for name, value in score(*validated, texts).items()},
        "best_epoch": best.best_epoch + 1,
        "oov_rate": float(1 - found[words].mean()),
        "fraction": texts.fraction,
        "train_texts": len(train),
        "test_texts": len(test),
    }
    return curves, {
        "scores": scores,
        "reliability": reliability(*tested),
        "guesses": guesses(tested[1]),
        "theta": model.loss.theta if run.method in LEARNED else None,
    }


def predict_texts(model, batches):
    """Class ids and probabilities of the texts of `batches`, in the same order."""
    return batches.y[batches.order], predict(model, batches)


def embed(run, vocabulary):
    """Word vectors of a run's vocabulary, rows of zeros after them, and which words have one of their own.

    Vocabularies of the folds of a corpus differ by a few words, and a compiler by the shape of this.
    """
    if run.vectors is None:
        rng = np.random.default_rng(run.seed)
        embeddings = rng.normal(0.0, 0.1, (len(vocabulary), RANDOM_DIMENSION)).astype("float32")
        found = np.zeros(len(vocabulary), bool)
    else:
        embeddings, found = embedding_matrix(vocabulary, _load_vectors(run.vectors), seed=run.seed)
    return np.pad(embeddings, ((0, -len(embeddings) % ROWS), (0, 0))), found
