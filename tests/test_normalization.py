"""Batch normalization by the backend's kernel is Keras's, with its variance or PyTorch's."""

import keras
import numpy as np
import pytest
from keras import ops

from pls_keras.models import BatchNormalization, ResNet

BACKEND = keras.backend.backend()
RNG = np.random.default_rng(0)
IMAGES = (3 + 2 * RNG.normal(size=(6, 5, 4, 3)) * [1, 5, 0.2]).astype("float32")
SEED_GRADIENT = RNG.normal(size=IMAGES.shape).astype("float32")
# Relative to the largest entry; a 16-bit number has 8 or 11 binary digits.
TOLERANCE = {"float32": 1e-5, "mixed_float16": 2e-3, "mixed_bfloat16": 2e-2}
POLICIES = list(TOLERANCE)


def to_numpy(x):
    return np.array(ops.convert_to_numpy(ops.stop_gradient(ops.cast(x, "float32"))))


def pair(**kwargs):
    """Our layer and Keras's with the same weights, none of them as they start."""
    layers = BatchNormalization(**kwargs), keras.layers.BatchNormalization(**kwargs)
    for layer in layers:
        layer.build(IMAGES.shape)
        rng = np.random.default_rng(1)
        layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    return layers


def outputs_and_gradients(layer, images, training, **kwargs):
    """Outputs, and the gradients of images and weights for a given gradient of the outputs."""
    weights = [w for w in (layer.gamma, layer.beta) if w is not None and w.trainable]

    def total(outputs):
        return ops.sum(ops.multiply(ops.cast(outputs, "float32"), SEED_GRADIENT))

    if BACKEND == "tensorflow":
        import tensorflow as tf

        images = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=training, **kwargs)
            value = total(outputs)
        gradients = tape.gradient(value, [images, *(w.value for w in weights)])
    elif BACKEND == "torch":
        import torch

        images = torch.tensor(images, requires_grad=True)
        outputs = layer(images, training=training, **kwargs)
        gradients = torch.autograd.grad(total(outputs), [images, *(w.value for w in weights)])
    else:
        import jax

        def value(trained, images):
            outputs, rest = layer.stateless_call(
                trained,
                [v.value for v in layer.non_trainable_variables],
                images,
                training=training,
                **kwargs,
            )
            return total(outputs), (outputs, rest)

        trained = [v.value for v in layer.trainable_variables]
        gradients, (outputs, rest) = jax.grad(value, argnums=(0, 1), has_aux=True)(trained, images)
        gradients = [gradients[1], *gradients[0]]
        for variable, state in zip(layer.non_trainable_variables, rest, strict=True):
            variable.assign(state)
    return [to_numpy(x) for x in (outputs, *gradients)]


def assert_same(ours, theirs, tolerance):
    assert len(ours) == len(theirs)
    for x, y in zip(ours, theirs, strict=True):
        largest = max(np.abs(y).max(), 1e-3)  # below that all is rounding
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "kwargs",
    [{}, {"scale": False}, {"center": False}, {"momentum": 0.9, "epsilon": 1e-5}, {"trainable": False}],
    ids=["defaults", "no gamma", "no beta", "pytorch's", "frozen"],
)
def test_outputs_gradients_and_statistics_are_those_of_keras(policy, training, kwargs):
    ours, theirs = pair(dtype=policy, **kwargs)
    results = [outputs_and_gradients(layer, IMAGES, training) for layer in (ours, theirs)]
    assert results[1][0].std() > 0.1
    assert_same(*results, TOLERANCE[policy])
    statistics = [
        [to_numpy(layer.moving_mean), to_numpy(layer.moving_variance)] for layer in (ours, theirs)
    ]
    assert_same(*statistics, TOLERANCE[policy])
    assert ours(IMAGES).dtype == theirs(IMAGES).dtype


@pytest.mark.parametrize("policy", POLICIES)
def test_statistics_and_outputs_are_those_of_pytorch(policy):
    torch = pytest.importorskip("torch")
    [ours, _] = pair(dtype=policy, momentum=0.9, epsilon=1e-5)
    ours = BatchNormalization.from_config({**ours.get_config(), "unbiased_variance": True})
    ours.build(IMAGES.shape)
    rng = np.random.default_rng(2)
    values = [rng.uniform(0.5, 1.5, 3) for _ in range(4)]
    ours.set_weights(values)
    theirs = torch.nn.BatchNorm2d(3, eps=1e-5, momentum=0.1)
    with torch.no_grad():
        for target, value in zip(list(theirs.state_dict().values())[:4], values, strict=True):
            target.copy_(torch.tensor(value))
    for part in (IMAGES, IMAGES[:2] ** 2):
        expected = theirs(torch.from_numpy(part.transpose(0, 3, 1, 2).copy())).detach().numpy()
        outputs = to_numpy(ours(part, training=True)).transpose(0, 3, 1, 2)
        assert_same([outputs], [expected], TOLERANCE[policy])
    tolerance = TOLERANCE[policy] if policy == "float32" else 2 * TOLERANCE[policy]
    assert_same(
        [to_numpy(ours.moving_mean), to_numpy(ours.moving_variance)],
        [theirs.running_mean.numpy(), theirs.running_var.numpy()],
        tolerance,
    )


