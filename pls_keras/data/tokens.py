"""Texts to token ids, word vectors and batches (section 7), with Keras's own layers."""

import collections

import keras
import numpy as np

from pls_keras._extras import require

PADDING, UNKNOWN = 0, 1  # the first two ids of a TextVectorization layer


@keras.saving.register_keras_serializable(package="pls_keras")
def standardize(texts):
    """Lower-case texts and set punctuation and the endings n't, 's, 'm, 're, 've, 'll, 'd apart.

    That is how the words of GloVe were cut, so that "don't!" becomes "do n't !". Addresses and user
    names are dropped.

    Args:
        texts: string tensor of TensorFlow.

    Returns:
        String tensor; words are separated by white space.
    """
    require("tensorflow", "tensorflow")
    import tensorflow as tf  # strings exist on TensorFlow alone

    texts = tf.strings.lower(texts, encoding="utf-8")
    for pattern, replacement in (
        (r"https?://\S+|@\w+", " "),
        (r"[’`´]", "'"),
        (r"n't\b", " n't"),
        (r"'(s|m|re|ve|ll|d)\b", r" '\1"),
        (r"([^\pL\pN\s'])", r" \1 "),
    ):
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return texts


def text_vectorization(texts, *, min_count=2, max_words=60):
    """A layer from texts to token ids, with the words of these texts as its vocabulary.

    Id 0 is padding and id 1 any other word. Strings need TensorFlow, whatever the backend.

    Args:
        texts: training texts, array of str of shape (n,). Texts of other folds stay out.
        min_count: occurrences below which a word is left to id 1.
        max_words: words of a text that are read, from its start; None for all.

    Returns:
        `keras.layers.TextVectorization`; called on a list of n texts, it gives ids of shape (n, length).
        (Not on an array of objects: on JAX and PyTorch Keras takes those for ASCII.)

    Example:
        >>> layer = text_vectorization(["I don't know.", "I do!"], min_count=1)
        >>> print(*layer.get_vocabulary()[2:])
        do i ! . know n't
    """
    require("tensorflow", "tensorflow")
    import tensorflow as tf

    words = tf.strings.split(standardize(tf.constant(list(texts)))).flat_values.numpy()
    counts = collections.Counter(word.decode() for word in words)
    vocabulary = [word for word, count in counts.items() if count >= min_count]
    if not vocabulary:
        raise ValueError(f"No word occurs {min_count} times in these {len(texts)} texts.")
    return keras.layers.TextVectorization(
        standardize=standardize,
        output_sequence_length=max_words,
        vocabulary=sorted(vocabulary, key=lambda word: (-counts[word], word)),
    )


def embedding_matrix(vocabulary, vectors, *, seed=0):
    """One row for each word: its vector, or a random one of the same spread.

    Args:
        vocabulary: words in the order of their ids; the first two are padding and unknown.
        vectors: gensim's `KeyedVectors`.
        seed: seed of the random vectors.

    Returns:
        Pair of an array of shape (words, dimension), float32, and a bool array of shape (words,)
        that says which rows come from `vectors`. Padding is zero, and unknown the mean of the known.
    """
    found = np.array([word in vectors for word in vocabulary])
    found[:2] = False
    if not found.any():
        raise ValueError(f"None of the {len(vocabulary)} words has a vector. Same language and case?")
    known = np.stack([vectors[word] for word, here in zip(vocabulary, found, strict=True) if here])
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0.0, known.std(), (len(vocabulary), known.shape[1])).astype("float32")
    matrix[found] = known
    matrix[PADDING] = 0.0
    matrix[UNKNOWN] = known.mean(axis=0)
    return matrix, found


class LengthBatches(keras.utils.PyDataset):
    """Batches of texts of similar length, so that little time goes into padding.

    Args:
        tokens: token ids of shape (n, length), padding at the end.
        y: targets of shape (n, …).
        batch_size: texts a batch.
        shuffle: whether the batches and their order change with each epoch.
        seed: seed of the shuffling.

    `order` gives the row of each text in the order of the batches.
    """

    def __init__(self, tokens, y, batch_size, *, shuffle=False, seed=0):
        super().__init__()
        self.tokens, self.y, self.batch_size, self.shuffle = tokens, y, batch_size, shuffle
        self.lengths = np.maximum((tokens != PADDING).sum(axis=1), 1)
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self):
        rows = np.arange(len(self.lengths))
        if self.shuffle:  # texts of the same length meet others from epoch to epoch
            self.rng.shuffle(rows)
        rows = rows[np.argsort(self.lengths[rows], kind="stable")]
        batches = [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        # The longest comes early: if it does not fit into memory, that shows at once.
        first, *middle, last = batches if len(batches) > 1 else [batches[0][:0], batches[0]]
        if self.shuffle:
            self.rng.shuffle(middle)
        self.batches = [batch for batch in (first, last, *middle) if len(batch)]

    @property
    def order(self):
        return np.concatenate(self.batches)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        rows = self.batches[index]
        tokens = self.tokens[rows, : self._length(rows)]
        if index == 1 and self._length(self.batches[0]) == tokens.shape[1]:
            # Keras takes the shape of all batches from the first two, and the length must stay open.
            tokens = np.pad(tokens, ((0, 0), (0, 1)), constant_values=PADDING)
        return tokens, self.y[rows]

    def _length(self, rows):
        # JAX compiles for each shape: there in steps of 8 words, so that it meets few.
        step = 8 if keras.backend.backend() == "jax" else 1
        return min(-(-self.lengths[rows].max() // step) * step, self.tokens.shape[1])
