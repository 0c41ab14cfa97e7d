"""The ResNets against a twin in PyTorch, the text classifiers against what padding may do."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from pls_keras.experiments.benchmarks.pytorch import pytorch_resnet
from pls_keras.models import LSTM, BiLSTM, ResNet, ResNet18, ResNet34

RNG = np.random.default_rng(0)
EMBEDDINGS = RNG.normal(size=(30, 7)).astype("float32")
TEXTS = RNG.integers(1, 30, size=(6, 5))


def to_numpy(x):
    return ops.convert_to_numpy(x)


# ResNets -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "classes", "weights"),
    [
        (ResNet18, 10, 11_173_962),
        (ResNet34, 10, 21_282_122),
        (ResNet18, 100, 11_173_962 + 90 * 513),
    ],
)
def test_resnets_have_the_known_number_of_trainable_weights(build, classes, weights):
    model = build(classes=classes)
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == weights


def twins(ours, blocks, width):
    """Our model of logits and its PyTorch twin, with the same random weights."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    for layer in ours.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape[0]
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, size),
                    rng.normal(size=size),
                    rng.normal(size=size),
                    rng.uniform(0.5, 1.5, size),
                ]
            )
    theirs = pytorch_resnet(blocks, width)
    with torch.no_grad():
        for target, source in zip(torch_weights(theirs), keras_weights(ours), strict=True):
            target.copy_(torch.from_numpy(source))
    return ours, theirs


def keras_weights(model):
    """All weights by layer, a block's shortcut first, in PyTorch's axes."""
    weights = []
    for layer in sorted(model.layers, key=lambda layer: torch_position(layer.name)):
        values = [np.array(to_numpy(v)) for v in layer.weights]
        if isinstance(layer, keras.layers.Conv2D):
            values = [values[0].transpose(3, 2, 0, 1)]
        elif isinstance(layer, keras.layers.Dense):
            values[0] = values[0].T
        weights += values
    return weights


def torch_position(name):
    """Sorts layers' names: stem, blocks (shortcut, first, second), then the rest."""
    if name.startswith("stage"):
        stage, block, part = name.split("_", 2)
        number = part[-1] if part[-1].isdigit() else ""  # a shortcut has none
        return 1, int(stage[5:]), int(block[5:]), number, "norm" in part
    return 0 if name.startswith("stem") else 2, 0, 0, "", "norm" in name


def torch_weights(model):
    """Parameters and running moments, without the counters of batches."""
    return [value for key, value in model.state_dict().items() if "num_batches" not in key]


IMAGES = RNG.normal(size=(8, 32, 32, 3)).astype("float32")
TARGETS = RNG.integers(0, 10, size=8)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("build", "blocks"), [(ResNet18, (2, 2, 2, 2)), (ResNet34, (3, 4, 6, 3))], ids=["18", "34"]
)
def test_outputs_are_those_of_a_twin_in_pytorch(build, blocks, training):
    torch = pytest.importorskip("torch")
    keras.utils.set_random_seed(0)
    ours, theirs = twins(build(classifier_activation=None, width=4), blocks, width=4)
    theirs.train(training)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(IMAGES.transpose(0, 3, 1, 2))).numpy()
    assert expected.std() > 0.1
    outputs = to_numpy(ours(IMAGES, training=training))
    np.testing.assert_allclose(outputs, expected, atol=1e-4 * expected.std())


@pytest.mark.slow
def test_ten_steps_of_nesterov_with_weight_decay_are_pytorchs():
    torch = pytest.importorskip("torch")
    # A decay far above 5e-4, so that ten steps tell the coupled form from the decoupled one.
    learning_rate, weight_decay = 0.02, 0.05
    keras.utils.set_random_seed(0)
    ours = ResNet((1, 1), classifier_activation=None, width=4, weight_decay=weight_decay)
    ours, theirs = twins(ours, (1, 1), width=4)
    start = [w.copy() for w in keras_weights(ours)]
    ours.compile(
        optimizer=keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    optimizer = torch.optim.SGD(
        theirs.parameters(),
        lr=learning_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=weight_decay,
    )
    images = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())
    theirs.train()
    # Of less than eight channels oneDNN's kernel for AVX2 reads beyond its memory (PyTorch 2.13).
    with torch.backends.mkldnn.flags(enabled=False):
        for _ in range(10):
            ours.train_on_batch(IMAGES, TARGETS)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(theirs(images), torch.from_numpy(TARGETS)).backward()
            optimizer.step()
    keys = [key for key in theirs.state_dict() if "num_batches" not in key]
    compared = 0
    for key, before, after, expected in zip(
        keys, start, keras_weights(ours), torch_weights(theirs), strict=True
    ):
        moved = np.abs(after - before).max()
        np.testing.assert_allclose(after, expected.numpy(), rtol=0, atol=1e-3 * moved, err_msg=key)
        compared += 1
    assert compared == len(ours.weights)