@pytest.mark.parametrize(
    ("shape", "kwargs"),
    [
        ((8, 3), {}),
        ((4, 6, 3), {}),
        ((2, 3, 4, 2, 3), {}),
        ((4, 3, 5, 6), {"axis": 1}),
        ((1, 1, 1, 3), {}),
        ((4, 2, 2, 3), {"dtype": "float64"}),
    ],
)
def test_what_the_kernel_cannot_do_goes_the_way_of_keras(shape, kwargs):
    inputs = RNG.normal(size=shape).astype("float32")
    ours, theirs = BatchNormalization(**kwargs), keras.layers.BatchNormalization(**kwargs)
    results = [[to_numpy(layer(inputs, training=True))] for layer in (ours, theirs)]
    assert_same(*results, 1e-5)
    assert_same(map_to_numpy(ours), map_to_numpy(theirs), 1e-5)


def map_to_numpy(layer):
    return [to_numpy(weight) for weight in layer.weights]


@pytest.mark.parametrize("unbiased", [False, True])
def test_a_mask_leaves_values_out(unbiased):
    texts = RNG.normal(size=(4, 6, 3)).astype("float32")
    mask = np.arange(6) < np.array([[6], [3], [1], [4]])
    ours, theirs = BatchNormalization(unbiased_variance=unbiased), keras.layers.BatchNormalization()
    results = [[to_numpy(layer(texts, training=True, mask=mask))] for layer in (ours, theirs)]
    assert_same(*results, 1e-5)
    known = texts[mask]
    expected = 0.99 + 0.01 * known.var(axis=0, ddof=int(unbiased))
    np.testing.assert_allclose(to_numpy(ours.moving_variance), expected, rtol=1e-5)


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("size", [1, 2, 6])
def test_the_unbiased_variance_is_that_of_a_sample(size, axis):
    images = IMAGES[:size, :1, :1] if axis == -1 else IMAGES[:size, :, :1, :1]
    layer = BatchNormalization(axis=axis, unbiased_variance=True, momentum=0.5)
    layer(images, training=True)
    values = images.reshape(size, -1)
    sample = values.var(axis=0, ddof=1) if size > 1 else 0
    np.testing.assert_allclose(to_numpy(layer.moving_variance), 0.5 + 0.5 * sample, rtol=1e-4)


def test_unbiased_variance_goes_with_neither_renorm_nor_synchronized():
    wrong = [{"synchronized": True}] if BACKEND == "tensorflow" else []
    if "renorm" in keras.layers.BatchNormalization().get_config():
        wrong.append({"renorm": True})
    for kwargs in wrong:
        with pytest.raises(ValueError, match="does not go with"):
            BatchNormalization(unbiased_variance=True, **kwargs)
        BatchNormalization(**kwargs)(IMAGES, training=True)


def test_config_keeps_every_argument():
    layer = BatchNormalization(
        momentum=0.7,
        epsilon=1e-4,
        center=False,
        gamma_regularizer=keras.regularizers.L2(0.1),
        unbiased_variance=True,
        name="norm",
        dtype="mixed_bfloat16",
    )
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    plain = keras.layers.BatchNormalization(momentum=0.7).get_config()
    assert BatchNormalization.from_config(plain).get_config() == {**plain, "unbiased_variance": False}


def network(layer, **kwargs):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(4, 3, use_bias=False, name="conv"),
            layer(name="norm", **kwargs),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, "softmax", dtype="float32", name="dense"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (BatchNormalization, keras.layers.BatchNormalization),
        (keras.layers.BatchNormalization, BatchNormalization),
    ],
)
def test_weights_load_either_way(writer, reader, tmp_path):
    images, y = RNG.normal(size=(8, 6, 6, 3)), RNG.integers(0, 2, 8)
    wrote, read = network(writer), network(reader)
    wrote.fit(images, y, verbose=0)
    wrote.save_weights(tmp_path / "w.weights.h5")
    read.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_allclose(read.predict(images, verbose=0), wrote.predict(images, verbose=0), atol=1e-5)
    assert [w.name for w in read.weights] == [w.name for w in wrote.weights]


