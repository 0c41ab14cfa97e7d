"""The package does its work without its optional packages, and says which extra brings a missing one."""

import configparser
import os
import pathlib
import re
import subprocess
import sys

import pytest

import pls_keras

PACKAGE = pathlib.Path(pls_keras.__file__).parent
SETUP = PACKAGE.parent / "setup.cfg"
REQUIRED = re.compile(r'require\("(\w+)"((?:, "\w+")+)')
REQUIREMENTS = [
    found for path in PACKAGE.rglob("*.py") for found in REQUIRED.findall(path.read_text("utf-8"))
]
EXTRAS = {extra for extra, _ in REQUIREMENTS}
OPTIONAL = {module for _, modules in REQUIREMENTS for module in re.findall(r"\w+", modules)}
WITHOUT = f"""
import importlib.machinery
import sys

class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, *args):
        return None if name.partition(".")[0] in {OPTIONAL} else super().find_spec(name, *args)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Finder
"""
TRAINS = """
import keras
from pls_keras import ExpectedCalibrationError, GradientNorm, OnlineTheta
from pls_keras import PreferentialSmoothingLoss, Theta
from pls_keras.data import load_digits

digits, theta = load_digits(size=8), Theta.load("digits-cls")
model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10, "softmax")])
model.compile("sgd", PreferentialSmoothingLoss(theta), metrics=[ExpectedCalibrationError()])
x, y = digits.x_train[:64] / 255, digits.y_train[:64]
history = model.fit(x, y, verbose=0, callbacks=[GradientNorm(), OnlineTheta()])
print(keras.backend.backend(), *history.history)
"""
CALLS = {
    "plots": "import pls_keras; pls_keras.Theta.load('digits-cls').plot()",
    "text": "import pls_keras.thetas; pls_keras.thetas.load_vectors('glove.txt')",
    "tensorflow": "import pls_keras.data; pls_keras.data.text_vectorization(['a', 'b'])",
    "images": "import pls_keras.data; pls_keras.data.load_cifar('cifar10', cache_dir='nowhere')",
    "experiments": "from pls_keras.cli import main; main(['demo'])",
}


def run_without_optional_packages(code, backend="jax"):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": backend},
    )


def test_extras_that_the_code_names_are_those_of_the_package():
    setup = configparser.ConfigParser()
    setup.read(SETUP, encoding="utf-8")
    assert set(setup["options.extras_require"]) >= EXTRAS
    assert set(CALLS) <= EXTRAS


@pytest.mark.slow
def test_a_model_trains_on_jax_without_optional_packages():
    pytest.importorskip("jax")
    answer = run_without_optional_packages(TRAINS)
    assert answer.stdout.split()[0] == "jax", answer.stderr
    assert {"loss", "ece", "grad_norm"} <= set(answer.stdout.split())


@pytest.mark.slow
def test_a_missing_extra_is_named_by_a_sentence():
    pytest.importorskip("jax")
    tries = [
        f"try:\n    {call}\nexcept (ImportError, SystemExit) as error:\n    print(error, file=sys.stderr)"
        for call in CALLS.values()
    ]
    answer = run_without_optional_packages("\n".join(tries))
    for extra in CALLS:
        assert f'not installed here: pip install "pls_keras[{extra}]"' in answer.stderr


def test_without_keras_backend_the_sentence_names_the_setting_too():
    answer = run_without_optional_packages("import pls_keras", backend="tensorflow")
    assert answer.stderr.splitlines()[-1].endswith(
        'pip install "pls_keras[tensorflow]", or set KERAS_BACKEND to jax or torch'
    )


def test_beside_a_clone_the_package_is_found_and_not_the_folder_of_the_clone(tmp_path):
    (tmp_path / "pls_keras").mkdir()
    code = "import importlib.util; print(importlib.util.find_spec('pls_keras').origin)"
    printed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert pathlib.Path(printed.stdout.strip()).name == "__init__.py"
