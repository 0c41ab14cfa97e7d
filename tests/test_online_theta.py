"""OnlineTheta against the reference's update rule, written as loops over recorded predictions."""

import keras
import numpy as np
import pytest
from keras import ops

from pls_keras import (
    GeneralizationError,
    GradientNorm,
    OnlineTheta,
    PreferentialSmoothingLoss,
    Theta,
    preferential_crossentropy,
    uniform_theta,
)
from pls_keras.data import load_digits
from pls_keras.thetas import confusion_theta

BACKEND = keras.backend.backend()
K = 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5)).astype("float32")
Y = (X @ RNG.normal(size=(5, K)) + RNG.normal(size=(60, K))).argmax(axis=1)
START = Theta(
    np.array([[0.0, 0.7, 0.2, 0.1], [0.5, 0.0, 0.1, 0.4], [0.3, 0.3, 0.0, 0.4], [0.9, 0.1, 0, 0]])
)


def classifier(activation="softmax"):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(K, activation)])


def compiled(theta=START, smoothing_ratio=0.5, model=None, rate=0.5, **kwargs):
    model = model or classifier()
    loss = PreferentialSmoothingLoss(theta, smoothing_ratio)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"], **kwargs)
    return model


def probabilities(weights, bias, x):
    z = x.astype("float64") @ weights + bias
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def trained_by_hand(epochs, batch_size, *, include_true, smoothing_ratio=0.5, rate=0.5):
    """Softmax regression by its gradient, and the thetas after each epoch, all in float64."""
    weights, bias = (np.asarray(v, "float64") for v in classifier().get_weights())
    theta, thetas = np.asarray(START), []
    for _ in range(epochs):
        sums, counts = np.zeros((K, K)), np.zeros(K)
        for start in range(0, len(X), batch_size):
            x, y = X[start : start + batch_size], Y[start : start + batch_size]
            p = probabilities(weights, bias, x)
            for row, true in zip(p, y, strict=True):
                if row.argmax() == true:
                    sums[true] += row
                    counts[true] += 1
            q = (1 - smoothing_ratio) * np.eye(K)[y] + smoothing_ratio * theta[y]
            weights = weights - rate * x.T @ (p - q) / len(x)
            bias = bias - rate * (p - q).mean(axis=0)
        new = theta.copy()
        for true in range(K):
            if counts[true]:
                new[true] = sums[true] / counts[true]
                if not include_true:
                    new[true, true] = 0.0
                    new[true] /= new[true].sum()
        theta = new
        thetas.append(theta)
    return weights, thetas


def fitted(model, online, epochs=3, **kwargs):
    return model.fit(
        X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0, **{"callbacks": [online], **kwargs}
    )


@pytest.mark.parametrize("include_true", [True, False])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_theta_and_weights_are_those_of_the_update_rule_by_hand(include_true, run_eagerly):
    model, online, seen = compiled(run_eagerly=run_eagerly), OnlineTheta(include_true), []
    record = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(online.theta))
    fitted(model, online, callbacks=[online, record])
    weights, thetas = trained_by_hand(3, 16, include_true=include_true)
    np.testing.assert_allclose(seen, thetas, atol=2e-6)
    np.testing.assert_allclose(model.get_weights()[0], weights, atol=2e-6)
    assert not np.allclose(thetas[0], thetas[1], atol=1e-3)


def test_validation_and_other_evaluations_do_not_count():
    alone, beside = OnlineTheta(), OnlineTheta()
    fitted(compiled(), alone)
    other_error = GeneralizationError(
        (X[:20], Y[:20]), (X[:9], Y[:9])
    )  # evaluates before OnlineTheta's turn
    fitted(compiled(), beside, validation_data=(X[:30], (Y[:30] + 1) % K), callbacks=[other_error, beside])
    np.testing.assert_allclose(beside.theta, alone.theta, atol=1e-6)


def test_a_class_without_a_correct_prediction_keeps_its_row():
    online, y = OnlineTheta(), Y % 3  # class 3 never occurs
    compiled_model = compiled()
    compiled_model.fit(X, y, epochs=2, verbose=0, callbacks=[online])
    np.testing.assert_array_equal(np.asarray(online.theta)[3], np.asarray(START)[3])
    assert not np.allclose(np.asarray(online.theta)[0], np.asarray(START)[0])


