"""Taxonomies: heights against a walk up the tree, hierarchy_theta's limits, and WordNet's files."""

import json
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pls_keras import cluster_theta, hierarchy_theta, uniform_theta
from pls_keras.data import labels as names
from pls_keras.thetas import class_heights, wordnet_paths
from pls_keras.thetas.shipped import WORDNET
from pls_keras.thetas.taxonomy import WORDNET_FOLDERS, class_paths

PATHS = {"oak": ("plant", "tree"), "fir": ("plant", "tree"), "rose": ("plant",), "cat": ("animal",)}
TREES = st.lists(st.lists(st.sampled_from("abc"), max_size=4).map(tuple), min_size=2, max_size=12).map(
    lambda paths: {f"class {i}": path for i, path in enumerate(paths)}
)


def heights_by_walking(paths):
    """The lowest common ancestor of each pair, and the farthest class below it, by comparing paths."""
    labels = list(paths)
    heights = np.zeros((len(labels), len(labels)), int)
    for i, one in enumerate(labels):
        for j, other in enumerate(labels):
            if i == j:
                continue
            common = 0
            for a, b in zip(paths[one], paths[other], strict=False):
                if a != b:
                    break
                common += 1
            below = [p for p in paths.values() if p[:common] == paths[one][:common]]
            heights[i, j] = max(len(p) for p in below) + 1 - common
    return heights


@given(tree=TREES)
@settings(max_examples=60, deadline=None)
def test_heights_are_those_of_a_walk_up_the_tree(tree):
    labels, heights = class_heights(tree)
    assert labels == tuple(tree)
    np.testing.assert_array_equal(heights, heights_by_walking(tree))


@given(tree=TREES, beta=st.floats(0, 50), include_true=st.booleans(), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_hierarchy_theta_falls_with_height_whatever_the_order(tree, beta, include_true, seed):
    labels = [str(label) for label in np.random.default_rng(seed).permutation(list(tree))]
    theta = hierarchy_theta(tree, labels, beta=beta, include_true=include_true)
    heights = class_heights(tree, labels)[1].astype("float64")
    shares = np.exp(-beta * heights) * (include_true | (heights > 0))
    if (shares.sum(axis=1) > 1e-200).all():  # else the definition underflows
        np.testing.assert_allclose(theta, shares / shares.sum(axis=1, keepdims=True), atol=1e-12)
    assert theta.labels == tuple(labels)


def test_the_limits_of_beta_are_uniform_and_cluster_smoothing():
    superclasses = names.CIFAR100_SUPERCLASSES
    uniform = uniform_theta(list(superclasses), include_true=False)
    np.testing.assert_allclose(hierarchy_theta(superclasses, beta=0), uniform, atol=1e-15)
    np.testing.assert_allclose(hierarchy_theta(superclasses, beta=1e6), cluster_theta(superclasses))


def test_nested_and_flat_forms_are_one_tree():
    nested = {"plant": {"tree": ["oak", "fir"], "other": ["rose"]}, "animal": {"pet": ["cat"]}}
    assert class_paths(nested) == {**PATHS, "rose": ("plant", "other"), "cat": ("animal", "pet")}
    assert class_paths({"a": "x", "b": "y"}) == {"a": ("x",), "b": ("y",)}


def test_one_level_of_lists_are_groups_and_lists_that_begin_alike_are_paths():
    flat = {"cat": ("animal",), "dog": ("animal",), "car": ("vehicle",), "bus": ("vehicle",)}
    assert class_paths({"animal": ["cat", "dog"], "vehicle": ["car", "bus"]}) == flat
    assert class_paths({"all": ["a", "b"]}) == {"a": ("all",), "b": ("all",)}
    for paths in (PATHS, flat):  # as a file of JSON, or the provenance of a theta, has them
        assert class_paths({label: list(path) for label, path in paths.items()}) == paths


def test_ids_in_any_order_are_put_in_that_of_the_labels():
    tree = {"x": {"y": [1, 0], "z": [2]}}
    assert hierarchy_theta(tree, [0, 1, 2]).provenance["tree"]["0"] == ["x", "y"]


def test_a_theta_has_its_tree_with_it():
    theta = hierarchy_theta(PATHS)
    again = class_heights(theta.provenance["tree"], theta.labels)
    np.testing.assert_array_equal(again[1], class_heights(PATHS)[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_paths({"a": "x"}), "at least 2 classes"),
        (lambda: class_paths({"x": {"y": ["a", "b"]}, "z": ["a"]}), r"Received twice: \['a'\]"),
        (lambda: class_paths({"x": {"y": "a"}}), r"Received: 'a' under x / y"),
        (lambda: class_paths({"x": {"y": ("a", "b")}}), r"a tuple is a path.*\('a', 'b'\) under x / y"),
        (lambda: class_paths({"cat": ("animal",), "v": {"w": ["car"]}}), r"\('animal',\) under cat"),
        (lambda: class_paths({"x": {"y": {"a", "b"}}}), "lists of labels"),
        (lambda: class_paths({"animal": [], "v": ["car", "bus"]}), r"Received: \[\] under animal"),
        (lambda: class_paths({"animal": ["dog", "cat"], "pet": ["cat"]}), r"Received twice: \['cat'\]"),
        (lambda: class_paths({"x": {"y": [1, 0, 2]}}), r"in this order.*\[1, 0, 2\]"),
        (lambda: class_paths({"x": {"y": ["a", None]}}), "none empty or missing"),
        (lambda: class_paths({"a": ("x", None), "b": ("x",)}), "The path of 'a' must be text"),
        (lambda: class_paths(["a", "b"]), "tree must be a mapping"),
        (lambda: hierarchy_theta(PATHS, 2.0), r"labels must be a list.*Received: 2\.0"),
        (lambda: class_heights(PATHS, ["oak", "dog"]), r"no place for: \['dog'\]"),
        (lambda: hierarchy_theta(PATHS, beta=-1), r"beta must be .* of at least 0\. Received: -1"),
        (lambda: hierarchy_theta(PATHS, beta=float("nan")), "beta must be"),
        (lambda: hierarchy_theta({str(i): "all" for i in range(10_001)}), "10,001 classes would need"),
    ],
)
def test_what_is_no_tree_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# WordNet


