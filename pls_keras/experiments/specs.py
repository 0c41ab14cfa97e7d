"""What a run is: frozen data with every number in it. Methods differ in their theta alone."""

import dataclasses
import hashlib
import json
import pathlib

from pls_keras.experiments.methods import check_method, method_theta, theta_digest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What all runs have.

    Attributes:
        dataset: name of the data set.
        method: "NoLS", "ULS", "CLS", "SEMLS", or another of `pls_keras.experiments.methods`.
        seed: seed of weights, batches and augmentation.
        smoothing_ratio: ε of every method but NoLS, in [0, 1).
        scale: name of the sweep's scale, such as "paper".
    """

    dataset: str
    method: str
    seed: int = 0
    smoothing_ratio: float = 0.1
    scale: str = "paper"

    def __post_init__(self):
        check_method(self.method)

    def record(self):
        """The run as plain data: its kind and its fields; files by their names, a theta by its hash."""
        fields = dataclasses.asdict(self)
        if digest := theta_digest(self.method, self.dataset):
            fields["theta"] = digest
        if "vectors" in fields:
            fields["vectors"] = pathlib.Path(self.vectors).stem if self.vectors else "random"
        return {"kind": type(self).__name__, **fields}

    @property
    def key(self):
        """A hash of the record, the same on every machine."""
        text = json.dumps(self.record(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def method_smoothing_ratio(self):
        """ε of the method: none for NoLS."""
        return 0.0 if self.method == "NoLS" else self.smoothing_ratio

    def theta(self, data):
        """Theta of the method among the classes of `data`, as `method_theta` gives it.

        Args:
            data: the run's `ImageDataset` or `TextDataset`.
        """
        return method_theta(self.method, data)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageRun(Run):
    """One training of a ResNet on images (section 6), by default as for Figures 3 to 5 of the paper.

    Attributes:
        model: "ResNet18", "ResNet34", or "ResNet8" of one block in each of three stages.
        width: channels of the first stage.
        learning_rate: of SGD with Nesterov momentum.
        drops: epochs after which the learning rate is divided by ten.
        momentum: Nesterov momentum.
        weight_decay: L2 as in PyTorch's SGD.
        batch_size: images a step.
        epochs: passes over the training images.
        keep_best: whether the weights of the least plain cross-entropy on the validation images are
            tested; else those of the last epoch.
        augment: whether to crop at random and flip.
        train_images: number of training images, None for all.
        eval_images: number of training, validation or test images that are evaluated after each
            epoch, None for all.
        gradient_parts: whether to measure both parts of the gradient after each epoch
            (`pls_keras.experiments.gradient_split`).
        precision: Keras's dtype policy, or "auto" for the fastest where the run is trained
            (`pls_keras.experiments.hardware`).
        jit_compile: True, False, or "auto" for the fastest.
    """

    model: str = "ResNet18"
    width: int = 64
    learning_rate: float = 0.1
    drops: tuple = ()
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 128
    epochs: int = 160
    keep_best: bool = False
    augment: bool = False
    train_images: int | None = None
    eval_images: int | None = None
    gradient_parts: bool = False
    precision: str = "float32"
    jit_compile: bool | str = "auto"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextRun(Run):
    """One training of an LSTM on texts (section 7).

    Size, dropout, rate and epochs were chosen on validation texts with NoLS, and serve every method.

    Attributes:
        fold: which fold of `folds` is the test fold; None where the data set has its own split.
        folds: number of stratified folds.
        classes: labels to keep, empty for all.
        sample: number of the random sample of classes (section 7.1).
        model: "BiLSTM" or "LSTM".
        pooling: "max" or "last" of the LSTM's states.
        vectors: word vectors, as `pls_keras.thetas.load_vectors` takes them; None for random
            ones.
        units: size of the LSTM's state in each direction.
        dropout: fraction of each word vector, and of the pooled states, that is dropped.
        word_dropout: fraction of the words that are dropped whole.
        class_weight: exponent in [0, 1] of 1 / frequency, the weight of a class in the loss; 0.5 gives
            rare classes some of the part that they have in macro F1.
        learning_rate: of Adam at the start; it falls to 0 along a cosine.
        batch_size: texts a step.
        epochs: passes over the training texts; the weights of the best plain cross-entropy on a
            tenth of the training fold are kept.
        min_count: occurrences in the training texts below which a word is unknown.
        max_words: words read of each text.
    """

    fold: int | None = None
    folds: int = 5
    classes: tuple = ()
    sample: int | None = None
    model: str = "BiLSTM"
    pooling: str = "max"
    vectors: str | None = "glove-wiki-gigaword-300"
    units: int = 128
    dropout: float = 0.4
    word_dropout: float = 0.15
    class_weight: float = 0.5
    learning_rate: float = 0.008
    batch_size: int = 64
    epochs: int = 8
    min_count: int = 2
    max_words: int = 100
