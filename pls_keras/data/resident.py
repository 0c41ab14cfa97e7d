"""Images that stay on the accelerator: a batch is then a few positions, not pixels."""

import dataclasses
import warnings

import keras
import numpy as np
from keras import layers, ops

PARTS = ("train", "val", "test")


@keras.saving.register_keras_serializable(package="pls_keras")
class ImageTable(layers.Layer):
    """Looks images up by their positions in a table that lies where the model runs.

    The table is no part of what is learnt: weights and models are saved without it, and a loaded model
    warns until it has images again.

    Args:
        images: all images (n, height, width, channels), uint8; or, as from a saved model, None with
            the `shape` of the table.
        shape: shape of the table where no images are given; `assign` them before use.
        **kwargs: `name` of the layer.

    Input shape:
        (batch,), integer.

    Output shape:
        (batch, height, width, channels), uint8.

    Example:
        >>> images = np.arange(24, dtype="uint8").reshape(2, 2, 2, 3)
        >>> int(ImageTable(images)(np.array([1]))[0, 0, 0, 0])
        12
    """

    def __init__(self, images=None, *, shape=None, **kwargs):
        super().__init__(dtype="uint8", **kwargs)
        if images is None and shape is None:
            raise ValueError("ImageTable needs images, or the shape of the table.")
        self.shape = tuple(np.shape(images) if shape is None else shape)
        start = "zeros" if images is None else lambda *_, **__: ops.convert_to_tensor(images)
        self.table = self.add_weight(
            shape=self.shape, initializer=start, dtype="uint8", trainable=False, name="table"
        )
        self.has_images = images is not None
        self.built = True

    def assign(self, images):
        """Put other images of the table's shape into it."""
        self.table.assign(images)
        self.has_images = True

    def call(self, positions):
        return ops.take(self.table, positions, axis=0)

    def compute_output_spec(self, positions):
        return keras.KerasTensor((*positions.shape, *self.shape[1:]), dtype="uint8")

    def save_own_variables(self, store):
        """Nothing: the images are data."""

    def load_own_variables(self, store):
        """Nothing, with a warning where there are no images yet."""
        if not self.has_images:
            warnings.warn(
                f"The images of the layer {self.name!r} were not saved with the model: all are black "
                f"until get_layer({self.name!r}).assign(images), of shape {self.shape}.",
                stacklevel=2,
            )

    def get_config(self):
        return {"name": self.name, "shape": self.shape}


def on_device(model, images):
    """A model that takes positions of images, and the data set of these positions.

    Args:
        model: `keras.Model` of raw uint8 images, such as `with_preprocessing` makes.
        images: `ImageDataset`, whose images all go to where the model runs, as they are.

    Returns:
        Pair of a `keras.Model` with the same weights and results, and an `ImageDataset` whose
        `x_train`, `x_val` and `x_test` are positions (n,), int32.

    Example:
        >>> from pls_keras.data import load_digits, with_preprocessing
        >>> from pls_keras.models import ResNet
        >>> digits = load_digits(size=16)
        >>> model = with_preprocessing(ResNet((1, 1), input_shape=(16, 16, 1), width=4), digits)
        >>> resident, positions = on_device(model, digits)
        >>> resident.predict(positions.x_test[:5], verbose=0).shape
        (5, 10)
    """
    arrays = [getattr(images, f"x_{part}") for part in PARTS]
    ends = np.cumsum([0, *map(len, arrays)], dtype="int32")
    positions = {
        f"x_{part}": np.arange(start, stop, dtype="int32")
        for part, start, stop in zip(PARTS, ends[:-1], ends[1:], strict=True)
    }
    position = keras.Input((), dtype="int32", name="positions")
    table = ImageTable(np.concatenate(arrays), name="images_on_device")
    resident = keras.Model(position, model(table(position)), name=f"{model.name}_on_device")
    return resident, dataclasses.replace(images, **positions)
