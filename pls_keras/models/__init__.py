"""The paper's classifiers: ResNets in their CIFAR form and recurrent networks for texts."""

from pls_keras.models.bilstm import LSTM, BiLSTM
from pls_keras.models.normalization import BatchNormalization
from pls_keras.models.resnet import ResNet, ResNet18, ResNet34

__all__ = ["LSTM", "BatchNormalization", "BiLSTM", "ResNet", "ResNet18", "ResNet34"]
