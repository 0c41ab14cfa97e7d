"""Images: the digits that come along, and CIFAR's official facts."""

import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
import sklearn.datasets

from pls_keras import cluster_theta
from pls_keras.data import load_cifar, load_digits


def each_image(*arrays):
    """How often each image occurs."""
    return collections.Counter(image.tobytes() for array in arrays for image in array)


def enlarged(images, size):
    """Linear interpolation between pixel centres, a row and then a column at a time."""
    old, new = np.arange(8) + 0.5, (np.arange(size) + 0.5) * 8 / size
    wide = [[np.interp(new, old, row) for row in image] for image in images]
    tall = [[np.interp(new, old, column) for column in np.transpose(image)] for image in wide]
    return np.round(np.swapaxes(tall, 1, 2) / 16 * 255).astype("uint8")


def test_digits_are_all_of_scikit_learns_enlarged():
    digits, source = load_digits(size=16), sklearn.datasets.load_digits()
    images = np.concatenate([digits.x_train, digits.x_val, digits.x_test])
    targets = np.concatenate([digits.y_train, digits.y_val, digits.y_test])
    assert images.shape == (1797, 16, 16, 1)
    assert images.dtype == "uint8"
    assert targets.dtype == "int32"
    assert images.min() == 0
    assert images.max() == 255
    np.testing.assert_array_equal(np.bincount(targets), np.bincount(source.target))
    assert digits.labels[3] == "three"
    assert each_image(images[..., 0]) == each_image(enlarged(source.images, 16))


def test_digits_of_their_own_size_are_untouched():
    digits = load_digits(size=8)
    ours = each_image(digits.x_train, digits.x_val, digits.x_test)
    source = np.round(sklearn.datasets.load_digits().images / 16 * 255).astype("uint8")
    assert ours == each_image(source)


def test_splits_are_stratified_repeatable_and_decided_by_the_seed():
    first, again, other = load_digits(seed=1), load_digits(seed=1), load_digits(seed=2)
    assert [len(first.x_train), len(first.x_val), len(first.x_test)] == [1197, 300, 300]
    for part in ("train", "val", "test"):
        images, targets = getattr(first, f"x_{part}"), getattr(first, f"y_{part}")
        np.testing.assert_array_equal(images, getattr(again, f"x_{part}"))
        assert not np.array_equal(images, getattr(other, f"x_{part}"))
        counts = np.bincount(targets, minlength=10) / len(targets)
        np.testing.assert_allclose(counts, 0.1, atol=0.01)


def test_moments_are_those_of_the_training_images():
    digits = load_digits()
    assert (digits.classes, digits.input_shape) == (10, (32, 32, 1))
    pixels = digits.x_train / 255
    np.testing.assert_allclose(digits.mean, [pixels.mean()], rtol=1e-6)
    np.testing.assert_allclose(digits.std, [pixels.std()], rtol=1e-6)


def test_a_dataset_cannot_be_changed():
    with pytest.raises(AttributeError):
        load_digits().name = "other"


def test_digits_smaller_than_their_own_size_are_refused():
    with pytest.raises(ValueError, match="size must be at least 8"):
        load_digits(size=7)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="name must be one of cifar10, cifar100"):
        load_cifar("imagenet")


