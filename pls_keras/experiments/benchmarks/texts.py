"""Time of text runs as a sweep makes them, over that of the straightforward way."""

import multiprocessing
import os
import tempfile
import time

import keras
import pandas as pd

from pls_keras.data.tokens import text_vectorization
from pls_keras.experiments.runner import run_sweep
from pls_keras.experiments.store import RunStore
from pls_keras.experiments.sweeps import text_run
from pls_keras.experiments.text_training import (
    build_text_model,
    class_weights,
    embed,
    load_texts,
    split_texts,
)


def bench_texts(vectors, *, datasets=("isear", "tec", "cbet"), epochs=1, workers=None):
    """Seconds that two runs take: with batches of similar length, each run in a worker of one thread,
    and with every text padded to the longest, one run after the other, on all threads.

    Args:
        vectors: word vectors, as `TextRun` has them.
        datasets: names of corpora.
        epochs: epochs of each run, a sample of those of Table 2.
        workers: workers of the sweep; None for one a core.

    Returns:
        `DataFrame` with a row a corpus: `texts`, `seconds`, `straightforward_seconds`, `ratio`.
    """
    rows = []
    spawned = multiprocessing.get_context("spawn")  # a process in which no backend has started
    for dataset in datasets:
        runs = [
            text_run(dataset, "NoLS", fold=fold, seed=fold, epochs=epochs, vectors=vectors)
            for fold in range(2)
        ]
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            run_sweep(runs, RunStore(folder), workers=workers or os.cpu_count())
            ours = time.perf_counter() - start
        start = time.perf_counter()
        with spawned.Pool(1) as process:
            texts = process.apply(train_padded, (runs,))
        rows.append((dataset, texts, ours, time.perf_counter() - start))
    table = pd.DataFrame(rows, columns=["dataset", "texts", "seconds", "straightforward_seconds"])
    return table.assign(ratio=table["straightforward_seconds"] / table["seconds"])


def train_padded(runs):
    """Train runs one by one with all texts padded to the longest. Returns the number of texts."""
    for run in runs:
        texts = load_texts(run)
        train, validation, test = split_texts(run, texts)
        layer = text_vectorization(texts.texts[train], min_count=run.min_count, max_words=None)
        tokens = keras.ops.convert_to_numpy(layer(list(texts.texts)))
        embeddings, _ = embed(run, layer.get_vocabulary())
        steps = run.epochs * len(train) // run.batch_size
        model = build_text_model(run, texts, embeddings, steps, run.theta(texts))
        model.fit(
            tokens[train],
            texts.y[train],
            batch_size=run.batch_size,
            epochs=run.epochs,
            class_weight=class_weights(texts.y[train], run.class_weight),
            verbose=0,
            validation_data=(tokens[validation], texts.y[validation]),
        )
        model.predict(tokens[test], verbose=0)
    return len(texts.texts)
