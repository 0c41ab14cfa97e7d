"""Preprocessing inside the model against a naive crop, and its life in training and on disk."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from pls_keras.data import (
    ImageDataset,
    RandomPadCrop,
    load_digits,
    preprocessing,
    with_preprocessing,
)
from pls_keras.models import ResNet

IMAGES = np.random.default_rng(0).integers(1, 256, size=(64, 6, 9, 3)).astype("uint8")


def to_numpy(x):
    return ops.convert_to_numpy(x)


def every_crop(image, padding):
    """All crops of the padded image, by offset, in a loop."""
    height, width, channels = image.shape
    padded = np.zeros((height + 2 * padding, width + 2 * padding, channels), image.dtype)
    padded[padding : padding + height, padding : padding + width] = image
    offsets = itertools.product(range(2 * padding + 1), repeat=2)
    return {(i, j): padded[i : i + height, j : j + width] for i, j in offsets}


def found_offsets(outputs, padding):
    """The offset at which each output was cropped: exactly one must fit."""
    offsets = []
    for image, output in zip(IMAGES, outputs, strict=True):
        crops = every_crop(image, padding)
        fitting = [offset for offset, crop in crops.items() if np.array_equal(crop, output)]
        assert len(fitting) == 1
        offsets.extend(fitting)
    return offsets


@pytest.mark.parametrize("padding", [1, 4])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_each_output_is_one_crop_of_its_padded_image(padding, dtype):
    layer = RandomPadCrop(padding, seed=1)
    outputs = to_numpy(layer(IMAGES.astype(dtype), training=True))
    assert outputs.dtype == dtype
    assert len(set(found_offsets(outputs, padding))) > 5


def test_every_offset_is_equally_likely():
    layer = RandomPadCrop(1, seed=2)
    drawn = [found_offsets(to_numpy(layer(IMAGES, training=True)), 1) for _ in range(20)]
    counts = np.zeros((3, 3))
    for offset in itertools.chain(*drawn):
        counts[offset] += 1
    expected = counts.sum() / 9
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 26.1  # 0.1 % point at 8 degrees of freedom


def test_inference_changes_nothing():
    layer = RandomPadCrop(4)
    np.testing.assert_array_equal(layer(IMAGES, training=False), IMAGES)
    np.testing.assert_array_equal(layer(IMAGES), IMAGES)
    np.testing.assert_array_equal(RandomPadCrop(0)(IMAGES, training=True), IMAGES)


def test_a_seed_repeats_the_offsets_and_the_next_batch_has_others():
    first, second = RandomPadCrop(4, seed=3), RandomPadCrop(4, seed=3)
    batches = [to_numpy(first(IMAGES, training=True)) for _ in range(2)]
    np.testing.assert_array_equal(second(IMAGES, training=True), batches[0])
    np.testing.assert_array_equal(second(IMAGES, training=True), batches[1])
    assert not np.array_equal(batches[0], batches[1])


def test_flips_and_offsets_are_independent():
    crop, flip, _ = preprocessing([0.5] * 3, [0.2] * 3, augment=True, padding=1, seed=4)
    rows, flipped = [], []
    for _ in range(10):
        rows += [i for i, _ in found_offsets(to_numpy(crop(IMAGES, training=True)), 1)]
        outputs = to_numpy(flip(IMAGES, training=True))
        flipped += [not np.array_equal(*pair) for pair in zip(outputs, IMAGES, strict=True)]
    assert abs(np.mean(flipped) - 0.5) < 0.1
    assert abs(np.corrcoef(rows, flipped)[0, 1]) < 0.13  # about 3.3 standard errors at n = 640


@pytest.mark.parametrize("padding", [-1, 1.5])
def test_padding_must_be_a_whole_number(padding):
    with pytest.raises(ValueError, match="padding must be an integer, at least 0"):
        RandomPadCrop(padding)


def test_standardized_training_images_have_mean_zero_and_deviation_one():
    images = IMAGES.astype("float64") / 255
    mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
    (standardize,) = preprocessing(mean, std)
    outputs = to_numpy(standardize(IMAGES))
    np.testing.assert_allclose(outputs, (images - mean) / std, atol=1e-5)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.5], [0.2, 0.2], "one number per channel"),
        ([127.0], [60.0], "divided by 255"),
        ([0.5], [0.0], "divided by 255"),
    ],
)
def test_moments_in_the_wrong_shape_or_unit_are_refused(mean, std, message):
    with pytest.raises(ValueError, match=message):
        preprocessing(mean, std)


def small_dataset():
    return ImageDataset(
        name="small",
        labels=("a", "b"),
        x_train=IMAGES,
        y_train=np.arange(64, dtype="int32") % 2,
        x_val=IMAGES[:8],
        y_val=np.arange(8, dtype="int32") % 2,
        x_test=IMAGES[8:16],
        y_test=np.arange(8, dtype="int32") % 2,
        mean=(0.5, 0.4, 0.6),
        std=(0.2, 0.3, 0.25),
    )


def small_model(**kwargs):
    dataset = small_dataset()
    backbone = ResNet((1,), input_shape=dataset.input_shape, classes=2, width=4)
    return with_preprocessing(backbone, dataset, **kwargs)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_an_augmented_model_trains_compiled(jit_compile, policy):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("torch compiles by another way")
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = small_model(augment=True, seed=5)
    finally:
        keras.config.set_dtype_policy(previous)
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", jit_compile=jit_compile)
    dataset = small_dataset()
    # 64 = 24 + 24 + 16: the last batch has another size.
    history = model.fit(dataset.x_train, dataset.y_train, batch_size=24, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.predict(dataset.x_test, verbose=0).dtype == "float32"


def test_a_model_augments_in_training_only():
    dataset = small_dataset()
    plain_backbone = keras.Sequential([keras.Input(dataset.input_shape), keras.layers.Flatten()])
    model = with_preprocessing(plain_backbone, dataset, augment=True, seed=6)
    clean = (IMAGES / 255 - np.array(dataset.mean)) / np.array(dataset.std)
    clean = clean.reshape(64, -1)
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), clean, atol=1e-4)
    changed = np.abs(to_numpy(model(IMAGES, training=True)) - clean).max(axis=1) > 0.01
    assert changed.mean() > 0.9


def test_a_saved_model_is_the_same_model(tmp_path):
    model = small_model(augment=True, padding=2, horizontal_flip=False, seed=7)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.get_layer("random_crop").get_config() == (model.get_layer("random_crop").get_config())
    np.testing.assert_allclose(copy.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), atol=1e-6)
    np.testing.assert_array_equal(
        copy.get_layer("random_crop")(IMAGES, training=True),
        RandomPadCrop(2, seed=7)(IMAGES, training=True),
    )


def test_a_backbone_for_other_images_is_refused():
    with pytest.raises(ValueError, match=r"Build it with input_shape=\(32, 32, 1\)"):
        with_preprocessing(ResNet((1,), width=4), load_digits())
