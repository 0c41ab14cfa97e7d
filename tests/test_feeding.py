"""Batches, and how they reach `fit`, `evaluate` and `predict`."""

import keras
import numpy as np
import pytest

from pls_keras.data.feeding import Batches, _untuned, evaluate, fit, predict
from pls_keras.data.tokens import LengthBatches

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)


def order(batches):
    return [batches[i][0].tolist() for i in range(len(batches))]


def test_batches_hold_each_sample_once_in_an_order_of_seed_and_epoch():
    x = np.arange(10)
    batches = Batches(x, x, 4, seed=1)
    first = order(batches)
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(np.concatenate(first)) == x.tolist()
    batches.on_epoch_end()
    second = order(batches)
    assert second != first
    assert order(Batches(x, x, 4, seed=1, epoch=1)) == second
    assert order(Batches(x, x, 4, seed=2)) != first


def test_batches_without_a_seed_keep_the_order_and_may_have_no_targets():
    batches = Batches(np.arange(5), None, 2)
    batches.on_epoch_end()
    assert order(batches) == [[0, 1], [2, 3], [4]]
    assert len(batches[0]) == 1


def test_batches_cut_every_array_of_a_structure():
    batches = Batches({"a": np.arange(3), "b": 10 * np.arange(3)}, [np.arange(3), -np.arange(3)], 2)
    x, y = batches[1]
    assert (x["a"].tolist(), x["b"].tolist()) == ([2], [20])
    assert [part.tolist() for part in y] == [[2], [-2]]


class Order(keras.utils.PyDataset):
    """Batches that note in which order they are taken."""

    def __init__(self, batches):
        super().__init__()
        self.batches, self.taken, self.ends = batches, [], 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        x, y = self.batches[index]
        self.taken.append(x[:, 0].tolist())
        return x, y

    def on_epoch_end(self):
        self.ends += 1
        self.batches.on_epoch_end()


def model_of(features):
    model = keras.Sequential([keras.Input((features,)), keras.layers.Dense(2, "softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data(n=10, features=3):
    x = RNG.normal(size=(n, features)).astype("float32")
    x[:, 0] = np.arange(n)
    return x, RNG.integers(0, 2, n)


@pytest.mark.parametrize("n", [3, 10])  # one batch, and three
def test_fit_takes_each_epoch_in_its_own_order(n):
    x, y = data(n)
    noted = Order(Batches(x, y, 4, seed=1))
    fit(model_of(3), noted, epochs=3)
    assert noted.ends == 3
    size = -(-n // 4)
    expected = [
        [
            batch[0][:, 0].tolist()
            for batch in map(Batches(x, y, 4, seed=1, epoch=e).__getitem__, range(size))
        ]
        for e in range(3)
    ]
    for epoch, batches in enumerate(expected[::-1]):  # what comes before the first is to see shapes
        end = len(noted.taken) - epoch * size
        assert noted.taken[end - size : end] == batches


def test_fit_trains_as_keras_does():
    x, y = data(50)
    histories, weights = [], []
    for ours in (True, False):
        keras.utils.set_random_seed(0)
        model = model_of(3)
        if ours:
            history = fit(model, Batches(x, y, 8), validation_data=Batches(x, y, 16), epochs=2)
        else:
            kwargs = {"validation_data": (x, y), "validation_batch_size": 16}
            history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, **kwargs)
        histories.append(history.history)
        weights.append(model.get_weights())
    assert histories[0].keys() == histories[1].keys()
    for name in histories[0]:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-5)
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_class_weights_count():
    x, y = data(20)
    losses = []
    for weight in ({0: 1.0, 1: 1.0}, {0: 0.0, 1: 0.0}):
        history = fit(model_of(3), Batches(x, y, 8), epochs=1, class_weight=weight)
        losses.append(history.history["loss"][0])
    assert losses[0] > 0
    assert losses[1] == 0


def test_evaluate_and_predict_are_those_of_keras():
    x, y = data(21)
    model = model_of(3)
    np.testing.assert_allclose(predict(model, Batches(x, None, 8)), model.predict(x, verbose=0), rtol=1e-5)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    assert evaluate(model, Batches(x, y, 8)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("x", "y"), [(np.zeros(3), np.zeros(2)), ([1.0, 2.0], np.zeros(2))])
def test_what_is_no_row_a_sample_is_an_error(x, y):
    with pytest.raises(ValueError, match="a row a sample"):
        Batches(x, y, 2)


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_a_model_of_two_inputs_is_evaluated(kind):
    x, y = data(21)
    inputs = [keras.Input((3,), name="a"), keras.Input((3,), name="b")]
    outputs = keras.layers.Dense(2, "softmax")(keras.layers.Concatenate()(inputs))
    model = keras.Model({"a": inputs[0], "b": inputs[1]} if kind is dict else inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    given = {"a": x, "b": -x} if kind is dict else kind([x, -x])
    expected = model.evaluate(given, y, verbose=0, return_dict=True)
    assert evaluate(model, Batches(given, y, 8)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.data")
def test_the_pipeline_has_no_thread_that_tunes_it():
    x, y = data()
    dataset = _untuned(Batches(x, y, 4))
    assert dataset.options().autotune.enabled is False
    assert dataset.map(lambda x, y: (x, y, y)).options().autotune.enabled is False  # as class weights do
    assert len(dataset) == 3
    tokens = (np.arange(12) < np.arange(1, 41)[:, None]).astype("int32")
    spec = _untuned(LengthBatches(tokens, np.zeros(40), 8)).element_spec
    assert spec[0].shape.as_list() == [None, None]
    assert spec[0].dtype == "int32"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of tf.data")
def test_data_of_arrays_have_no_thread_that_tunes_them():
    """By `never_tune`, which all tests begin with."""
    from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

    dataset = ArrayDataAdapter(np.zeros((4, 2)), np.zeros(4), batch_size=2).get_tf_dataset()
    assert dataset.options().autotune.enabled is False