def test_where_tfds_cannot_work_the_error_says_what_to_do(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    no_folder = tmp_path / "file"
    no_folder.touch()
    with pytest.raises(FileNotFoundError, match="Set TFDS_DATA_DIR, or data_dir"):
        load_cifar("cifar10", data_dir=no_folder, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache" / "cifar10").exists()


def test_workers_that_start_together_prepare_images_once(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    rng, calls = np.random.default_rng(0), []

    def read(name, data_dir):
        calls.append(name)
        time.sleep(0.2)  # the other is there by now
        sizes = {"train": 20_000, "test": 10}
        arrays = {f"x_{part}": np.zeros((n, 2, 2, 3), "uint8") for part, n in sizes.items()}
        arrays |= {f"y_{part}": rng.integers(0, 10, n, "int32") for part, n in sizes.items()}
        return arrays, {"labels": list("abcdefghij"), "superclasses": None}

    monkeypatch.setattr("pls_keras.data.images._read_cifar", read)
    with concurrent.futures.ThreadPoolExecutor(2) as workers:
        loads = [workers.submit(load_cifar, "cifar10", cache_dir=tmp_path / "new") for _ in range(2)]
        assert [len(load.result().x_val) for load in loads] == [10_000, 10_000]
    assert calls == ["cifar10"]


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def cifar(request, cache_dir):
    pytest.importorskip("tensorflow_datasets")
    name = request.param
    folder = os.environ.get("TFDS_DATA_DIR")
    if not folder or not pathlib.Path(folder, name).is_dir():
        pytest.skip(f"TFDS_DATA_DIR does not name a folder with a prepared {name}")
    return load_cifar(name, cache_dir=cache_dir)


both = pytest.mark.parametrize("cifar", ["cifar10", "cifar100"], indirect=True)
cifar100 = pytest.mark.parametrize("cifar", ["cifar100"], indirect=True)


@pytest.mark.slow
@pytest.mark.realdata
@both
def test_cifar_has_the_papers_split_with_classes_balanced(cifar):
    for part, size in {"train": 40_000, "val": 10_000, "test": 10_000}.items():
        images, targets = getattr(cifar, f"x_{part}"), getattr(cifar, f"y_{part}")
        assert images.shape == (size, 32, 32, 3)
        assert images.dtype == "uint8"
        assert targets.dtype == "int32"
        assert set(np.bincount(targets, minlength=cifar.classes)) == {size // cifar.classes}


@pytest.mark.slow
@pytest.mark.realdata
@both
def test_two_seeds_split_the_same_50000_images_differently(cifar, cache_dir):
    other = load_cifar(cifar.name, seed=1, cache_dir=cache_dir)
    assert not np.array_equal(cifar.x_val, other.x_val)
    np.testing.assert_array_equal(cifar.x_test, other.x_test)
    pool = each_image(cifar.x_train, cifar.x_val)
    assert pool.total() == 50_000
    assert pool == each_image(other.x_train, other.x_val)


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    ("cifar", "mean", "std"),
    [
        # Of the official 50,000 training images, as often published.
        ("cifar10", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ("cifar100", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    ],
    indirect=["cifar"],
)
def test_cifar_has_the_official_moments(cifar, mean, std):
    pixels = np.concatenate([cifar.x_train, cifar.x_val]).reshape(-1, 3)
    np.testing.assert_allclose(pixels.mean(axis=0) / 255, mean, atol=6e-5)
    np.testing.assert_allclose(cifar.mean, mean, atol=2e-3)
    np.testing.assert_allclose(cifar.std, std, atol=2e-3)


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    ("cifar", "labels", "first"),
    [
        ("cifar10", ["airplane", "automobile", "bird", "cat", "deer"], [3, 8, 8, 0, 6]),
        (
            "cifar100",
            ["apple", "aquarium_fish", "baby", "bear", "beaver"],
            [49, 33, 72, 51, 71],
        ),
    ],
    indirect=["cifar"],
)
def test_cifar_has_the_official_order(cifar, labels, first):
    assert list(cifar.labels[:5]) == labels
    assert cifar.y_test[:5].tolist() == first


@pytest.mark.slow
@pytest.mark.realdata
@cifar100
def test_cifar100_has_twenty_superclasses_of_five(cifar):
    assert list(cifar.superclasses) == list(cifar.labels)
    assert set(collections.Counter(cifar.superclasses.values()).values()) == {5}
    devices = [k for k, v in cifar.superclasses.items() if v == "household_electrical_devices"]
    assert devices == ["clock", "keyboard", "lamp", "telephone", "television"]
    clock = np.asarray(cluster_theta(cifar.superclasses))[cifar.labels.index("clock")]
    assert sorted(set(clock.tolist())) == [0.0, 0.25]


SECOND_LOAD = """
import json, sys
from pls_keras.data import load_cifar
cifar = load_cifar({name!r}, data_dir="/nowhere", cache_dir={cache_dir!r})
print(json.dumps(["tensorflow" in sys.modules, "tensorflow_datasets" in sys.modules,
                  cifar.mean, int(cifar.x_val[7].sum()), cifar.superclasses]))
"""


@pytest.mark.slow
@pytest.mark.realdata
@cifar100
def test_the_second_load_needs_neither_tensorflow_nor_its_data(cifar, cache_dir):
    pytest.importorskip("jax")
    answer = subprocess.run(
        [sys.executable, "-c", SECOND_LOAD.format(name=cifar.name, cache_dir=str(cache_dir))],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert json.loads(answer) == [
        False,
        False,
        list(cifar.mean),
        int(cifar.x_val[7].sum()),
        cifar.superclasses,
    ]


@pytest.mark.slow
@pytest.mark.realdata
@both
def test_the_cache_holds_whole_datasets_only(cifar, cache_dir):
    names = {"cifar10", "cifar100"}
    assert {path.name for path in cache_dir.iterdir()} <= names | {f".{name}.lock" for name in names}
    files = {path.name for path in (cache_dir / cifar.name).iterdir()}
    assert files == {"x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy", "facts.json"}
