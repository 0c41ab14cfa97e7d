"""GradientNorm and GeneralizationError against a gradient taken by hand."""

import contextlib
import copy
import pickle
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from pls_keras import GeneralizationError, GradientNorm, OnlineTheta, PreferentialSmoothingLoss, Theta

BACKEND = keras.backend.backend()
LOPSIDED = Theta(np.array([[0.0, 0.9, 0.1], [0.3, 0.0, 0.7], [0.6, 0.4, 0.0]]))
X = np.random.default_rng(0).normal(size=(48, 5)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 48)


def classifier(seed=0, **layer_kwargs):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(7, activation="tanh", name="hidden", **layer_kwargs),
            keras.layers.Dense(3, activation="softmax", name="classes", **layer_kwargs),
        ]
    )


def compiled(model, optimizer=None, **kwargs):
    optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9)
    model.compile(optimizer, PreferentialSmoothingLoss(LOPSIDED), metrics=["accuracy"], **kwargs)
    return model


def gradient_by_hand(model, x, y):
    """The gradient of the compiled loss by the backend's own differentiation, a list of arrays."""
    loss_function = PreferentialSmoothingLoss(LOPSIDED)

    def total_loss(x, y):
        return loss_function(y, model(x, training=True)) + sum(model.losses)

    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = total_loss(x, y)
        return [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(loss, model.trainable_weights)]
    if BACKEND == "torch":
        model.zero_grad()
        total_loss(ops.convert_to_tensor(x), y).backward()
        return [v.value.grad.cpu().numpy() for v in model.trainable_weights]
    import jax

    def stateless_loss(values):
        mapping = list(zip(model.trainable_variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return total_loss(x, y)

    grads = jax.grad(stateless_loss)([v.value for v in model.trainable_variables])
    return [np.asarray(g) for g in grads]


def norms_by_hand(model, batches):
    """Norms of `batches` in turn, a second model making each step between them."""
    norms = []
    for x, y in batches:
        grads = gradient_by_hand(model, x, y)
        norms.append(np.sqrt(sum(np.sum(g.astype("float64") ** 2) for g in grads)))
        model.train_on_batch(x, y)
    return np.array(norms)


def batches(size=16):
    return [(X[i : i + size], Y[i : i + size]) for i in range(0, len(X), size)]


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "clipnorm": lambda: keras.optimizers.SGD(0.5, global_clipnorm=0.01),
    "decoupled weight decay": lambda: keras.optimizers.AdamW(0.05, weight_decay=0.1),
    "gradient accumulation": lambda: keras.optimizers.SGD(0.5, gradient_accumulation_steps=2),
    "constant loss scale": lambda: keras.optimizers.SGD(0.5, loss_scale_factor=256.0),
    "dynamic loss scale": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.5), initial_scale=1024.0
    ),
    "moving average": lambda: keras.optimizers.SGD(0.5, use_ema=True),
}


# On PyTorch Keras's own steps warn of NumPy's future.
@pytest.mark.filterwarnings("default" if BACKEND == "torch" else "error::DeprecationWarning")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_gradient_norm_is_that_of_a_gradient_by_hand(optimizer):
    expected = norms_by_hand(compiled(classifier(), OPTIMIZERS[optimizer]()), batches())
    model = compiled(classifier(), OPTIMIZERS[optimizer]())
    history = model.fit(X, Y, batch_size=16, shuffle=False, verbose=0, callbacks=[GradientNorm()])
    np.testing.assert_allclose(history.history["grad_norm"], [expected.mean()], rtol=1e-4)
    np.testing.assert_allclose(history.history["grad_norm_std"], [expected.std()], rtol=1e-3)
    np.testing.assert_allclose(history.history["grad_norm_max"], [expected.max()], rtol=1e-4)


def test_l2_penalties_are_part_of_the_gradient():
    def build():
        return compiled(classifier(kernel_regularizer=keras.regularizers.L2(0.3)))

    expected = norms_by_hand(build(), batches())
    history = build().fit(X, Y, batch_size=16, shuffle=False, verbose=0, callbacks=[GradientNorm()])
    np.testing.assert_allclose(history.history["grad_norm"], [expected.mean()], rtol=1e-4)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras on torch runs one step an execution")
