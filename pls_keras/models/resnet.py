"""ResNets for small images: He et al. (2016) in the form used on CIFAR, with PyTorch's constants."""

import functools

import keras
from keras import layers

from pls_keras.models.normalization import BatchNormalization


def ResNet18(
    input_shape=(32, 32, 3),
    classes=10,
    classifier_activation="softmax",
    width=64,
    weight_decay=0.0,
    name="resnet18",
    unbiased_variance=True,
):
    """ResNet-18 for small images (section 6.1); see `ResNet` for arguments and details.

    With 10 classes and a width of 64 it has 11,173,962 trainable weights.

    Example:
        >>> model = ResNet18(classes=100, width=8)
        >>> model.output_shape
        (None, 100)
    """
    return ResNet(
        (2, 2, 2, 2),
        input_shape,
        classes,
        classifier_activation,
        width,
        weight_decay,
        name,
        unbiased_variance,
    )


def ResNet34(
    input_shape=(32, 32, 3),
    classes=10,
    classifier_activation="softmax",
    width=64,
    weight_decay=0.0,
    name="resnet34",
    unbiased_variance=True,
):
    """ResNet-34 for small images (section 6.1); see `ResNet` for arguments and details.

    With 10 classes and a width of 64 it has 21,282,122 trainable weights.
    """
    return ResNet(
        (3, 4, 6, 3),
        input_shape,
        classes,
        classifier_activation,
        width,
        weight_decay,
        name,
        unbiased_variance,
    )


def ResNet(
    blocks,
    input_shape=(32, 32, 3),
    classes=10,
    classifier_activation="softmax",
    width=64,
    weight_decay=0.0,
    name="resnet",
    unbiased_variance=True,
):
    """Residual network of basic blocks (He et al., 2016) in the form used on CIFAR.

    A 3×3 convolution of stride 1 without max-pooling comes first. Each stage after the first halves
    the image and doubles the channels; where shapes change, the shortcut is a 1×1 convolution with
    batch normalization. Global average pooling and one dense layer follow. Initialisation, padding
    and batch normalization are those of torchvision, so that the paper's learning rates apply. The
    dense layer and its activation compute in float32 under any dtype policy.

    Args:
        blocks: number of basic blocks in each stage, such as `(2, 2, 2, 2)`; `(1, 1, 1)` makes a
            small network for a demonstration.
        input_shape: `(height, width, channels)` of the images; height and width may be None.
        classes: number of classes.
        classifier_activation: activation of the dense layer; None for logits.
        width: channels of the first stage.
        weight_decay: PyTorch's `weight_decay`, at least 0: the gradient of each trainable weight w,
            those of batch normalization and biases included, gets `weight_decay · w` added before
            it enters the momentum. It is an L2 penalty of `weight_decay / 2`, so the `loss` that
            Keras reports contains the penalty. At a constant learning rate
            `SGD(learning_rate, momentum=0.9, nesterov=True)` then steps as PyTorch's does. Keras's
            own `SGD(weight_decay=…)` is something else: it shrinks the weights outside the
            momentum, which with a momentum of 0.9 is about ten times weaker.
        name: name of the model.
        unbiased_variance: whether the variance that batch normalization keeps for inference is PyTorch's,
            with Bessel's correction, or Keras's, without.

    Returns:
        A `keras.Model` from images (batch, height, width, channels) to probabilities, or logits, of
        shape (batch, classes).

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> model = ResNet((1, 1, 1), input_shape=(32, 32, 1), width=8, weight_decay=5e-4)
        >>> [layer.name for layer in model.layers][1:4]
        ['stem_conv', 'stem_norm', 'stem_relu']

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", 2016.
    """
    _check_arguments(blocks, input_shape, classes, width, weight_decay)
    images = keras.Input(input_shape, name="images")
    conv_norm = functools.partial(
        _conv_norm, weight_decay=weight_decay, unbiased_variance=unbiased_variance
    )
    x = conv_norm(images, width, 3, 1, "stem_conv", "stem_norm")
    x = layers.Activation("relu", name="stem_relu")(x)
    for stage, depth in enumerate(blocks, start=1):
        for block in range(1, depth + 1):
            x = _basic_block(
                x,
                filters=width * 2 ** (stage - 1),
                strides=2 if stage > 1 and block == 1 else 1,
                conv_norm=conv_norm,
                name=f"stage{stage}_block{block}",
            )
    x = layers.GlobalAveragePooling2D(data_format="channels_last", name="pool")(x)
    # torch.nn.Linear: kernel and bias uniform within ±1/sqrt(fan_in).
    bound = x.shape[-1] ** -0.5
    predictions = layers.Dense(
        classes,
        activation=classifier_activation,
        kernel_initializer=keras.initializers.RandomUniform(-bound, bound),
        bias_initializer=keras.initializers.RandomUniform(-bound, bound),
        kernel_regularizer=_penalty(weight_decay),
        bias_regularizer=_penalty(weight_decay),
        dtype="float32",
        name="predictions",
    )(x)
    return keras.Model(images, predictions, name=name)


def _basic_block(x, filters, strides, conv_norm, name):
    shortcut = x
    if strides != 1 or x.shape[-1] != filters:
        shortcut = conv_norm(x, filters, 1, strides, f"{name}_shortcut_conv", f"{name}_shortcut_norm")
    x = conv_norm(x, filters, 3, strides, f"{name}_conv1", f"{name}_norm1")
    x = layers.Activation("relu", name=f"{name}_relu1")(x)
    x = conv_norm(x, filters, 3, 1, f"{name}_conv2", f"{name}_norm2")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_relu2")(x)


def _conv_norm(x, filters, kernel_size, strides, conv_name, norm_name, *, weight_decay, unbiased_variance):
    padding = "same"
    if strides > 1 and kernel_size > 1:
        # At stride 2 "same" pads below and to the right only; PyTorch pads every side.
        x = layers.ZeroPadding2D(1, data_format="channels_last", name=f"{conv_name}_padding")(x)
        padding = "valid"
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        data_format="channels_last",
        use_bias=False,
        # torchvision: He normal over fan_out, not truncated.
        kernel_initializer=keras.initializers.VarianceScaling(
            scale=2.0, mode="fan_out", distribution="untruncated_normal"
        ),
        kernel_regularizer=_penalty(weight_decay),
        name=conv_name,
    )(x)
    return BatchNormalization(
        axis=-1,
        momentum=0.9,
        epsilon=1e-5,
        beta_regularizer=_penalty(weight_decay),
        gamma_regularizer=_penalty(weight_decay),
        unbiased_variance=unbiased_variance,
        name=norm_name,
    )(x)


def _penalty(weight_decay):
    """The penalty whose gradient is `weight_decay · w`; None without weight decay."""
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None


def _check_arguments(blocks, input_shape, classes, width, weight_decay):
    if not blocks or any(depth < 1 for depth in blocks):
        raise ValueError(
            "blocks must give each stage's number of blocks, at least 1, such as (2, 2, 2, 2). "
            f"Received: {blocks}"
        )
    if len(input_shape) != 3 or not input_shape[2]:
        raise ValueError(
            f"input_shape must be (height, width, channels), such as (32, 32, 3). Received: {input_shape}"
        )
    if classes < 2:
        raise ValueError(f"classes must be at least 2. Received: {classes}")
    if width < 1:
        raise ValueError(f"width must be at least 1. Received: {width}")
    if weight_decay < 0:
        raise ValueError(f"weight_decay must be at least 0, such as 5e-4. Received: {weight_decay}")
