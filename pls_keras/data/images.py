"""Image datasets, whole in memory: CIFAR through TFDS (section 5.1), and small digits for trying out."""

import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile

import keras
import numpy as np
import sklearn.datasets
from scipy import ndimage
from sklearn.model_selection import train_test_split

from pls_keras._extras import require
from pls_keras.data.cache import keras_home
from pls_keras.data.labels import DIGIT_LABELS

CIFAR = ("cifar10", "cifar100")
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images and their classes, split into training, validation and test.

    Attributes:
        name: name of the dataset.
        labels: name of each class, in the order of the class ids.
        x_train: training images (n, height, width, channels), uint8.
        y_train: their class ids (n,), int32.
        x_val: validation images.
        y_val: their class ids.
        x_test: test images.
        y_test: their class ids.
        mean: mean of each channel over the training images, in units of [0, 1].
        std: standard deviation of each channel over them, in the same units.
        superclasses: the superclass of each label, as `cluster_theta` takes it; None where the
            dataset has no superclasses.
    """

    name: str
    labels: tuple[str, ...]
    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    mean: tuple[float, ...]
    std: tuple[float, ...]
    superclasses: dict[str, str] | None = None

    @property
    def classes(self):
        """Number of classes."""
        return len(self.labels)

    @property
    def input_shape(self):
        """Height, width and channels of an image."""
        return self.x_train.shape[1:]

    def __repr__(self):
        return (
            f"ImageDataset({self.name}: {self.classes} classes, images {self.input_shape}, "
            f"{len(self.x_train)} train, {len(self.x_val)} val, {len(self.x_test)} test)"
        )


def load_digits(*, size=32, seed=0):
    """Scikit-learn's 1,797 handwritten digits, enlarged: real images that need no download.

    The 8×8 images are interpolated linearly. Splits are stratified: 1,197 images for training, 300
    for validation, 300 for test.

    Args:
        size: height and width in pixels, at least 8.
        seed: integer that decides the split.

    Returns:
        An `ImageDataset` of one channel, with the labels "zero" to "nine".

    Raises:
        ValueError: if `size` is less than 8.

    Example:
        >>> load_digits()
        ImageDataset(digits: 10 classes, images (32, 32, 1), 1197 train, 300 val, 300 test)
    """
    if size < 8:
        raise ValueError(f"size must be at least 8 pixels, the digits' own size. Received: {size}")
    digits = sklearn.datasets.load_digits()
    images = ndimage.zoom(digits.images, (1, size / 8, size / 8), order=1, mode="nearest", grid_mode=True)
    images = np.round(images / 16 * 255).astype("uint8")[..., None]  # the digits' white is 16
    targets = digits.target.astype("int32")
    pool, test = _stratified_split(targets, 300, seed)
    return _with_validation(
        "digits",
        DIGIT_LABELS,
        {
            "x_train": images[pool],
            "y_train": targets[pool],
            "x_test": images[test],
            "y_test": targets[test],
        },
        num_val=300,
        seed=seed,
    )


def load_cifar(name, *, seed=0, data_dir=None, cache_dir=None):
    """CIFAR-10 or CIFAR-100 with the paper's split of 40,000 / 10,000 / 10,000 (section 6.1).

    The first call reads the images through TensorFlow Datasets and stores them as `.npy` files;
    later calls read those, without TensorFlow. The official 50,000 training images are split into
    training and validation, each class alike; the official 10,000 test images stay as they are.

    Args:
        name: "cifar10" or "cifar100", whose 100 fine labels are the classes.
        seed: integer that decides which training images are for validation.
        data_dir: TFDS's folder of datasets; None for the environment's `TFDS_DATA_DIR`, or TFDS's
            own default.
        cache_dir: folder for the `.npy` files; None for `pls_keras` within Keras's own folder,
            `KERAS_HOME` or `~/.keras`.

    Returns:
        An `ImageDataset` of 32×32 images with three channels, in the official order. That of
        CIFAR-100 has `superclasses`, after its images' coarse labels.

    Raises:
        ValueError: if `name` is another.
        ImportError: if the images are not stored yet and the extra "images" is not installed.
        FileNotFoundError: if TFDS neither finds nor downloads the images.

    Reference:
        Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    if name not in CIFAR:
        raise ValueError(f"name must be one of {', '.join(CIFAR)}. Received: {name!r}")
    if cache_dir is None:
        cache_dir = keras_home() / "pls_keras"
    folder = pathlib.Path(cache_dir) / name
    if not folder.exists():
        require("images", "tensorflow", "tensorflow_datasets", "importlib_resources", "filelock")
        import filelock

        folder.parent.mkdir(parents=True, exist_ok=True)
        # One process at a time: two that download and prepare the same images get into each other's way.
        with filelock.FileLock(folder.with_name(f".{name}.lock")):
            if not folder.exists():
                _store(folder, *_read_cifar(name, data_dir))
    facts = json.loads((folder / "facts.json").read_text())
    arrays = {key: np.load(folder / f"{key}.npy", mmap_mode="r") for key in ARRAYS}
    return _with_validation(name, num_val=10_000, seed=seed, arrays=arrays, **facts)