def test_several_steps_an_execution_are_measured_one_by_one():
    expected = norms_by_hand(compiled(classifier()), batches())
    model = compiled(classifier(), steps_per_execution=3)
    history = model.fit(X, Y, batch_size=16, shuffle=False, verbose=0, callbacks=[GradientNorm()])
    np.testing.assert_allclose(history.history["grad_norm"], [expected.mean()], rtol=1e-4)
    np.testing.assert_allclose(history.history["grad_norm_std"], [expected.std()], rtol=1e-3)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_an_embedding_gathered_twice_counts_the_sum_of_its_gradients(run_eagerly):
    ids = np.array([[1, 1, 2], [3, 1, 1]])

    def build():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((3,), dtype="int32"),
                keras.layers.Embedding(5, 4),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(3, activation="softmax"),
            ]
        )
        return compiled(model, run_eagerly=run_eagerly)

    expected = norms_by_hand(build(), [(ids, np.array([0, 2]))])
    history = build().fit(ids, np.array([0, 2]), verbose=0, callbacks=[GradientNorm()])
    np.testing.assert_allclose(history.history["grad_norm"], expected, rtol=1e-4)


def test_each_layer_has_its_norm_and_their_squares_add_up():
    model = compiled(classifier())
    logs = model.fit(X, Y, batch_size=48, verbose=0, callbacks=[GradientNorm(per_layer=True)]).history
    layers = [logs[f"grad_norm/{name}"][0] for name in ("hidden", "classes")]
    grads = gradient_by_hand(compiled(classifier()), X, Y)
    expected = [np.sqrt(sum(np.sum(g**2) for g in pair)) for pair in (grads[:2], grads[2:])]
    np.testing.assert_allclose(layers, expected, rtol=1e-4)
    np.testing.assert_allclose(np.hypot(*layers), logs["grad_norm"][0], rtol=1e-5)


def test_frozen_layers_do_not_count():
    def build():
        model = classifier()
        model.get_layer("hidden").trainable = False
        return compiled(model)

    expected = norms_by_hand(build(), batches())
    history = build().fit(X, Y, batch_size=16, shuffle=False, verbose=0, callbacks=[GradientNorm()])
    np.testing.assert_allclose(history.history["grad_norm"], [expected.mean()], rtol=1e-4)


def test_epochs_are_averaged_one_by_one():
    model = compiled(classifier())
    twice = model.fit(X, Y, batch_size=16, shuffle=False, epochs=2, verbose=0, callbacks=[GradientNorm()])
    expected = norms_by_hand(compiled(classifier()), batches() + batches())
    np.testing.assert_allclose(
        twice.history["grad_norm"], [expected[:3].mean(), expected[3:].mean()], rtol=1e-4
    )


def test_training_is_the_same_with_and_without():
    plain, measured = compiled(classifier()), compiled(classifier())
    plain.fit(X, Y, batch_size=16, shuffle=False, epochs=2, verbose=0)
    measured.fit(X, Y, batch_size=16, shuffle=False, epochs=2, verbose=0, callbacks=[GradientNorm()])
    for a, b in zip(plain.get_weights(), measured.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "loss scaling"])
def test_the_optimizer_is_as_before_after_each_fit(wrap):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer) if wrap else optimizer
    model = compiled(classifier(), optimizer)
    model.fit(X, Y, verbose=0)
    before = [v.path for v in optimizer.variables]
    attributes = set(vars(optimizer))
    callback = GradientNorm()
    for _ in range(2):
        model.fit(X, Y, verbose=0, callbacks=[callback])
        assert [v.path for v in optimizer.variables] == before
        assert set(vars(optimizer)) == attributes
        model.fit(X, Y, verbose=0)


def test_a_second_fit_measures_on():
    model, callback = compiled(classifier()), GradientNorm()
    expected = norms_by_hand(compiled(classifier()), 3 * batches()).reshape(3, 3).mean(axis=1)
    kwargs = {"batch_size": 16, "shuffle": False, "verbose": 0}
    first = model.fit(X, Y, **kwargs, callbacks=[callback]).history["grad_norm"]
    second = model.fit(X, Y, **kwargs, callbacks=[callback]).history["grad_norm"]
    third = model.fit(X, Y, **kwargs, callbacks=[GradientNorm()]).history["grad_norm"]
    np.testing.assert_allclose(first + second + third, expected, rtol=1e-4)