def test_weight_decay_penalises_every_trainable_weight():
    model = ResNet((1, 1), width=4, weight_decay=0.1)
    squares = sum(np.sum(to_numpy(v) ** 2) for v in model.trainable_variables)
    np.testing.assert_allclose(
        sum(float(to_numpy(loss)) for loss in model.losses), 0.1 / 2 * squares, rtol=1e-5
    )
    assert ResNet((1, 1), width=4).losses == []


def test_convolutions_start_he_normal_over_fan_out():
    model = ResNet((1, 1), width=32)
    for name, fan_out in {
        "stage1_block1_conv1": 9 * 32,
        "stage2_block1_conv1": 9 * 64,
        "stage2_block1_shortcut_conv": 64,
    }.items():
        z = to_numpy(model.get_layer(name).kernel) / np.sqrt(2 / fan_out)
        assert abs(z.mean()) < 5 / np.sqrt(z.size)
        assert abs(z.std() - 1) < 5 / np.sqrt(2 * z.size)
        assert np.abs(z).max() > 2.5  # not truncated at 2
    assert len({to_numpy(v).flat[0] for v in model.trainable_variables if "conv" in v.path}) == 6


def test_the_dense_layer_starts_as_a_torch_linear():
    dense = ResNet((1, 1), classes=100, width=32).get_layer("predictions")
    for values in map(to_numpy, dense.weights):
        scaled = values * np.sqrt(64)
        assert 0.9 < np.abs(scaled).max() <= 1
        assert abs(scaled.std() - 1 / np.sqrt(3)) < 0.1


def test_layers_have_names_that_say_where_they_are():
    names = {layer.name for layer in ResNet((1, 2), width=4).layers}
    assert {"stem_conv", "stage1_block1_conv1", "stage2_block2_norm2", "predictions"} <= names
    assert "stage2_block1_shortcut_conv" in names
    assert "stage1_block1_shortcut_conv" not in names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": ()}, "blocks must give"),
        ({"blocks": (2, 0)}, "blocks must give"),
        ({"input_shape": (32, 32)}, "input_shape must be"),
        ({"classes": 1}, "classes must be at least 2"),
        ({"width": 0}, "width must be at least 1"),
        ({"weight_decay": -1e-4}, "weight_decay must be at least 0"),
    ],
)
def test_resnet_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**{"blocks": (1,), **arguments})


# Both kinds --------------------------------------------------------------------------------------


def small_resnet(**kwargs):
    return ResNet((1, 1), classes=4, width=8, **kwargs)


def small_lstm(**kwargs):
    return LSTM(4, embeddings=EMBEDDINGS, units=3, **kwargs)


def small_bilstm(**kwargs):
    return BiLSTM(4, vocabulary_size=30, embedding_dimension=7, units=3, **kwargs)


def small_max_bilstm(**kwargs):
    return small_bilstm(pooling="max", **kwargs)