@pytest.mark.parametrize("form", ["(n, 1)", "one-hot", "logits", "bfloat16", "several steps an execution"])
def test_other_forms_of_labels_and_predictions_give_the_same_theta(form):
    expected, online = OnlineTheta(), OnlineTheta()
    fitted(compiled(), expected)
    y, model, tolerance = Y, compiled(), 1e-5
    if form == "(n, 1)":
        y = Y[:, None]
    elif form == "one-hot":
        y = np.eye(K, dtype="float32")[Y]
    elif form == "logits":
        model = classifier(None)
        loss = PreferentialSmoothingLoss(START, 0.5, from_logits=True)
        model.compile(keras.optimizers.SGD(0.5), loss)
    elif form == "bfloat16":
        keras.utils.set_random_seed(0)
        dense = keras.layers.Dense(K, "softmax", dtype="mixed_bfloat16")
        model, tolerance = compiled(model=keras.Sequential([keras.Input((5,)), dense])), 0.02
    else:
        model = compiled(steps_per_execution=1 if BACKEND == "torch" else 2)
    model.fit(X, y, batch_size=16, epochs=3, shuffle=False, verbose=0, callbacks=[online])
    np.testing.assert_allclose(online.theta, expected.theta, atol=tolerance)


def test_the_loss_ends_with_the_last_theta_and_evaluates_with_it():
    model, online = compiled(), OnlineTheta()
    model.evaluate(X, Y, verbose=0)  # compiled with the theta of the start
    history = fitted(model, online, validation_data=(X, Y))
    assert model.loss.theta is online.theta
    assert model.loss.observer is None
    assert online.theta.provenance == {"builder": "OnlineTheta", "include_true": True, "epochs": 3}
    assert online.theta.labels == START.labels
    p = ops.convert_to_tensor(model.predict(X, verbose=0))
    losses = preferential_crossentropy(Y, p, online.theta, smoothing_ratio=0.5)
    expected = float(ops.mean(losses))
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0)[0], expected, rtol=1e-5)
    # The epoch's validation is scored by the theta that its training learned.
    np.testing.assert_allclose(history.history["val_loss"][-1], expected, rtol=1e-5)
    assert set(history.history) == {"accuracy", "loss", "val_accuracy", "val_loss"}


def test_a_saved_model_goes_on_where_it_was(tmp_path):
    whole, first, second = OnlineTheta(), OnlineTheta(), OnlineTheta()
    model = compiled()
    fitted(model, whole, epochs=4)
    halved = compiled()
    path = tmp_path / "model.keras"
    fitted(
        halved, first, epochs=2, callbacks=[first, keras.callbacks.ModelCheckpoint(path, save_freq="epoch")]
    )
    loaded = keras.saving.load_model(path)
    np.testing.assert_allclose(loaded.loss.theta, first.theta, rtol=1e-12)
    fitted(loaded, second, epochs=2)
    np.testing.assert_allclose(second.theta, whole.theta, atol=1e-5)
    np.testing.assert_allclose(loaded.get_weights()[0], model.get_weights()[0], atol=1e-5)


@pytest.mark.parametrize("order", ["norm first", "theta first"])
def test_beside_gradient_norm_and_in_fits_that_follow(order):
    def callbacks():
        both = [GradientNorm(), OnlineTheta()]
        return both if order == "norm first" else both[::-1]

    norm = GradientNorm()
    fast = {"jit_compile": keras.backend.backend() == "jax"}
    model, again = compiled(**fast), compiled(**fast)
    histories = []
    for _ in range(2):  # one compiled model, several fits with one and with both
        histories.append(fitted(model, None, epochs=1, callbacks=[norm]).history)
        histories.append(fitted(model, None, epochs=1, callbacks=callbacks()).history)
        histories.append(fitted(model, None, epochs=1, callbacks=[]).history)
    expected = []
    for _ in range(2):  # the same, compiled anew for each
        for kind in ([GradientNorm()], [GradientNorm(), OnlineTheta()], []):
            again = compiled(again.loss.theta, model=again, **fast)
            expected.append(fitted(again, None, epochs=1, callbacks=kind).history)
    for history, other in zip(histories, expected, strict=True):
        assert history.keys() == other.keys()
        np.testing.assert_allclose(history["loss"], other["loss"], rtol=1e-5)
        np.testing.assert_allclose(history.get("grad_norm", 0), other.get("grad_norm", 0), rtol=1e-5)
    np.testing.assert_allclose(model.loss.theta, again.loss.theta, atol=1e-6)


