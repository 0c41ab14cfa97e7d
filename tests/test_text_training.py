"""One run on texts, on every backend."""

import keras
import numpy as np
import pytest

from pls_keras.experiments.specs import TextRun
from pls_keras.experiments.sweeps import SMOKE_TEXTS, text_run
from pls_keras.experiments.text_training import (
    class_weights,
    embed,
    load_texts,
    split_texts,
    train_on_texts,
)

pytest.importorskip("tensorflow")  # strings need it on every backend


def test_a_run_on_texts_is_scored_on_its_test_fold():
    run = text_run("sample", "SEMLS", fold=1, **SMOKE_TEXTS)
    curves, result = train_on_texts(run)
    texts = load_texts(run)
    train, validation, test = split_texts(run, texts)
    assert sorted([*train, *validation, *test]) == list(range(len(texts.texts)))
    assert curves["epoch"].tolist() == [1, 2]
    assert (curves["grad_norm"] > 0).all()
    scores = result["scores"]
    assert scores["test_texts"] == len(test) == sum(result["reliability"]["samples"])
    assert scores["train_texts"] == len(train)
    assert scores["oov_rate"] == 1  # no vectors were given
    assert {name for name in scores if name.startswith("val_")} >= {"val_macro_f1", "val_nll"}


def test_word_vectors_of_two_folds_have_one_shape():
    run = text_run("sample", "NoLS", fold=0, **SMOKE_TEXTS)
    one, found = embed(run, [str(i) for i in range(300)])
    other, _ = embed(run, [str(i) for i in range(320)])
    assert one.shape == other.shape
    assert one[:300].any(axis=1).all()
    assert not one[300:].any()
    assert len(found) == 300


@pytest.mark.realdata
def test_texts_with_letters_beyond_ascii_train(text_home):
    small = {**SMOKE_TEXTS, "epochs": 1, "batch_size": 512, "max_words": 8}
    run = text_run("isear", "NoLS", fold=0, **small)
    assert not all(text.isascii() for text in load_texts(run).texts)
    _, result = train_on_texts(run)
    assert 0 < result["scores"]["macro_f1"] < 1


def test_class_weights_are_one_on_average_and_favour_rare_classes():
    y = np.repeat([0, 1, 2], [16, 4, 1])
    weights = class_weights(y, 0.5)
    assert np.mean([weights[label] for label in y]) == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx(2)
    assert weights[2] / weights[0] == pytest.approx(4)
    assert set(class_weights(y, 0).values()) == {1}


def test_a_text_run_that_diverges_says_so():
    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.set_weights([np.full_like(weight, np.nan) for weight in self.model.get_weights()])

    run = TextRun(dataset="sample", method="ULS", vectors=None, units=4, epochs=5, fold=0)
    curves, result = train_on_texts(run, callbacks=[Break()])
    assert result["scores"] == {"diverged": 2}
    assert curves["loss"].isna().tolist() == [False, True]
