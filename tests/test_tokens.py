"""Texts to token ids, word vectors and batches."""

import keras
import numpy as np
import pytest

from pls_keras.data.tokens import LengthBatches, embedding_matrix, text_vectorization

pytest.importorskip("tensorflow")  # strings need it on every backend


def tokens_of(lengths):
    """Texts whose tokens are 1, 2, …, length."""
    longest = max(lengths)
    return np.array([[*range(1, n + 1), *[0] * (longest - n)] for n in lengths])


def test_words_are_cut_as_those_of_glove():
    texts = ["I DON'T know, she's “here”!!", "http://t.co/x @someone  we’ll  go"]
    layer = text_vectorization(texts, min_count=1)
    words = np.array(layer.get_vocabulary())
    first, second = (" ".join(words[row[row > 0]]) for row in keras.ops.convert_to_numpy(layer(texts)))
    assert first == "i do n't know , she 's “ here ” ! !"
    assert second == "we 'll go"


def test_vocabulary_is_that_of_the_training_texts_and_words_below_min_count_are_unknown():
    layer = text_vectorization(["sad sad day", "day glad"], min_count=2)
    assert list(map(str, layer.get_vocabulary()[2:])) == ["day", "sad"]
    ids = keras.ops.convert_to_numpy(layer(["sad glad holiday"]))[0]
    assert ids[:3].tolist() == [3, 1, 1]
    with pytest.raises(ValueError, match="No word occurs 3 times"):
        text_vectorization(["sad sad day"], min_count=3)


def test_a_saved_vectorization_layer_loads_and_cuts_alike(tmp_path):
    layer = text_vectorization(["don't worry, be happy"], min_count=1, max_words=7)
    model = keras.Sequential([keras.Input((), dtype="string"), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    text = np.array([["don't be HAPPY, worry. happy happy"]], dtype=object)[0]
    ids = keras.ops.convert_to_numpy(layer(text))
    assert ids.shape == (1, 7)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded.layers[-1](text)), ids)


def test_texts_of_other_alphabets_are_cut_too():
    layer = text_vectorization(["Я знаю, 我知道", "voilà"], min_count=1)
    ids = keras.ops.convert_to_numpy(layer(["я ЗНАЮ voilà 我知道"]))[0]
    assert [str(layer.get_vocabulary()[i]) for i in ids if i] == ["я", "знаю", "voilà", "我知道"]


def test_embedding_matrix_takes_known_vectors_and_draws_the_others():
    vectors = {"joy": np.float32([1, 2, 3]), "fear": np.float32([-1, 0, 5])}
    matrix, found = embedding_matrix(["", "[UNK]", "joy", "unheard", "fear"], vectors, seed=3)
    assert found.tolist() == [False, False, True, False, True]
    np.testing.assert_array_equal(matrix[0], 0)
    np.testing.assert_array_equal(matrix[1], [0, 1, 4])
    np.testing.assert_array_equal(matrix[[2, 4]], [vectors["joy"], vectors["fear"]])
    again, _ = embedding_matrix(["", "[UNK]", "joy", "unheard", "fear"], vectors, seed=3)
    other, _ = embedding_matrix(["", "[UNK]", "joy", "unheard", "fear"], vectors, seed=4)
    np.testing.assert_array_equal(matrix, again)
    assert (matrix[3] != other[3]).all()
    with pytest.raises(ValueError, match="None of the 3 words has a vector"):
        embedding_matrix(["", "[UNK]", "Freude"], vectors)


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_of_batches_holds_each_text_once_with_its_target(shuffle):
    lengths = np.random.default_rng(0).integers(1, 40, 203)
    batches = LengthBatches(tokens_of(lengths), np.arange(203), 16, shuffle=shuffle, seed=1)
    for _ in range(2):
        rows = np.concatenate([batches[i][1] for i in range(len(batches))])
        assert sorted(rows) == list(range(203))
        np.testing.assert_array_equal(rows, batches.order)
        for i in range(len(batches)):
            x, y = batches[i]
            np.testing.assert_array_equal((x > 0).sum(axis=1), lengths[y])
            assert x.shape[1] < lengths[y].max() + (8 if keras.backend.backend() == "jax" else 2)
        batches.on_epoch_end()


def test_shuffled_batches_change_with_epoch_and_seed_and_repeat_with_the_same_seed():
    def orders(seed):
        batches = LengthBatches(tokens_of([3, 9, 5, 7] * 30), np.zeros(120), 8, shuffle=True, seed=seed)
        first = batches.order
        batches.on_epoch_end()
        return first, batches.order

    first, second = orders(0)
    assert (first != second).any()
    np.testing.assert_array_equal(first, orders(0)[0])
    assert (first != orders(1)[0]).any()


def test_shuffled_batches_mix_texts_of_a_length_and_pad_no_more_than_sorted_ones():
    lengths = np.random.default_rng(0).integers(1, 5, 200)
    tokens = tokens_of(lengths)

    def parts(batches):
        return {frozenset(rows) for rows in batches.batches}

    batches = LengthBatches(tokens, lengths, 16, shuffle=True)
    in_order = LengthBatches(tokens, lengths, 16)
    first = parts(batches)
    for _ in range(3):
        longest = [sorted(lengths[rows].max() for rows in b.batches) for b in (batches, in_order)]
        assert longest[0] == longest[1]
        batches.on_epoch_end()
        assert len(parts(batches) & first) < len(first) / 2


def test_the_first_two_batches_leave_the_length_open_in_every_epoch():
    # Otherwise a model that has met the width 8 alone fails at the first batch of width 5.
    for seed in range(10):
        batches = LengthBatches(tokens_of([5, 5] + [8] * 10), np.zeros(12), 2, shuffle=True, seed=seed)
        for _ in range(5):
            assert batches[0][0].shape[1] != batches[1][0].shape[1]
            batches.on_epoch_end()


@pytest.mark.parametrize("texts", [1, 16, 17, 40])
def test_a_model_trains_on_batches_of_different_length(texts):
    tokens = tokens_of(np.arange(1, texts + 1))
    model = keras.Sequential(
        [keras.layers.Embedding(50, 2), keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1)]
    )
    model.compile(loss="mse")
    history = model.fit(LengthBatches(tokens, np.ones((texts, 1)), 16, shuffle=True), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