def test_an_interrupted_fit_leaves_a_model_that_trains(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    model, online = compiled(), OnlineTheta()
    with pytest.raises(KeyboardInterrupt):
        fitted(model, online, callbacks=[online, Stop()])
    learned = online.theta
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.loss.theta, learned, rtol=1e-12)
    fitted(model, OnlineTheta(), epochs=1)
    assert model.loss.observer is None
    assert not any(metric.name == "correct_predictions" for metric in model.metrics)


def test_the_step_is_compiled_once_in_all_epochs():
    class Counting(keras.layers.Layer):
        traces = 0

        def call(self, x, training=False):
            Counting.traces += bool(training)
            return x

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), Counting(), keras.layers.Dense(K, "softmax")])
    counts = []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: counts.append(Counting.traces))
    online = OnlineTheta()
    model = compiled(model=model)
    model.fit(X, Y, batch_size=15, epochs=4, verbose=0, callbacks=[online, count])
    if BACKEND != "torch":  # which compiles nothing
        assert counts[0] == counts[-1]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="SavedModel is TensorFlow's")
def test_a_model_is_exported_after_training(tmp_path):
    model = compiled()
    fitted(model, OnlineTheta(), epochs=1)
    model.export(tmp_path / "exported", verbose=False)
    assert (tmp_path / "exported" / "saved_model.pb").exists()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute")
def test_replicas_add_up():
    import tensorflow as tf

    one, two = OnlineTheta(), OnlineTheta()
    fitted(compiled(), one, epochs=2)
    one_device = tf.distribute.ReductionToOneDevice()
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=one_device).scope():
        model = compiled()
    fitted(model, two, epochs=2)
    np.testing.assert_allclose(two.theta, one.theta, atol=1e-5)


def test_another_loss_is_an_error_that_says_what_to_compile():
    model = classifier()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="one PreferentialSmoothingLoss"):
        fitted(model, OnlineTheta())


def test_two_in_one_fit_are_an_error_after_which_one_learns():
    model, online = compiled(), OnlineTheta()
    with pytest.raises(ValueError, match="Two OnlineTheta callbacks in one fit"):
        fitted(model, online, callbacks=[online, OnlineTheta()])
    fitted(model, online, epochs=1)
    assert online.theta is model.loss.theta


def two_outputs(loss):
    inputs = keras.Input((5,))
    ends = {name: keras.layers.Dense(K, "softmax", name=name)(inputs) for name in ("a", "b")}
    model = keras.Model(inputs, ends)
    model.compile("sgd", loss)
    return model


def test_one_output_of_two_learns():
    online = OnlineTheta()
    model = two_outputs(
        {"a": PreferentialSmoothingLoss(uniform_theta(K)), "b": "sparse_categorical_crossentropy"}
    )
    history = model.fit(X, {"a": Y, "b": Y}, epochs=2, verbose=0, callbacks=[online])
    assert set(history.history) == {"loss", "a_loss", "b_loss"}
    assert np.asarray(online.theta).std() > 0
    with pytest.raises(ValueError, match=r"of one output.*2 outputs"):
        two_outputs(PreferentialSmoothingLoss(uniform_theta(K))).fit(
            X, {"a": Y, "b": Y}, verbose=0, callbacks=[online]
        )


def test_a_theta_kept_in_parts_becomes_dense():
    classes = 1200
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(classes, "softmax")])
    model.compile("sgd", PreferentialSmoothingLoss(uniform_theta(classes)))
    online = OnlineTheta()
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[online])
    assert online.theta.is_dense
    assert online.theta.classes == classes


def test_on_the_digits_learned_thetas_name_look_alikes_and_agree():
    digits = load_digits(size=8)
    x, x_val = (part.reshape(len(part), -1) / 255 for part in (digits.x_train, digits.x_val))
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10, "softmax")])
    model.compile(keras.optimizers.Adam(0.01), PreferentialSmoothingLoss(uniform_theta(digits.labels)))
    online = OnlineTheta(include_true=False)
    model.fit(x, digits.y_train, batch_size=64, epochs=8, verbose=0, callbacks=[online])
    mistaken = confusion_theta(digits.y_val, model.predict(x_val, verbose=0), digits.labels)
    for theta in (online.theta, mistaken):
        np.testing.assert_allclose(np.asarray(theta).sum(axis=1), 1, atol=1e-6)
        assert {"one", "nine", "three"} & set(theta.neighbours("eight", 3).index)
        assert theta.effective_classes().mean() < 8
    rows = zip(np.asarray(online.theta), np.asarray(mistaken), range(10), strict=True)
    agreement = [np.corrcoef(np.delete(a, i), np.delete(b, i))[0, 1] for a, b, i in rows]
    assert np.mean(agreement) > 0.5
