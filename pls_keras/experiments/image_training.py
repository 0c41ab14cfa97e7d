"""One run on images: a spec in, its curves and its result out."""

import dataclasses
import functools
import os
import shutil
import time

import keras
import numpy as np
from sklearn.model_selection import train_test_split

from pls_keras.callbacks import GeneralizationError, GradientNorm, OnlineTheta
from pls_keras.data import load_cifar, load_digits, on_device, with_preprocessing
from pls_keras.data.feeding import Batches, evaluate, fit, predict
from pls_keras.experiments.checkpoint import EpochCheckpoint
from pls_keras.experiments.divergence import DivergenceError, StopAtDivergence, raise_if_diverged
from pls_keras.experiments.gradient_split import GradientSplit
from pls_keras.experiments.hardware import accelerator, fastest_way, narrowest_network
from pls_keras.experiments.methods import LEARNED
from pls_keras.experiments.precision import dtype_policy
from pls_keras.experiments.scoring import guesses, reliability, score
from pls_keras.losses import PreferentialSmoothingLoss
from pls_keras.metrics import ExpectedCalibrationError
from pls_keras.models import ResNet
from pls_keras.thetas import confusion_theta

BLOCKS = {"ResNet8": (1, 1, 1), "ResNet18": (2, 2, 2, 2), "ResNet34": (3, 4, 6, 3)}
EVAL_BATCH = 500
STEPS_PER_EXECUTION = 8  # on an accelerator under JAX; on a processor it saved 0.1 ms a step there
PROBE_IMAGES = 128  # on which the parts of the gradient are measured


_load_digits = functools.cache(load_digits)
_load_cifar = functools.lru_cache(maxsize=1)(load_cifar)  # a worker meets the same images many times


def load_images(run):
    """The images of a run, cut to its number of training images, the classes in equal shares.

    The cut is the same for every seed and method.

    Raises:
        ValueError: if the run asks for more training images than there are, or for less than one a class.
    """
    images = _load_digits(size=16) if run.dataset == "digits" else _load_cifar(run.dataset)
    if run.train_images is not None and not images.classes <= run.train_images <= len(images.y_train):
        raise ValueError(
            f"{run.dataset} has {len(images.y_train)} training images of {images.classes} classes, and a "
            f"run needs one of each. Received: train_images={run.train_images}"
        )
    x, y = cut(images.x_train, images.y_train, run.train_images)
    return dataclasses.replace(images, x_train=x, y_train=y)


def cut(x, y, size):
    """At most `size` samples, None for all, the classes in equal shares; always the same ones."""
    if size is None or size >= len(y):
        return x, y
    kept, _ = train_test_split(np.arange(len(y)), train_size=size, stratify=y, random_state=0)
    kept.sort()
    return x[kept], y[kept]


