"""Datasets, the preprocessing of images inside the model, and texts as tokens."""

from pls_keras.data.augmentation import RandomPadCrop, preprocessing, with_preprocessing
from pls_keras.data.images import ImageDataset, load_cifar, load_digits
from pls_keras.data.resident import ImageTable, on_device
from pls_keras.data.text import TextDataset, load_text
from pls_keras.data.tokens import LengthBatches, embedding_matrix, text_vectorization

__all__ = [
    "ImageDataset",
    "ImageTable",
    "LengthBatches",
    "RandomPadCrop",
    "TextDataset",
    "embedding_matrix",
    "load_cifar",
    "load_digits",
    "load_text",
    "on_device",
    "preprocessing",
    "text_vectorization",
    "with_preprocessing",
]
