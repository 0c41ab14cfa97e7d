"""Datasets, and the preprocessing of images inside the model."""

from pls_keras.data.augmentation import RandomPadCrop, preprocessing, with_preprocessing
from pls_keras.data.images import ImageDataset, load_cifar, load_digits

__all__ = [
    "ImageDataset",
    "RandomPadCrop",
    "load_cifar",
    "load_digits",
    "preprocessing",
    "with_preprocessing",
]
