"""Preprocessing of images inside the model: it runs where the model runs, and is saved with it."""

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="pls_keras")
class RandomPadCrop(layers.Layer):
    """Zero-pad each image on every side and crop it back to its size, at random, in training.

    Each image of the batch has its own offset, one of `(2 · padding + 1)²`, equally likely. Pixels
    are moved, never interpolated. In inference the images pass unchanged.

    Keras's `RandomCrop` uses one offset for the whole batch, `RandomTranslation` interpolates.

    Args:
        padding: pixels of black added on each side, at least 0.
        seed: integer that makes the offsets repeatable; None for Keras's global seed.
        **kwargs: `name` and `dtype` of the layer.

    Input shape:
        (batch, height, width, channels), of any dtype.

    Output shape:
        As the input's.

    Example:
        >>> images = np.ones((8, 32, 32, 3), "uint8")
        >>> tuple(RandomPadCrop(padding=4, seed=0)(images, training=True).shape)
        (8, 32, 32, 3)
    """

    def __init__(self, padding=4, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not (isinstance(padding, int) and padding >= 0):
            raise ValueError(f"padding must be an integer, at least 0. Received: {padding}")
        self.padding = padding
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images, training=False):
        if not training or self.padding == 0:
            return images
        batch = ops.shape(images)[0]
        height, width, channels = images.shape[1:]
        padded_height, padded_width = height + 2 * self.padding, width + 2 * self.padding
        pad = (self.padding, self.padding)
        padded = ops.pad(images, ((0, 0), pad, pad, (0, 0)))

        offsets = keras.random.randint((batch, 2), 0, 2 * self.padding + 1, seed=self.seed_generator)
        rows = offsets[:, :1] + ops.arange(height)  # (batch, height)
        columns = offsets[:, 1:] + ops.arange(width)  # (batch, width)
        rows = rows + padded_height * ops.expand_dims(ops.arange(batch), 1)
        pixels = padded_width * ops.expand_dims(rows, 2) + ops.expand_dims(columns, 1)
        return ops.take(ops.reshape(padded, (-1, channels)), pixels, axis=0)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "seed": self.seed}


def preprocessing(mean, std, *, augment=False, padding=4, horizontal_flip=True, seed=None):
    """Layers that augment uint8 images in training, and standardise them always.

    Per channel, `(pixel / 255 - mean) / std`. The layers compute in float32 under any dtype policy.

    Args:
        mean: mean of each channel, in units of [0, 1].
        std: standard deviation of each channel, in the same units, positive.
        augment: whether to crop at random, and flip, in training.
        padding: pixels added on each side before the crop, at least 0.
        horizontal_flip: whether `augment` mirrors every second image. Not for digits.
        seed: integer that makes the augmentation repeatable; None for Keras's global seed.

    Returns:
        A list of `keras.layers.Layer`, to be called in turn on images (batch, height, width,
        channels) with values in [0, 255].

    Raises:
        ValueError: if `mean` and `std` do not belong together, or are not in units of [0, 1].

    Example:
        >>> steps = preprocessing([0.5], [0.25], augment=True, horizontal_flip=False)
        >>> [step.name for step in steps]
        ['random_crop', 'standardize']
    """
    mean, std = np.asarray(mean, dtype="float64"), np.asarray(std, dtype="float64")
    if mean.shape != std.shape or mean.ndim != 1:
        raise ValueError(
            "mean and std must each hold one number per channel. "
            f"Received: shapes {mean.shape} and {std.shape}"
        )
    if not ((mean >= 0) & (mean <= 1) & (std > 0) & (std <= 1)).all():
        raise ValueError(
            "mean must lie in [0, 1] and std in (0, 1], for pixels divided by 255. "
            f"Received: mean={mean.tolist()}, std={std.tolist()}"
        )
    steps = []
    if augment:
        steps.append(RandomPadCrop(padding, seed=seed, dtype="float32", name="random_crop"))
    if augment and horizontal_flip:
        # Another seed: from the same one, flips and offsets would be correlated.
        flip_seed = None if seed is None else seed + 1
        steps.append(
            layers.RandomFlip(
                "horizontal",
                seed=flip_seed,
                data_format="channels_last",
                dtype="float32",
                name="random_flip",
            )
        )
    standardize = layers.Normalization(
        axis=-1,
        mean=(255 * mean).tolist(),
        variance=((255 * std) ** 2).tolist(),
        dtype="float32",
        name="standardize",
    )
    return [*steps, standardize]


def with_preprocessing(backbone, dataset, *, augment=False, padding=4, horizontal_flip=True, seed=None):
    """A model that takes raw uint8 images: the dataset's preprocessing, then the backbone.

    Augmentation acts in `fit` only, so `evaluate` and `predict` see clean images.

    Args:
        backbone: `keras.Model` from images to predictions, such as `ResNet18`.
        dataset: `ImageDataset` whose `input_shape`, `mean` and `std` are used.
        augment: whether to crop at random, and flip, in training.
        padding: pixels added on each side before the crop, at least 0.
        horizontal_flip: whether `augment` mirrors every second image. Not for digits.
        seed: integer that makes the augmentation repeatable; None for Keras's global seed.

    Returns:
        A `keras.Model` from uint8 images (batch, height, width, channels) to the backbone's output.
        It shares its weights with the backbone.

    Raises:
        ValueError: if the backbone expects images of another shape.

    Example:
        >>> from pls_keras.data import load_digits
        >>> from pls_keras.models import ResNet
        >>> digits = load_digits()
        >>> backbone = ResNet((1, 1), input_shape=digits.input_shape, width=4)
        >>> model = with_preprocessing(backbone, digits, augment=True, horizontal_flip=False)
        >>> model.predict(digits.x_test[:5], verbose=0).shape
        (5, 10)
    """
    expected = backbone.input_shape[1:]
    if len(expected) != 3 or any(
        size not in (None, given) for size, given in zip(expected, dataset.input_shape, strict=True)
    ):
        raise ValueError(
            f"backbone expects images of shape {expected}, but those of dataset "
            f"'{dataset.name}' have shape {dataset.input_shape}. Build it with "
            f"input_shape={dataset.input_shape}."
        )
    x = images = keras.Input(dataset.input_shape, dtype="uint8", name="images")
    for step in preprocessing(
        dataset.mean,
        dataset.std,
        augment=augment,
        padding=padding,
        horizontal_flip=horizontal_flip,
        seed=seed,
    ):
        x = step(x)
    return keras.Model(images, backbone(x), name=f"{backbone.name}_with_preprocessing")