def test_a_fit_after_another_compile_measures_the_new_loss():
    model, callback = classifier(), GradientNorm()
    model.compile(keras.optimizers.SGD(0.1), "mean_squared_error")
    model.fit(X, np.eye(3)[Y], batch_size=48, verbose=0, callbacks=[callback])
    model.compile(keras.optimizers.SGD(0.0), "categorical_hinge")
    model.fit(X, np.eye(3)[Y], batch_size=48, verbose=0, callbacks=[GradientNorm()])
    model.compile(keras.optimizers.SGD(0.0), PreferentialSmoothingLoss(LOPSIDED))
    history = model.fit(X, np.eye(3)[Y], batch_size=48, verbose=0, callbacks=[callback])
    expected = norms_by_hand(model, [(X, Y)])
    np.testing.assert_allclose(history.history["grad_norm"], expected, rtol=1e-4)


def test_an_interrupted_fit_leaves_a_model_that_trains_and_saves(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = compiled(classifier())
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=16, verbose=0, callbacks=[GradientNorm(), Interrupt()])
    model.save(tmp_path / "interrupted.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keras.saving.load_model(tmp_path / "interrupted.keras")
    variables = len(compiled(classifier()).optimizer.variables)
    history = model.fit(X, Y, batch_size=16, verbose=0, callbacks=[GradientNorm()])
    assert np.isfinite(history.history["grad_norm"]).all()
    model.fit(X, Y, verbose=0)
    fresh = compiled(classifier())
    fresh.fit(X, Y, verbose=0)
    assert len(model.optimizer.variables) == len(fresh.optimizer.variables) > variables


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "loss scaling"])
def test_models_saved_during_and_after_training_load_with_their_optimizer(tmp_path, wrap):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer) if wrap else optimizer
    model = compiled(classifier(), optimizer)
    during, after = tmp_path / "during.keras", tmp_path / "after.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(during)
    model.fit(X, Y, batch_size=16, verbose=0, callbacks=[GradientNorm(), checkpoint])
    model.save(after)
    for path in (during, after):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = keras.saving.load_model(path)
        assert len(loaded.optimizer.variables) == len(optimizer.variables)
        for a, b in zip(loaded.optimizer.variables, optimizer.variables, strict=True):
            np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))


def test_a_backup_made_during_training_is_restored(tmp_path):
    class StopAfterFirstEpoch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    kwargs = {"batch_size": 16, "shuffle": False, "epochs": 2, "verbose": 0}
    whole = compiled(classifier()).fit(X, Y, **kwargs, callbacks=[GradientNorm()])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    model, callbacks = compiled(classifier()), [GradientNorm(), backup, StopAfterFirstEpoch()]
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, **kwargs, callbacks=callbacks)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        resumed = compiled(classifier(seed=7)).fit(X, Y, **kwargs, callbacks=[GradientNorm(), backup])
    np.testing.assert_allclose(resumed.history["grad_norm"], whole.history["grad_norm"][1:], rtol=1e-5)


def test_a_model_without_input_shape_is_measured_from_its_first_step():
    def build():
        layer = keras.layers.Dense(3, activation="softmax", kernel_initializer="zeros")
        return compiled(keras.Sequential([layer]))

    twin = build()
    twin.build((None, 5))
    expected = norms_by_hand(twin, batches())
    model = build()
    history = model.fit(X, Y, batch_size=16, shuffle=False, verbose=0, callbacks=[GradientNorm()])
    np.testing.assert_allclose(history.history["grad_norm"], [expected.mean()], rtol=1e-4)
    assert len(model.optimizer.variables) == len(twin.optimizer.variables)


def test_two_gradient_norms_in_one_fit_are_an_error():
    model = compiled(classifier())
    with pytest.raises(ValueError, match="Use one"):
        model.fit(X, Y, verbose=0, callbacks=[GradientNorm(), GradientNorm()])
    assert "grad_norm" in model.fit(X, Y, verbose=0, callbacks=[GradientNorm()]).history


def test_evaluating_with_the_callback_leaves_the_optimizer_alone():
    model = compiled(classifier())
    model.evaluate(X, Y, verbose=0, callbacks=[GradientNorm()])
    assert "apply" not in vars(model.optimizer)
    assert not any("grad_norm" in v.path for v in model.optimizer.variables)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute")
