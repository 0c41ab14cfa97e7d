"""Batches of arrays, and how they reach `fit`, `evaluate` and `predict`."""

import functools

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Batches in the order of the samples, or in one that a seed and the epoch decide alone.

    So a run that was stopped can be taken up again at any epoch.

    Args:
        x: samples of shape (n, …), an array or a structure of arrays.
        y: the same of targets; None where there are none, as for `predict`.
        batch_size: samples a batch.
        seed: seed of the orders; None for the order of the samples.
        epoch: the epoch to begin with.

    Raises:
        ValueError: if arrays differ in their number of samples.
    """

    def __init__(self, x, y, batch_size, *, seed=None, epoch=0):
        super().__init__()
        data = (x,) if y is None else (x, y)
        self.data = _tuples(keras.tree.map_structure(keras.ops.convert_to_numpy, data))
        self.batch_size, self.seed, self.epoch = batch_size, seed, epoch
        shapes = [array.shape for array in keras.tree.flatten(self.data)]
        if () in shapes or len({shape[0] for shape in shapes}) != 1:
            raise ValueError(
                "Arrays must have a row a sample, the same number of rows each; a list of numbers must "
                f"become an array by np.array. Received: shapes {shapes[:5]}"
            )
        self.samples = shapes[0][0]
        self._order()

    def on_epoch_end(self):
        self.epoch += 1
        self._order()

    def _order(self):
        self.order = np.arange(self.samples)
        if self.seed is not None:
            self.order = np.random.default_rng((self.seed, self.epoch)).permutation(self.samples)

    def __len__(self):
        return -(-self.samples // self.batch_size)

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return keras.tree.map_structure(lambda array: array[rows], self.data)


def _tuples(structure):
    """A structure with tuples for lists, which `tf.data` takes for arrays."""
    if isinstance(structure, dict):
        return {name: _tuples(part) for name, part in structure.items()}
    return tuple(map(_tuples, structure)) if isinstance(structure, (list, tuple)) else structure


def fit(model, batches, *, validation_data=None, callbacks=(), **kwargs):
    """`model.fit`; on TensorFlow without the thread that tunes the way of the data.

    TensorFlow's `tf.data`, through which Keras hands all data to `fit` there, tunes itself in a thread
    that may sleep through the end of an iterator. The fit then waits until its period is over, and the
    period doubles: up to half of the time of a fit goes by after its last epoch. In a fit of one's own,
    `dataset.with_options(options)`, with `options.autotune.enabled = False` of `tf.data.Options()`, does
    the same as this.

    Args:
        model: compiled `keras.Model`.
        batches: `keras.utils.PyDataset`, which shuffles itself.
        validation_data: another, or None.
        callbacks: Keras callbacks.
        **kwargs: as for `model.fit`.

    Returns:
        Keras's `History`.
    """
    _build(model, batches)
    turn = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: batches.on_epoch_end())
    return model.fit(
        _untuned(batches),
        validation_data=None if validation_data is None else _untuned(validation_data),
        callbacks=[turn, *callbacks],
        shuffle=False,
        verbose=0,
        **kwargs,
    )


def evaluate(model, batches):
    """`model.evaluate`, as `fit` has its data: a dict of scores."""
    return model.evaluate(_untuned(batches), verbose=0, return_dict=True)


def predict(model, batches):
    """`model.predict`, as `fit` has its data: an array of predictions."""
    return model.predict(_untuned(batches), verbose=0)


class _InPresentOrder(keras.utils.PyDataset):
    """The same batches, which Keras's own calls of `on_epoch_end`, of uncertain number, do not shuffle."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


@functools.cache
def never_tune():
    """From here on, leave the thread that tunes data (see `fit`) out of each fit of arrays in this process.

    That changes what `tf.data.Options` begins with: for notebooks and tests, which own their process.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        make = tf.data.Options.__init__

        def without_tuning(self):
            make(self)
            self.autotune.enabled = False

        tf.data.Options.__init__ = without_tuning


def _build(model, batches):
    """Make the variables of optimizer and metrics: a step that makes its own is traced twice."""
    model.optimizer.build(model.trainable_variables)
    x, y = batches[0]
    [output] = model.outputs
    predictions = keras.ops.full((1, *output.shape[1:]), 1 / output.shape[-1])
    model.compute_metrics(x, keras.tree.map_structure(lambda array: array[:1], y), predictions, None)
    model.reset_metrics()


def _untuned(batches):
    """What the backend at hand takes; made once for the same batches."""
    if "_untuned" not in vars(batches):
        on_tensorflow = keras.backend.backend() == "tensorflow"
        batches._untuned = (_dataset if on_tensorflow else _InPresentOrder)(batches)
    return batches._untuned


def _dataset(batches):
    """A `tf.data.Dataset`. As Keras does, this sees in two batches which dimensions are open."""
    import tensorflow as tf

    def signature(first, second):
        pairs = zip(first.shape[1:], second.shape[1:], strict=True)
        return tf.TensorSpec((None, *(m if m == n else None for m, n in pairs)), first.dtype)

    count = len(batches)
    dataset = tf.data.Dataset.from_generator(
        lambda: (batches[index] for index in range(count)),
        output_signature=keras.tree.map_structure(signature, batches[0], batches[min(1, count - 1)]),
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2).with_options(options)
