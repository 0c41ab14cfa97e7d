"""Recurrent text classifiers: an LSTM (section 7) and its bidirectional twin."""

import keras
import numpy as np
from keras import layers, ops

POOLINGS = ("last", "max")


@keras.saving.register_keras_serializable(package="pls_keras")
class MaxOverWords(layers.Layer):
    """Maximum of each feature over the words of a text; padding does not count.

    Keras's `GlobalMaxPooling1D` takes no mask, so that padding would count there.

    Input shape:
        (batch, length, features), in (-1, 1) as the states of an LSTM are.

    Output shape:
        (batch, features).
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, states, mask=None):
        if mask is not None:
            states = ops.where(ops.expand_dims(mask, -1), states, -ops.ones_like(states))
        return ops.max(states, axis=1)

    def compute_mask(self, states, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return input_shape[0], input_shape[2]


def LSTM(
    classes,
    *,
    vocabulary_size=None,
    embedding_dimension=100,
    embeddings=None,
    units=128,
    dropout=0.5,
    word_dropout=0.0,
    pooling="last",
    trainable_embeddings=False,
    classifier_activation="softmax",
    name="lstm",
):
    """LSTM text classifier (section 7).

    Word vectors, an LSTM over the words and one dense layer on its pooled states, with dropout before
    and after the LSTM. Token 0 is padding: it changes nothing. On a GPU padding must stand at the
    end, and each text needs a token, for Keras to use cuDNN. The dense layer and its activation
    compute in float32 under any dtype policy.

    Args:
        classes: number of classes.
        vocabulary_size: number of token ids, padding included. The word vectors are then random and
            trained. Give either this or `embeddings`.
        embedding_dimension: length of the random vectors; `embeddings` bring their own.
        embeddings: word vectors of shape (vocabulary_size, dimension), row i for token i. Row 0
            stands for padding and is not used. They become weights of the model and do not enter
            its configuration.
        units: size of the state, in each direction.
        dropout: fraction in [0, 1) of each word vector, and of the pooled states, that is dropped in
            training.
        word_dropout: fraction in [0, 1) of the words that are dropped whole in training.
        pooling: what the dense layer sees: "last", the state after the last word, or "max", the
            maximum of each feature over the words (Collobert et al., 2011).
        trainable_embeddings: whether training changes `embeddings`.
        classifier_activation: activation of the dense layer; None for logits.
        name: name of the model.

    Returns:
        A `keras.Model` from token ids (batch, length), of any length, to probabilities, or logits,
        of shape (batch, classes).

    Raises:
        ValueError: if not exactly one of `vocabulary_size` and `embeddings` is given, or if an
            argument is out of its range.

    Example:
        >>> model = LSTM(6, vocabulary_size=5000, units=16)
        >>> model.predict(np.array([[12, 7, 0], [5, 0, 0]]), verbose=0).shape
        (2, 6)
    """
    return _text_classifier(
        layers.LSTM(units, return_sequences=pooling == "max", name="lstm"),
        classes,
        pooling=pooling,
        vocabulary_size=vocabulary_size,
        embedding_dimension=embedding_dimension,
        embeddings=embeddings,
        dropout=dropout,
        word_dropout=word_dropout,
        trainable_embeddings=trainable_embeddings,
        classifier_activation=classifier_activation,
        name=name,
    )


def BiLSTM(
    classes,
    *,
    vocabulary_size=None,
    embedding_dimension=100,
    embeddings=None,
    units=128,
    dropout=0.5,
    word_dropout=0.0,
    pooling="last",
    trainable_embeddings=False,
    classifier_activation="softmax",
    name="bilstm",
):
    """Text classifier over an LSTM that reads forwards and one that reads backwards.

    The dense layer sees the pooled states of both. All else is as in `LSTM`.

    Example:
        >>> model = BiLSTM(6, embeddings=np.random.normal(size=(5000, 50)), units=16)
        >>> model.predict(np.array([[12, 7, 0], [5, 0, 0]]), verbose=0).shape
        (2, 6)
    """
    return _text_classifier(
        layers.Bidirectional(
            layers.LSTM(units, return_sequences=pooling == "max", name="lstm"), name="bilstm"
        ),
        classes,
        pooling=pooling,
        vocabulary_size=vocabulary_size,
        embedding_dimension=embedding_dimension,
        embeddings=embeddings,
        dropout=dropout,
        word_dropout=word_dropout,
        trainable_embeddings=trainable_embeddings,
        classifier_activation=classifier_activation,
        name=name,
    )


def _text_classifier(
    encoder,
    classes,
    *,
    vocabulary_size,
    embedding_dimension,
    embeddings,
    dropout,
    word_dropout,
    pooling,
    trainable_embeddings,
    classifier_activation,
    name,
):
    if classes < 2:
        raise ValueError(f"classes must be at least 2. Received: {classes}")
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {POOLINGS}. Received: {pooling!r}")
    if (vocabulary_size is None) == (embeddings is None):
        raise ValueError(
            "Give either vocabulary_size, for random word vectors, or embeddings, for your own. "
            f"Received: vocabulary_size={vocabulary_size}, "
            f"embeddings={'None' if embeddings is None else 'given'}"
        )
    if embeddings is not None:
        embeddings = np.asarray(embeddings, dtype="float32")
        if embeddings.ndim != 2 or not np.isfinite(embeddings).all():
            raise ValueError(
                "embeddings must be finite numbers of shape (vocabulary_size, dimension), a row "
                f"for each token id. Received: shape {embeddings.shape}"
            )
        vocabulary_size, embedding_dimension = embeddings.shape
    if vocabulary_size < 2:
        raise ValueError(
            "The vocabulary must hold at least 2 token ids, 0 for padding among them. "
            f"Received: {vocabulary_size}"
        )

    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(
        vocabulary_size,
        embedding_dimension,
        mask_zero=True,
        trainable=embeddings is None or trainable_embeddings,
        name="embeddings",
    )(tokens)
    x = layers.Dropout(word_dropout, noise_shape=(None, None, 1), name="word_dropout")(x)
    x = layers.Dropout(dropout, name="vector_dropout")(x)
    x = encoder(x)
    if pooling == "max":
        x = MaxOverWords(name="max_over_words")(x)
    x = layers.Dropout(dropout, name="text_dropout")(x)
    predictions = layers.Dense(
        classes, activation=classifier_activation, dtype="float32", name="predictions"
    )(x)
    model = keras.Model(tokens, predictions, name=name)
    if embeddings is not None:  # as weights: an initializer would put them into the configuration
        model.get_layer("embeddings").set_weights([embeddings])
    return model
