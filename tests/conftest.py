"""What all tests share."""

import os
import pathlib

import keras
import matplotlib
import pytest

matplotlib.use("Agg")

if keras.backend.backend() == "tensorflow":  # two devices for the tests of tf.distribute
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])


@pytest.fixture(scope="session")
def data_root():
    """Folder of real data: glove/, text/, cifar10/, cifar100/."""
    root = os.environ.get("PLS_KERAS_DATA")
    if not root:
        pytest.skip("PLS_KERAS_DATA does not name a folder of real data")
    return pathlib.Path(root)