@pytest.mark.skipif(BACKEND != "torch", reason="the kernel of PyTorch writes into memory that it is given")
def test_what_memory_held_before_does_not_come_into_the_statistics(monkeypatch):
    import torch

    monkeypatch.setattr(torch, "empty_like", lambda x: torch.full_like(x, np.nan))
    layer = BatchNormalization()
    layer(RNG.normal(size=(2, 3, 3, 4)).astype("float32"), training=True)
    assert all(np.isfinite(to_numpy(weight)).all() for weight in layer.weights)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_ten_steps_are_those_of_keras(policy, jit_compile):
    if BACKEND == "torch" and jit_compile:
        pytest.skip("torch.compile needs a C++ compiler")
    images, y = RNG.normal(size=(32, 6, 6, 3)).astype("float32"), RNG.integers(0, 2, 32)
    trained = []
    for layer in (BatchNormalization, keras.layers.BatchNormalization):
        keras.utils.set_random_seed(0)
        model = network(layer, dtype=policy)
        model.jit_compile = jit_compile
        losses = [float(model.train_on_batch(images, y)) for _ in range(10)]
        trained.append([np.array(losses), *(to_numpy(w) for w in model.weights)])
    assert losses[-1] < losses[0]
    assert_same(*trained, 10 * TOLERANCE[policy])


@pytest.mark.slow
def test_ten_steps_of_a_resnet_with_both():
    images, y = RNG.normal(size=(16, 8, 8, 3)).astype("float32"), RNG.integers(0, 10, 16)
    trained = []
    for layer in (BatchNormalization, keras.layers.BatchNormalization):
        keras.utils.set_random_seed(0)
        ours = ResNet((1, 1), input_shape=(8, 8, 3), width=8, unbiased_variance=False)
        # `clone_model` keeps all else.
        model = keras.models.clone_model(ours, clone_function=lambda old, layer=layer: swapped(old, layer))
        model.set_weights(ours.get_weights())
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
        losses = [float(model.train_on_batch(images, y)) for _ in range(10)]
        trained.append([np.array(losses), *(to_numpy(w) for w in model.weights)])
    assert_same(*trained, 1e-3)


def swapped(old, layer):
    config = old.get_config()
    if not isinstance(old, keras.layers.BatchNormalization):
        return old.__class__.from_config(config)
    config.pop("unbiased_variance")
    return layer.from_config(config)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute and SavedModel are TensorFlow's")
class TestOnTensorFlow:
    def test_replicas_average_their_statistics_as_with_keras(self):
        import tensorflow as tf

        # TensorFlow 2.19 confuses the collectives of two strategies in one process.
        one_device = tf.distribute.ReductionToOneDevice()
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=one_device)
        images, y = RNG.normal(size=(8, 6, 6, 3)).astype("float32"), RNG.integers(0, 2, 8)
        trained = []
        for layer in (BatchNormalization, keras.layers.BatchNormalization):
            keras.utils.set_random_seed(0)
            with strategy.scope():
                model = network(layer)
            model.fit(images, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
            trained.append([to_numpy(w) for w in model.weights])
        assert_same(*trained, 1e-4)

    def test_an_exported_model_predicts_the_same(self, tmp_path):
        import tensorflow as tf

        images = RNG.normal(size=(4, 6, 6, 3)).astype("float32")
        model = network(BatchNormalization)
        model.fit(images, np.zeros(4), verbose=0)
        model.export(tmp_path / "model", verbose=False)
        served = tf.saved_model.load(tmp_path / "model")
        np.testing.assert_allclose(served.serve(images), model.predict(images, verbose=0), atol=1e-6)

    @pytest.mark.parametrize("policy", POLICIES)
    def test_training_is_one_fused_operation(self, policy):
        import tensorflow as tf

        layer = BatchNormalization(dtype=policy)
        layer.build((None, 6, 6, 3))
        graph = tf.function(lambda x: layer(x, training=True)).get_concrete_function(
            tf.TensorSpec((None, 6, 6, 3), layer.compute_dtype)
        )
        kinds = [op.type for op in graph.graph.get_operations()]
        assert kinds.count("FusedBatchNormV3") == 1
        assert not {"Mean", "Rsqrt", "SquaredDifference"} & set(kinds)