def _read_cifar(name, data_dir):
    """The official arrays in the official order, by way of TFDS, and what else is known of them."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    if keras.backend.backend() != "tensorflow":
        # TensorFlow only reads files here: it must not take the GPU's memory from the backend.
        with contextlib.suppress(RuntimeError):  # TensorFlow is in use already
            tf.config.set_visible_devices([], "GPU")
    try:
        splits, info = tfds.load(
            name, split=["train", "test"], batch_size=-1, with_info=True, data_dir=data_dir
        )
    except Exception as error:  # a failed download has as many exceptions as there are causes
        raise FileNotFoundError(
            f"TFDS could neither find nor download {name}. Set TFDS_DATA_DIR, or data_dir, to a "
            f"folder of prepared datasets that holds {name}/, or connect to the network and try "
            f"again. Cause: {type(error).__name__}: {error}"
        ) from error

    arrays = {}
    for split, examples in zip(("train", "test"), tfds.as_numpy(splits), strict=True):
        order = np.argsort(examples["id"])  # TFDS shuffles when it prepares
        arrays[f"x_{split}"] = examples["image"][order]
        arrays[f"y_{split}"] = examples["label"][order].astype("int32")
        if name == "cifar100" and split == "train":
            coarse = examples["coarse_label"][order]
    labels = info.features["label"].names
    superclasses = None
    if name == "cifar100":
        names = info.features["coarse_label"].names
        fine, first = np.unique(arrays["y_train"], return_index=True)
        superclasses = {labels[k]: names[c] for k, c in zip(fine, coarse[first], strict=True)}
    return arrays, {"labels": labels, "superclasses": superclasses}


def _store(folder, arrays, facts):
    """Write a folder whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent) as temporary:
        part = pathlib.Path(temporary) / folder.name
        part.mkdir()
        for key, array in arrays.items():
            np.save(part / f"{key}.npy", array)
        (part / "facts.json").write_text(json.dumps(facts))
        os.replace(part, folder)


def _with_validation(name, labels, arrays, *, num_val, seed, superclasses=None):
    """The dataset after its training images are split into training and validation."""
    x, y = np.asarray(arrays["x_train"]), arrays["y_train"]
    train, val = _stratified_split(y, num_val, seed)
    x_train = x[train]
    mean, std = _channel_moments(x_train)
    return ImageDataset(
        name=name,
        labels=tuple(labels),
        x_train=x_train,
        y_train=np.array(y[train]),
        x_val=x[val],
        y_val=np.array(y[val]),
        x_test=np.array(arrays["x_test"]),
        y_test=np.array(arrays["y_test"]),
        mean=mean,
        std=std,
        superclasses=superclasses,
    )


def _stratified_split(targets, size, seed):
    """Positions of the larger part and of a part of the given size, each in ascending order."""
    rest, part = train_test_split(
        np.arange(len(targets)), test_size=size, stratify=targets, random_state=seed
    )
    return np.sort(rest), np.sort(part)


def _channel_moments(images):
    """Mean and standard deviation of each channel, in units of [0, 1], by exact integer sums."""
    channels = images.shape[-1]
    total, squares = np.zeros(channels), np.zeros(channels)
    for start in range(0, len(images), 1000):
        chunk = images[start : start + 1000].reshape(-1, images[0].size)  # long rows sum fast
        total += chunk.sum(axis=0, dtype="uint64").reshape(-1, channels).sum(axis=0)
        square = np.square(chunk, dtype="uint32")
        squares += square.sum(axis=0, dtype="uint64").reshape(-1, channels).sum(axis=0)
    pixels = images[..., 0].size
    mean = total / pixels / 255
    std = np.sqrt(squares / pixels / 255**2 - mean**2)
    return tuple(mean.tolist()), tuple(std.tolist())