def test_gradients_are_summed_over_replicas():
    import tensorflow as tf

    devices = ["CPU:0", "CPU:1"]
    if len(tf.config.list_logical_devices("CPU")) < 2:
        pytest.skip("needs two logical CPUs, which tests/conftest.py makes")
    expected = compiled(classifier()).fit(
        X, Y, batch_size=16, shuffle=False, epochs=2, verbose=0, callbacks=[GradientNorm()]
    )
    with tf.distribute.MirroredStrategy(devices).scope():
        model = compiled(classifier())
    measured = model.fit(
        X,
        Y,
        batch_size=16,
        shuffle=False,
        epochs=2,
        verbose=0,
        callbacks=[GradientNorm(), GeneralizationError((X, Y), (X[:20], Y[:20]))],
    )
    for key in ("grad_norm", "grad_norm_std", "grad_norm_max", "loss"):
        np.testing.assert_allclose(measured.history[key], expected.history[key], rtol=1e-4)
    accuracy = [
        np.mean(model.predict(x, verbose=0).argmax(axis=1) == y) for x, y in ((X, Y), (X[:20], Y[:20]))
    ]
    np.testing.assert_allclose(
        measured.history["generalization_error"][-1], abs(accuracy[0] - accuracy[1]), atol=1e-6
    )


@pytest.mark.parametrize("from_validation", [False, True])
def test_generalization_error_is_the_difference_of_error_rates_in_inference_mode(from_validation):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dropout(0.5), keras.layers.Dense(3, activation="softmax")]
    )
    compiled(model)
    test = X[:30] * 2, (Y[:30] + 1) % 3
    callback = GeneralizationError((X, Y), None if from_validation else test)
    logs = model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback], validation_data=test).history
    train_error, test_error = (
        1 - np.mean(model.predict(x, verbose=0).argmax(axis=1) == y) for x, y in ((X, Y), test)
    )
    assert train_error != test_error
    np.testing.assert_allclose(logs["generalization_error"][-1], abs(test_error - train_error), atol=1e-6)
    np.testing.assert_allclose(logs["train_accuracy"][-1], 1 - train_error, atol=1e-6)
    np.testing.assert_allclose(logs["test_loss"], logs["val_loss"], rtol=1e-5)


def test_generalization_error_without_accuracy_says_what_to_compile():
    model = classifier()
    model.compile("sgd", PreferentialSmoothingLoss(LOPSIDED))
    with pytest.raises(ValueError, match=r"metrics=\['accuracy'\]"):
        model.fit(X, Y, verbose=0, callbacks=[GeneralizationError((X, Y), (X, Y))])


@pytest.mark.parametrize(
    "data", [(X,), (X, Y, Y), [X], X], ids=["alone", "with weights", "a list of one", "no pair"]
)
def test_generalization_error_of_what_is_no_pair_says_what_to_give(data):
    with pytest.raises(ValueError, match=r"test_data must be a pair \(x, y\).*of length"):
        GeneralizationError((X, Y), data)
    with pytest.raises(ValueError, match=r"train_data must be a pair \(x, y\).*of length"):
        GeneralizationError(data)
    with pytest.raises(ValueError, match="batch_size must lie in"):
        GeneralizationError([X, Y], batch_size=0)


def test_generalization_error_needs_the_validation_of_every_epoch():
    callback = GeneralizationError([X, Y])
    with pytest.raises(ValueError, match="for every epoch"):
        compiled(classifier()).fit(
            X, Y, epochs=2, verbose=0, callbacks=[callback], validation_data=(X, Y), validation_freq=2
        )


class Stop(keras.callbacks.Callback):
    """Ends the second fit epoch with an exception."""

    def __init__(self, exception):
        super().__init__()
        self.exception = exception

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1 and self.exception:
            raise self.exception


