"""The gradient in two parts: from the true class, and from smoothing (eq. 3.2)."""

import keras
import numpy as np
from keras import ops

from pls_keras.losses import preferential_crossentropy
from pls_keras.thetas import uniform_theta


class GradientSplit(keras.callbacks.Callback):
    """Measures both parts of the weights' gradient after each epoch, on the same samples.

    By (3.2) the gradient of the loss is `(1 - ε) ∇CE(onehot, p) + ε ∇CE(theta[t], p)`. `logs` gets
    `grad_norm_label`, the L2 norm of the first term, `grad_norm_smoothing`, of the second, and
    `grad_cosine`, the cosine between them: -1 where they hold each other in balance. The model is in
    training mode, as in a step on these samples: in inference mode the moving averages of batch
    normalization lag behind, and the two would be of another network. The model stays as it was. Penalties
    of regularizers are in neither part.

    Args:
        x: samples of shape (n, …).
        y: class ids of shape (n,).
        theta: `Theta` of the loss.
        smoothing_ratio: its ε. At 0 the second term is 0 and the cosine NaN.
    """

    def __init__(self, x, y, theta, smoothing_ratio):
        super().__init__()
        self.x = x
        self.label = np.eye(theta.classes, dtype="float32")[y]
        self.other = np.asarray(theta, dtype="float32")[y]
        self.smoothing_ratio = smoothing_ratio

    def on_train_begin(self, logs=None):
        self._gradient = compiled_gradient(self.model)

    def on_epoch_end(self, epoch, logs=None):
        label = (1 - self.smoothing_ratio) * self._gradient(self.x, self.label)
        smoothing = self.smoothing_ratio * self._gradient(self.x, self.other)
        norms = np.linalg.norm(label), np.linalg.norm(smoothing)
        cosine = label @ smoothing / np.prod(norms) if all(norms) else np.nan
        logs.update(
            grad_norm_label=float(norms[0]), grad_norm_smoothing=float(norms[1]), grad_cosine=float(cosine)
        )


def compiled_gradient(model):
    """A function from samples and targets (n, classes) to the gradient of their mean cross-entropy.

    The gradient, by the trainable weights in training mode, is one flat NumPy array. Moving averages and
    seeds are handed in and those that come out are dropped, so that the model stays as it was.
    """
    unsmoothed = uniform_theta(model.output_shape[-1])

    def cross_entropy(trainable, fixed, x, targets):
        predictions, _ = model.stateless_call(trainable, fixed, x, training=True)
        return ops.mean(preferential_crossentropy(targets, predictions, unsmoothed, smoothing_ratio=0.0))

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.function
        def gradient(trainable, *others):
            with tf.GradientTape() as tape:
                tape.watch(trainable)
                value = cross_entropy(trainable, *others)
            return tape.gradient(value, trainable)

    elif backend == "jax":
        import jax

        gradient = jax.jit(jax.grad(cross_entropy))
    else:
        import torch

        def gradient(trainable, *others):
            with torch.random.fork_rng():  # from which dropout draws there
                return torch.autograd.grad(cross_entropy(trainable, *others), trainable)

    def flat(x, targets):
        state = [
            [ops.convert_to_tensor(v) for v in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        parts = gradient(*state, ops.convert_to_tensor(x), ops.convert_to_tensor(targets))
        return np.concatenate([ops.convert_to_numpy(part).ravel() for part in parts])

    return flat