TEXT_MODELS = [small_lstm, small_bilstm, small_max_bilstm]
MODELS = [(small_resnet, IMAGES), *((build, TEXTS) for build in TEXT_MODELS)]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(("build", "inputs"), MODELS)
def test_probabilities_are_float32_and_sum_to_one_under_any_policy(build, inputs, policy):
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        outputs = build()(inputs)
    finally:
        keras.config.set_dtype_policy(previous)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    np.testing.assert_allclose(to_numpy(outputs).sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize(("build", "inputs"), MODELS)
def test_without_activation_the_outputs_are_the_logits(build, inputs):
    model, logits = build(), build(classifier_activation=None)
    logits.set_weights(model.get_weights())
    z = to_numpy(logits(inputs))
    softmax = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(to_numpy(model(inputs)), softmax, atol=1e-6)


@pytest.mark.parametrize(("build", "inputs"), MODELS)
def test_a_saved_model_predicts_the_same(build, inputs, tmp_path):
    model = build(name="ours")
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.name == "ours"
    np.testing.assert_allclose(to_numpy(copy(inputs)), to_numpy(model(inputs)), atol=1e-6)


# Texts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", TEXT_MODELS)
@pytest.mark.parametrize("padding", [((0, 0), (0, 4)), ((0, 0), (4, 0))], ids=["right", "left"])
def test_padding_changes_no_prediction(build, padding):
    model = build()
    np.testing.assert_allclose(to_numpy(model(np.pad(TEXTS, padding))), to_numpy(model(TEXTS)), atol=1e-6)


def test_word_dropout_drops_whole_words_in_training_alone():
    model = small_bilstm(dropout=0.0, word_dropout=0.4)
    words = keras.Model(model.input, model.get_layer("vector_dropout").output)
    texts = np.tile(TEXTS, (20, 1))
    kept = to_numpy(words(texts))
    dropped = to_numpy(words(texts, training=True))
    gone = (dropped == 0).all(axis=-1)
    assert 0.3 < gone.mean() < 0.5
    np.testing.assert_allclose(dropped[~gone], kept[~gone] / 0.6, rtol=1e-5)
    assert not (kept == 0).all(axis=-1).any()


def test_the_order_of_words_matters_to_both_and_bilstm_reads_both_ways():
    for build in (small_lstm, small_bilstm):
        model = build()
        assert np.abs(to_numpy(model(TEXTS)) - to_numpy(model(TEXTS[:, ::-1]))).max() > 1e-4
    assert small_lstm().get_layer("predictions").kernel.shape[0] == 3
    assert small_bilstm().get_layer("predictions").kernel.shape[0] == 6


@pytest.mark.parametrize("build", TEXT_MODELS)
def test_a_text_without_words_still_has_a_prediction(build):
    assert np.isfinite(to_numpy(build()(np.zeros((2, 5), int)))).all()


def test_max_pooling_takes_each_feature_from_the_word_that_has_most_of_it():
    model = small_max_bilstm()
    encoder = keras.Model(model.input, model.get_layer("bilstm").output)
    texts = TEXTS.copy()
    texts[0, 3:] = 0
    pooled = to_numpy(encoder(texts)).max(axis=1)
    pooled[0] = to_numpy(encoder(texts[:1, :3])).max(axis=(0, 1))
    expected = to_numpy(model.get_layer("predictions")(pooled))
    np.testing.assert_allclose(to_numpy(model(texts)), expected, atol=1e-6)


@pytest.mark.parametrize("trainable", [False, True])
def test_given_embeddings_are_weights_trained_only_on_request(trainable):
    model = BiLSTM(4, embeddings=EMBEDDINGS, units=3, trainable_embeddings=trainable)
    np.testing.assert_array_equal(model.get_layer("embeddings").get_weights()[0], EMBEDDINGS)
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    model.fit(TEXTS, np.arange(6) % 4, verbose=0)
    after = model.get_layer("embeddings").get_weights()[0]
    assert np.array_equal(after, EMBEDDINGS) != trainable


def test_random_embeddings_are_trained():
    assert small_bilstm().get_layer("embeddings").trainable_variables != []


def test_embeddings_stay_out_of_the_configuration():
    embeddings = RNG.normal(size=(5000, 20))
    assert len(json.dumps(LSTM(4, embeddings=embeddings).get_config())) < 20_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give either vocabulary_size"),
        ({"vocabulary_size": 30, "embeddings": EMBEDDINGS}, "Give either vocabulary_size"),
        ({"embeddings": EMBEDDINGS[0]}, "embeddings must be finite"),
        ({"embeddings": EMBEDDINGS * np.nan}, "embeddings must be finite"),
        ({"vocabulary_size": 1}, "at least 2 token ids"),
        ({"vocabulary_size": 30, "classes": 1}, "classes must be at least 2"),
        ({"vocabulary_size": 30, "pooling": "mean"}, "pooling must be one of"),
    ],
)
@pytest.mark.parametrize("build", [LSTM, BiLSTM])
def test_text_classifiers_refuse_wrong_arguments(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**{"classes": 4, **arguments})