@pytest.mark.parametrize("exception", [None, ValueError("broken"), KeyboardInterrupt()])
@pytest.mark.parametrize("callback", [GradientNorm, OnlineTheta], ids=lambda callback: callback.__name__)
def test_after_a_fit_the_model_is_as_if_there_had_been_no_callback(callback, exception, tmp_path):
    # Once as Keras chooses, under XLA, and after exceptions without it, which compiles faster.
    way = {"jit_compile": BACKEND == "jax"} if exception else {}
    model = compiled(classifier(), **way)
    with contextlib.suppress(ValueError, KeyboardInterrupt):
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback(), Stop(exception)])
    expected = model.predict(X, verbose=0)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        model.export(tmp_path / "exported", verbose=False)
        exported = tf.saved_model.load(str(tmp_path / "exported"))
        np.testing.assert_allclose(exported.serve(X), expected, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.keras")
    copies = [keras.saving.load_model(tmp_path / "model.keras"), copy.deepcopy(model)]
    copies.append(pickle.loads(pickle.dumps(model)))
    for other in copies:
        np.testing.assert_allclose(ops.convert_to_numpy(other(X)), expected, rtol=1e-5, atol=1e-6)
        assert len(other.optimizer.variables) == len(compiled(classifier()).optimizer.variables) + 4
        other.fit(X, Y, epochs=1, verbose=0)
    clone = compiled(keras.models.clone_model(model), **way)
    assert "grad_norm" in clone.fit(X, Y, verbose=0, callbacks=[GradientNorm()]).history
    compiled(model, **way)
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback()]).history
    assert len(history["loss"]) == 2
    compiled(model, **way)
    assert sorted(model.fit(X, Y, verbose=0).history) == ["accuracy", "loss"]


class OwnStep(keras.Sequential):
    """A model whose step applies nothing to the compiled optimizer."""

    def train_step(self, *args):
        if BACKEND == "jax":
            return {"loss": ops.zeros(())}, args[0]
        return {"loss": ops.zeros(())}


def test_a_step_that_does_not_apply_the_compiled_optimizer_is_said_once():
    model = OwnStep([keras.Input((5,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", PreferentialSmoothingLoss(LOPSIDED))
    with pytest.warns(UserWarning, match=r"model\.optimizer applies, and it has applied none") as said:
        history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[GradientNorm()]).history
    assert len([warning for warning in said if "GradientNorm" in str(warning.message)]) == 1
    assert "grad_norm" not in history


def test_driven_by_hand_it_measures_as_in_fit():
    by_hand = compiled(classifier())
    callbacks = keras.callbacks.CallbackList([GradientNorm()], add_history=True, model=by_hand)
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        for start in range(0, len(X), 16):
            by_hand.train_on_batch(X[start : start + 16], Y[start : start + 16])
        callbacks.on_epoch_end(epoch, {})
    callbacks.on_train_end()

    model = compiled(classifier())
    fit = {"epochs": 2, "batch_size": 16, "shuffle": False, "verbose": 0}
    history = model.fit(X, Y, **fit, callbacks=[GradientNorm()]).history
    np.testing.assert_allclose(by_hand.history.history["grad_norm"], history["grad_norm"], rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="compiles nothing, and so raises an error")
@pytest.mark.parametrize("fault", ["labels count from 1", "logits"])
def test_a_loss_that_is_nan_is_said_with_its_likely_causes(fault):
    outputs = keras.layers.Dense(3, None if fault == "logits" else "softmax")
    model = keras.Sequential([keras.Input((4,)), outputs])
    model.compile("sgd", PreferentialSmoothingLoss(LOPSIDED))
    x, y = 10 * np.eye(4, dtype="float32"), np.array([0, 1, 2, 0]) + (fault != "logits")
    with pytest.warns(UserWarning, match="y - 1.*from_logits=True"):
        history = model.fit(x, y, verbose=0, callbacks=[GradientNorm()])
    assert np.isnan(history.history["loss"][0])


def test_a_gradient_that_is_nan_where_the_loss_is_not_is_said():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, use_bias=False)])
    model.compile("sgd", lambda y, p: ops.sqrt(ops.sum(p**2, axis=-1)))  # at zero without a gradient
    with pytest.warns(UserWarning, match="gradient of the training loss is no finite number") as said:
        history = model.fit(np.zeros((8, 4)), np.zeros(8), verbose=0, callbacks=[GradientNorm()])
    assert sum("no finite" in str(warning.message) for warning in said) == 1
    assert history.history["loss"] == [0.0]
    assert np.isnan(history.history["grad_norm"][0])