def build_image_model(run, images, *, theta=None, resident=False):
    """The compiled model of a run, and the images as it takes them.

    Args:
        run: `ImageRun`.
        images: `ImageDataset` of raw uint8 images.
        theta: `Theta`; None for the method's.
        resident: whether they are to lie on the device (`pls_keras.data.on_device`).

    Returns:
        Pair of a compiled `keras.Model` and an `ImageDataset`: `images`, or their positions.

    Raises:
        ValueError: if the network is so narrow that oneDNN crashes here.
    """
    narrowest = narrowest_network()
    if run.width < narrowest:
        raise ValueError(
            f"width must be at least {narrowest} on this processor, where oneDNN's convolutions of fewer "
            f"channels crash; with TF_ENABLE_ONEDNN_OPTS=0 TensorFlow trains without oneDNN, more slowly. "
            f"Received: width={run.width}"
        )
    keras.utils.set_random_seed(run.seed)
    way = fastest_way(run.precision, run.jit_compile)
    with dtype_policy(way.precision):
        backbone = ResNet(
            BLOCKS[run.model],
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
    if resident:
        model, images = on_device(model, images)
    theta = run.theta(images) if theta is None else theta
    learning_rate = run.learning_rate
    if run.drops:
        steps = -(-len(images.y_train) // run.batch_size)
        learning_rate = keras.optimizers.schedules.PiecewiseConstantDecay(
            [drop * steps for drop in run.drops],
            [run.learning_rate / 10**i for i in range(len(run.drops) + 1)],
        )
    model.compile(
        optimizer=keras.optimizers.SGD(learning_rate, momentum=run.momentum, nesterov=True),
        loss=PreferentialSmoothingLoss(theta, run.method_smoothing_ratio),
        metrics=[
            "accuracy",
            ExpectedCalibrationError(),
            keras.metrics.SparseCategoricalCrossentropy(name="nll"),
        ],
        jit_compile=way.jit_compile,
        steps_per_execution=STEPS_PER_EXECUTION if resident and keras.backend.backend() == "jax" else 1,
    )
    return model, images


def train_on_images(run, images=None, callbacks=(), folder=None, resident=None):
    """Train one model and test it.

    Args:
        run: `ImageRun`.
        images: `ImageDataset`; None for `load_images(run)`.
        callbacks: further Keras callbacks.
        folder: where each epoch leaves a checkpoint. A call that finds one goes on from there, and
            ends with the curves and scores of a run that was never stopped. None for no checkpoint.
        resident: whether the images lie on the device; None for: if it is an accelerator. The numbers
            are the same.

    Returns:
        Pair of the curves, a `DataFrame` with a row an epoch, and the result, a dict of `scores`,
        `reliability` and `guesses` (`pls_keras.experiments.scoring`) on the test images, the `theta` that
        was learned, if any, and the `way` in which it was trained, where the run says "auto". The scores
        are also the mean of `grad_norm` over the epochs; the `generalization_error` of the tested weights,
        and their `epoch`; and the `images_per_second` of training. With `keep_best`, the curves hold
        validation scores and nothing of the test images; else they hold `generalization_error` and test
        scores of each epoch. A run that diverges ends with that epoch, `diverged` is its only score.
    """
    images = load_images(run) if images is None else images
    resident = accelerator() is not None if resident is None else resident
    way = fastest_way(run.precision, run.jit_compile)
    way = {"precision": way.precision, "jit_compile": way.jit_compile}
    theta = run.theta(images)
    try:
        if theta is None:
            theta = _confusion_of_twin(run, images, folder and os.path.join(folder, "twin"), resident)
        model, images, checkpoint = _train(run, images, theta, callbacks, folder, resident)
    except DivergenceError as end:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        return end.curves, {**end.result, "way": way}
    curves = checkpoint.curves
    tested = images.y_test, predict(model, Batches(images.x_test, None, EVAL_BATCH))
    trained = evaluate(model, Batches(*cut(images.x_train, images.y_train, run.eval_images), EVAL_BATCH))
    seconds = curves["seconds"].iloc[1:].median() if len(curves) > 1 else curves["seconds"].iloc[0]
    scores = score(*tested, images)
    scores |= {
        "grad_norm": float(curves["grad_norm"].mean()),
        "generalization_error": abs(trained["accuracy"] - scores["accuracy"]),
        "epoch": checkpoint.best_epoch,
        "images_per_second": len(images.y_train) / float(seconds),
    }
    checkpoint.delete()
    return curves, {
        "scores": scores,
        "reliability": reliability(*tested),
        "guesses": guesses(tested[1]),
        "theta": model.loss.theta if run.method in LEARNED else None,
        "way": way,
    }


def _train(run, images, theta, callbacks, folder, resident):
    """The model of a run with the weights to be tested, the images as it takes them, its checkpoint."""
    model, images = build_image_model(run, images, theta=theta, resident=resident)
    train = cut(images.x_train, images.y_train, run.eval_images)
    checkpoint = EpochCheckpoint(folder, model, monitor="val_nll" if run.keep_best else None)
    batches = Batches(images.x_train, images.y_train, run.batch_size, seed=run.seed, epoch=checkpoint.epoch)
    measures = [GradientNorm()]
    if run.keep_best:
        held_out = images.x_val, images.y_val
    else:
        # One pass over test images in each epoch, in place of validation: nothing is chosen by them.
        held_out = images.x_test, images.y_test
        measures.append(GeneralizationError(train))
    if run.gradient_parts:
        probe = cut(images.x_train, images.y_train, PROBE_IMAGES)
        measures.append(GradientSplit(*probe, theta, run.method_smoothing_ratio))
    if run.method == "Online":
        measures.append(OnlineTheta(include_true=False))  # the true class keeps 1 - ε, as in CLS
    timer = _TrainingTime()
    if checkpoint.epoch:  # stopped when it had diverged, perhaps
        raise_if_diverged(checkpoint.curves)
    fit(
        model,
        batches,
        epochs=run.epochs,
        initial_epoch=checkpoint.epoch,
        validation_data=Batches(*cut(*held_out, run.eval_images), EVAL_BATCH),
        callbacks=[timer, *measures, checkpoint, StopAtDivergence(), *callbacks],
    )
    raise_if_diverged(checkpoint.curves)
    checkpoint.restore_best()
    return model, images, checkpoint


def _confusion_of_twin(run, images, folder, resident):
    """Theta of what the same run with NoLS takes its validation images for."""
    twin = dataclasses.replace(run, method="NoLS")
    model, positions, _ = _train(twin, images, twin.theta(images), (), folder, resident)
    p = predict(model, Batches(positions.x_val, None, EVAL_BATCH))
    return confusion_theta(images.y_val, p, images.labels)


class _TrainingTime(keras.callbacks.Callback):
    """Adds to `logs` the seconds that the steps of each epoch took, without the evaluation."""

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_test_begin(self, logs=None):
        self._end = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs["seconds"] = self._end - self._start
