"""One run: a spec in, its curves and scores out."""

import dataclasses
import time

import keras
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from pls_keras.callbacks import GeneralizationError, GradientNorm
from pls_keras.data import load_cifar, load_digits, with_preprocessing
from pls_keras.losses import PreferentialSmoothingLoss
from pls_keras.metrics import ExpectedCalibrationError
from pls_keras.models import ResNet


def load_images(run):
    """The images of a run, cut to its number of training images, the classes in equal shares.

    The cut is the same for every seed and method.

    Raises:
        ValueError: if the run asks for more training images than there are.
    """
    images = load_digits(size=16) if run.dataset == "digits" else load_cifar(run.dataset)
    if run.train_images is None or run.train_images == len(images.y_train):
        return images
    if run.train_images > len(images.y_train):
        raise ValueError(
            f"{run.dataset} has {len(images.y_train)} training images. Received: "
            f"train_images={run.train_images}"
        )
    kept, _ = train_test_split(
        np.arange(len(images.y_train)),
        train_size=run.train_images,
        stratify=images.y_train,
        random_state=0,
    )
    kept.sort()
    return dataclasses.replace(images, x_train=images.x_train[kept], y_train=images.y_train[kept])


def build_image_model(run, images):
    """The compiled model of a run, for raw uint8 images."""
    keras.utils.set_random_seed(run.seed)
    backbone = ResNet(
        run.blocks,
        input_shape=images.input_shape,
        classes=images.classes,
        width=run.width,
        weight_decay=run.weight_decay,
    )
    model = with_preprocessing(
        backbone,
        images,
        augment=run.augment,
        horizontal_flip=run.dataset != "digits",
        seed=run.seed,
    )
    model.compile(
        optimizer=keras.optimizers.SGD(run.learning_rate, momentum=run.momentum, nesterov=True),
        loss=PreferentialSmoothingLoss(run.theta(images), run.method_smoothing_ratio),
        metrics=[
            "accuracy",
            ExpectedCalibrationError(),
            keras.metrics.SparseCategoricalCrossentropy(name="nll"),
        ],
    )
    return model


def train_on_images(run, images=None, callbacks=()):
    """Train one model and test it.

    Args:
        run: `ImageRun`.
        images: `ImageDataset`; None for `load_images(run)`.
        callbacks: further Keras callbacks.

    Returns:
        Pair of the curves, a `DataFrame` with a row an epoch, and the scores on the test images, a
        dict: `accuracy`, `ece`, `nll`, and over the epochs the mean `grad_norm`, and of the last
        epoch the `generalization_error`.
    """
    images = load_images(run) if images is None else images
    model = build_image_model(run, images)
    # One pass over the test images in each epoch: they take the place of validation data, and
    # nothing is chosen by them.
    error = GeneralizationError((images.x_train, images.y_train))
    start = time.perf_counter()
    history = model.fit(
        images.x_train,
        images.y_train,
        batch_size=run.batch_size,
        epochs=run.epochs,
        verbose=0,
        validation_data=(images.x_test, images.y_test),
        validation_batch_size=256,
        callbacks=[GradientNorm(), error, *callbacks],
    )
    curves = pd.DataFrame(history.history)
    curves.insert(0, "epoch", np.arange(1, len(curves) + 1))
    last = curves.iloc[-1]
    scores = {
        "accuracy": last["val_accuracy"],
        "ece": last["val_ece"],
        "nll": last["val_nll"],
        "grad_norm": curves["grad_norm"].mean(),
        "generalization_error": last["generalization_error"],
        "seconds": time.perf_counter() - start,
    }
    return curves, scores
