"""The recipes of the site run as they stand there."""

import os
import pathlib
import re

import keras
import pytest

from pls_keras.thetas.taxonomy import WORDNET_FOLDERS

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "recipes.md").read_text("utf-8")
START, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
RECIPES = {section.partition("\n")[0]: section for section in SECTIONS}


def code(text):
    return "\n".join(BLOCK.findall(text))


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_runs(title, tmp_path, monkeypatch):
    if "tensorflow" in RECIPES[title] and keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow's own way of training")
    if "WordNet" in title and not any(folder.is_dir() for folder in WORDNET_FOLDERS):
        pytest.skip("WordNet's files are not there")
    if "TensorBoard" in title:
        pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    for synset in ("n02084071", "n02121620", "n03791235"):  # dog, cat, motor vehicle
        os.makedirs(f"imagenet/train/{synset}")
    namespace = {}
    try:
        exec(compile(code(START), "recipes.md", "exec"), namespace)
        exec(compile(code(RECIPES[title]), f"recipes.md: {title}", "exec"), namespace)
    finally:
        keras.config.set_dtype_policy("float32")


def test_recipes_are_short():
    assert len(RECIPES) >= 11
    for title, text in RECIPES.items():
        assert len([line for line in code(text).splitlines() if line.strip()]) <= 18, title
