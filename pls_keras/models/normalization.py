"""Batch normalization by the backend's own kernel."""

import keras
from keras import ops

KERNEL_DTYPES = ("float32", "bfloat16", "float16")


@keras.saving.register_keras_serializable(package="pls_keras")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's `BatchNormalization`, through one operation of the backend where it has one.

    Keras normalizes in some ten operations, each of which reads and writes the whole input in float32: on
    a processor a ResNet waits for that most of the time. TensorFlow's `FusedBatchNormV3` and PyTorch's
    `batch_norm` read 16-bit inputs and keep the statistics in float32; JAX compiles Keras's operations
    into as few by itself. Arguments, weights and their names are Keras's, so that weights load either
    way.

    The kernel is for inputs (batch, height, width, channels) of 32 bits or fewer, `axis` their last. All
    else goes Keras's way: other ranks and axes, masks, `synchronized` and `renorm`.

    Args:
        *args: as for `keras.layers.BatchNormalization`.
        unbiased_variance: whether the moving variance is that of the population that the batch is a
            sample of, n / (n - 1) of the batch's own for n values of a channel, as PyTorch has it. The
            batch itself is normalized by its own variance in both cases.
        **kwargs: as for `keras.layers.BatchNormalization`.

    Raises:
        ValueError: if `unbiased_variance` goes with `renorm` or `synchronized`.

    Example:
        >>> layer = BatchNormalization(momentum=0.9, epsilon=1e-5)
        >>> tuple(layer(ops.ones((8, 4, 4, 3)), training=True).shape)
        (8, 4, 4, 3)

    Reference:
        Ioffe and Szegedy, "Batch Normalization", 2015.
    """

    def __init__(self, *args, unbiased_variance=False, **kwargs):
        super().__init__(*args, **kwargs)
        if unbiased_variance and (self.synchronized or self._renormalizes):
            raise ValueError("unbiased_variance=True does not go with renorm=True or synchronized=True.")
        self.unbiased_variance = unbiased_variance

    @property
    def _renormalizes(self):
        return getattr(self, "renorm", False)  # of Keras 3.11 and later

    def call(self, inputs, training=None, mask=None):
        training = bool(training) and self.trainable
        kernel = KERNELS.get(keras.backend.backend())
        if kernel is not None and mask is None and self._fits_kernel(inputs):
            return self._call_kernel(kernel, inputs, training)
        kept = self.moving_variance * self.momentum
        outputs = super().call(inputs, training=training, mask=mask)
        if training and self.unbiased_variance:
            # What the batch has added to the moving variance grows by n / (n - 1).
            n = self._values_per_channel(inputs, mask)
            added = self.moving_variance - kept
            self.moving_variance.assign(self.moving_variance + added / ops.maximum(n - 1, 1))
        return outputs

    def _fits_kernel(self, inputs):
        return (
            len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and tuple(inputs.shape[:3]) != (1, 1, 1)  # PyTorch's refuses a single value
            and keras.backend.standardize_dtype(inputs.dtype) in KERNEL_DTYPES
            and not (self.synchronized or self._renormalizes)
        )

    def _call_kernel(self, kernel, inputs, training):
        gamma = ops.ones_like(self.moving_mean) if self.gamma is None else self.gamma
        beta = ops.zeros_like(self.moving_mean) if self.beta is None else self.beta
        weights = gamma, beta, self.moving_mean, self.moving_variance
        gamma, beta, mean, variance = (ops.cast(weight, "float32") for weight in weights)
        outputs, batch_mean, batch_variance = kernel(
            inputs, gamma, beta, mean, variance, epsilon=self.epsilon, training=training
        )
        if training:
            if not self.unbiased_variance:
                n = self._values_per_channel(inputs)
                batch_variance = batch_variance * ((n - 1) / n)
            self.moving_mean.assign(mean * self.momentum + batch_mean * (1 - self.momentum))
            self.moving_variance.assign(variance * self.momentum + batch_variance * (1 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)

    def _values_per_channel(self, inputs, mask=None):
        if mask is not None:
            return ops.sum(ops.cast(mask, "float32"))
        sizes = ops.shape(inputs)
        n = 1
        for axis in self._reduction_axes:
            n = n * sizes[axis]
        return ops.cast(n, "float32")

    def get_config(self):
        return {**super().get_config(), "unbiased_variance": self.unbiased_variance}


def _tensorflow_kernel(x, gamma, beta, mean, variance, *, epsilon, training):
    """Outputs, and the batch's mean and unbiased variance, or those that were given."""
    import tensorflow as tf

    return tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=epsilon, is_training=training
    )[:3]


def _torch_kernel(x, gamma, beta, mean, variance, *, epsilon, training):
    """The same by PyTorch, whose channels come second; no values move."""
    import torch

    if training:  # with a momentum of 1 these become the batch's own
        mean, variance = torch.zeros_like(mean), torch.zeros_like(variance)
    outputs = torch.nn.functional.batch_norm(
        x.permute(0, 3, 1, 2), mean, variance, gamma, beta, training=training, momentum=1.0, eps=epsilon
    )
    return outputs.permute(0, 2, 3, 1), mean, variance


KERNELS = {"tensorflow": _tensorflow_kernel, "torch": _torch_kernel}
