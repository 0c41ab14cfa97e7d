"""What all tests share."""

import os
import pathlib
import shutil

import pytest


def pytest_configure(config):
    """Figures without a screen; two devices for the tests of tf.distribute.

    Nothing of it in the process that only hands tests to others: it would wait for the imports first.
    """
    if config.getoption("numprocesses", 0) and not hasattr(config, "workerinput"):
        return
    import keras
    import matplotlib

    from pls_keras.data.feeding import never_tune

    matplotlib.use("Agg")
    never_tune()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])


def pytest_collection_modifyitems(items):
    """The slow ones first, so that no process waits for another at the end."""
    items.sort(key=lambda item: "slow" not in item.keywords)


def pytest_addoption(parser):
    parser.addoption("--release", action="store_true", help="search and kill as often as before a release")


@pytest.fixture(scope="session")
def release(request):
    """Whether these are the long tests of a release."""
    return request.config.getoption("release")


@pytest.fixture
def one_block(monkeypatch):
    """A ResNet-8 that compiles fast: how it is trained does not depend on its depth."""
    from pls_keras.experiments.image_training import BLOCKS

    monkeypatch.setitem(BLOCKS, "ResNet8", (1,))


@pytest.fixture(scope="session")
def data_root():
    """Folder of real data: glove/, text/, cifar10/, cifar100/."""
    root = os.environ.get("PLS_KERAS_DATA")
    if not root:
        pytest.skip("PLS_KERAS_DATA does not name a folder of real data")
    return pathlib.Path(root)


@pytest.fixture(scope="session")
def text_home(data_root, tmp_path_factory):
    """A cache of Keras that holds the official text files; `KERAS_HOME` names it for the session."""
    home = tmp_path_factory.mktemp("keras")
    folder = home / "datasets" / "pls_keras"
    folder.mkdir(parents=True)
    for path in (data_root / "text").glob("*/*.*"):
        shutil.copy(path, folder / path.name.replace(".partial", ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", str(home))
        yield home