NOUNS = [  # a little file of nouns: words, the synsets they are kinds of, and a meaning
    (["entity"], [], "what exists"),
    (["animal", "beast"], ["entity"], "it lives"),
    (["dog"], ["animal", "pet"], "it barks"),
    (["cat"], ["animal"], "it purrs"),
    (["stone"], ["entity"], "it lies"),
    (["pet"], ["animal"], "kept at home"),
    (["poodle"], ["dog"], "a dog"),
]


@pytest.fixture
def folder(tmp_path):
    """WordNet's two files in small, in the form of manual page wndb(5WN)."""
    header = "  1 A licence.  \n"

    def line(words, parents, gloss, offset, offsets):
        listed = " ".join(f"{word} 0" for word in words)
        pointers = "".join(f" @ {offsets.get(parent, 0):08d} n 0000" for parent in parents)
        pointers += f" ~ {0:08d} n 0000"  # one that leads down
        return f"{offset:08d} 03 n {len(words):02x} {listed} {len(parents) + 1:03d}{pointers} | {gloss}  \n"

    offsets, position = {}, len(header)
    for words, parents, gloss in NOUNS:
        offsets[words[0]] = position
        position += len(line(words, parents, gloss, position, {}))
    data = header + "".join(line(*noun, offsets[noun[0][0]], offsets) for noun in NOUNS)
    (tmp_path / "data.noun").write_text(data)
    index = [(word, offsets[words[0]]) for words, *_ in NOUNS for word in words]
    text = "".join(f"{word} n 1 1 @ 1 0 {offset:08d}  \n" for word, offset in sorted(index))
    (tmp_path / "index.noun").write_text(header + text)
    return tmp_path


def test_wordnet_paths_follow_the_first_hypernym_and_skip_groups_of_one(folder):
    paths = wordnet_paths(["poodle.n.01", "cat.n.01", "stone.n.01"], folder)
    assert paths == {
        "poodle.n.01": ("entity.n.01", "animal.n.01"),
        "cat.n.01": ("entity.n.01", "animal.n.01"),
        "stone.n.01": ("entity.n.01",),
    }


def test_imagenet_ids_and_labels_of_ones_own(folder):
    offset = (folder / "data.noun").read_text().index("03 n 01 cat") - 9
    assert wordnet_paths({"tom": f"n{offset:08d}", "Rex": "dog.n.1", "rock": "Stone.n.01"}, folder) == {
        "tom": ("entity.n.01", "animal.n.01"),
        "Rex": ("entity.n.01", "animal.n.01"),
        "rock": ("entity.n.01",),
    }


@pytest.mark.parametrize(
    ("synsets", "message"),
    [
        (["dog.n.02", "cat.n.01"], r"No synset 'dog\.n\.02' in WordNet 3\.0\. There are: dog\.n\.01"),
        (["dog", "cat.n.01"], r"There are: dog\.n\.01"),
        (["unicorn.n.01", "cat.n.01"], r"the form word\.n\.01"),
        (["n00000007", "cat.n.01"], "No synset 'n00000007'"),
        (["dog.n.01", "poodle.n.01"], r"'dog\.n\.01' lies above 'poodle\.n\.01'"),
        (["dog.n.01", "dog.n.1"], "or is the same"),
    ],
)
def test_what_is_no_leaf_of_wordnet_is_refused(folder, synsets, message):
    with pytest.raises(ValueError, match=message):
        wordnet_paths(synsets, folder)


def test_a_folder_without_wordnet_says_where_it_is_to_be_had(tmp_path):
    with pytest.raises(FileNotFoundError, match="wordnet-base"):
        wordnet_paths(["dog.n.01", "cat.n.01"], tmp_path)


@pytest.mark.skipif(
    not any((folder / "data.noun").is_file() for folder in WORDNET_FOLDERS), reason="needs WordNet"
)
def test_the_trees_that_come_along_are_wordnets():
    for name, synsets in (("cifar10", names.CIFAR10_SYNSETS), ("cifar100", names.CIFAR100_SYNSETS)):
        assert {k: tuple(v) for k, v in WORDNET[name].items()} == wordnet_paths(synsets)


def test_the_trees_that_come_along_have_every_class_once():
    assert list(WORDNET["cifar10"]) == list(names.CIFAR10_SYNSETS) == list(names.CIFAR10_LABELS)
    assert list(WORDNET["cifar100"]) == list(names.CIFAR100_SYNSETS) == list(names.CIFAR100_SUPERCLASSES)
    heights = class_heights(WORDNET["cifar100"])[1]
    labels = list(names.CIFAR100_SUPERCLASSES)
    apart = heights[labels.index("lion")]
    assert apart[labels.index("tiger")] < apart[labels.index("wolf")] < apart[labels.index("rose")]
    assert json.loads(pathlib.Path(names.__file__).with_name("wordnet.json").read_text()) == WORDNET
