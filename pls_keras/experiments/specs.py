"""What a run is: frozen data with every number in it. Methods differ in their theta alone."""

import dataclasses

from pls_keras.builders import uniform_theta
from pls_keras.theta import Theta

METHODS = ("NoLS", "ULS", "CLS", "SEMLS")


@dataclasses.dataclass(frozen=True)
class ImageRun:
    """One training of a ResNet on images (section 6.1), by default at the paper's scale.

    Attributes:
        dataset: "digits", "cifar10" or "cifar100".
        method: one of `METHODS`.
        seed: seed of weights, batches and augmentation.
        blocks: basic blocks in each stage of the ResNet; (2, 2, 2, 2) is ResNet-18.
        width: channels of the first stage.
        smoothing_ratio: ε of every method but NoLS, in [0, 1).
        learning_rate: constant learning rate.
        momentum: Nesterov momentum.
        weight_decay: L2 as in PyTorch's SGD.
        batch_size: images a step.
        epochs: passes over the training images.
        train_images: number of training images, None for all.
        augment: whether to crop at random and flip.
    """

    dataset: str
    method: str
    seed: int
    blocks: tuple = (2, 2, 2, 2)
    width: int = 64
    smoothing_ratio: float = 0.1
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 128
    epochs: int = 160
    train_images: int | None = None
    augment: bool = False

    def __post_init__(self):
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}. Received: {self.method!r}")

    @property
    def theta(self):
        """Theta of the method on this data set."""
        if self.method in ("CLS", "SEMLS"):
            return Theta.load(f"{self.dataset}-{self.method.lower()}")
        return uniform_theta(Theta.load(f"{self.dataset}-semls").labels)

    @property
    def method_smoothing_ratio(self):
        """ε of the method: none for NoLS."""
        return 0.0 if self.method == "NoLS" else self.smoothing_ratio
