"""Theta and its builders against their definitions, dense and in parts."""

import copy
import json
import pathlib
import pickle
import tracemalloc

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pls_keras.thetas.theta
from pls_keras import (
    ClusterAccuracy,
    Theta,
    cluster_theta,
    confusion_theta,
    cooccurrence_theta,
    hierarchy_theta,
    semantic_theta,
    uniform_theta,
)
from pls_keras.data import labels as names
from pls_keras.thetas import load_vectors
from pls_keras.thetas.shipped import build_shipped_thetas

K = 6
LABELS = list("abcdef")
CLUSTERS = dict(zip(LABELS, "xxyyyx", strict=True))
POINTS = np.random.default_rng(0).normal(size=(K, 3))
TOGETHER = np.random.default_rng(1).integers(0, 2, size=(40, K))


def lopsided_matrix(classes=K):
    """Nothing symmetric: reading it by column gives other numbers."""
    matrix = np.arange(1.0, classes * classes + 1).reshape(classes, classes) ** 2
    np.fill_diagonal(matrix, 0.0)
    return matrix / matrix.sum(axis=1, keepdims=True)


# Name: (build, whether the builder can keep it in parts).
THETAS = {
    "lopsided": (lambda: Theta(lopsided_matrix(), LABELS, provenance={"expert": "E. Xpert"}), False),
    "uniform": (lambda: uniform_theta(LABELS), True),
    "uniform without the true class": (lambda: uniform_theta(LABELS, include_true=False), True),
    "clusters": (lambda: cluster_theta(CLUSTERS), True),
    "clusters with the true class": (lambda: cluster_theta(CLUSTERS, include_true=True), True),
    "semantic": (lambda: semantic_theta(LABELS, POINTS, power=2.5), False),
    "semantic, three nearest": (lambda: semantic_theta(LABELS, POINTS, top_k=3), True),
    "lopsided, two largest": (lambda: Theta(lopsided_matrix(), LABELS).top_k(2), True),
    "clusters, five largest": (lambda: cluster_theta(CLUSTERS).top_k(5), True),
    "together": (lambda: cooccurrence_theta(TOGETHER, LABELS), False),
}


IN_PARTS = [name for name, (_, in_parts) in THETAS.items() if in_parts]


@pytest.fixture(params=[*THETAS, *(f"{name}, in parts" for name in IN_PARTS)])
def theta(request, monkeypatch):
    name = request.param.removesuffix(", in parts")
    if name != request.param:
        monkeypatch.setattr(pls_keras.thetas.theta, "DENSE_LIMIT", 1)
    theta = THETAS[name][0]()
    assert theta.is_dense == (name == request.param)
    return theta


def matrix_from_parts(theta):
    """The structured form, entry by entry."""
    matrix = np.zeros(theta.shape)
    for t in range(theta.classes):
        for k in range(theta.classes):
            matrix[t, k] += theta.group_weight[t] * (theta.groups[k] == theta.groups[t])
        for k, value in zip(theta.indices[t], theta.values[t], strict=True):
            matrix[t, k] += value
    return matrix


def random_points(classes, seed):
    return np.random.default_rng(seed).normal(size=(classes, 4))


# Every theta


def test_rows_are_distributions(theta):
    matrix = np.asarray(theta)
    assert matrix.shape == theta.shape == (K, K)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("name", IN_PARTS)
def test_parts_equal_dense(name, monkeypatch):
    build = THETAS[name][0]
    dense = build()
    monkeypatch.setattr(pls_keras.thetas.theta, "DENSE_LIMIT", 1)
    parts = build()
    np.testing.assert_allclose(parts, dense, atol=1e-15)
    np.testing.assert_allclose(matrix_from_parts(parts), dense, atol=1e-15)
    np.testing.assert_allclose(parts.effective_classes(), dense.effective_classes(), rtol=1e-12)
    np.testing.assert_allclose(parts.top_k(1), dense.top_k(1), atol=1e-15)


def test_views_agree_on_orientation(theta):
    matrix = np.asarray(theta)
    ids = np.array([4, 0, 4])
    np.testing.assert_array_equal(theta.rows(ids), matrix[ids])
    np.testing.assert_array_equal(theta.to_frame().loc["c"], matrix[2])
    np.testing.assert_array_equal(theta.row("c"), matrix[2])
    assert list(theta.row("c").index) == list(theta.to_frame().columns) == LABELS


def test_neighbours_are_the_largest_entries_of_the_row(theta):
    row = theta.row("e")
    expected = sorted((share for share in row if share > 0), reverse=True)[:4]
    neighbours = theta.neighbours("e", 4)
    assert neighbours.tolist() == expected
    np.testing.assert_array_equal(row[neighbours.index], neighbours)


def test_effective_classes_are_exp_of_the_entropy(theta):
    for row, effective in zip(np.asarray(theta), theta.effective_classes(), strict=True):
        entropy = -sum(share * np.log(share) for share in row if share > 0)
        assert effective == pytest.approx(np.exp(entropy), rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, K])
def test_top_k_keeps_the_largest_entries(theta, k):
    for row, kept in zip(np.asarray(theta), np.asarray(theta.top_k(k)), strict=True):
        largest = np.sort(row)[-k:]
        np.testing.assert_allclose(np.sort(kept)[-k:], largest / largest.sum(), atol=1e-15)
        assert (kept > 0).sum() == (largest > 0).sum()
        assert row[kept > 0].min() >= row[kept == 0].max(initial=0.0)
    assert theta.top_k(k).provenance == {**theta.provenance, "top_k": k}


def test_top_k_in_chunks_is_top_k(theta, monkeypatch):
    whole = np.asarray(theta.top_k(2))
    monkeypatch.setattr(pls_keras.thetas.theta, "CHUNK_ENTRIES", 2 * K)
    np.testing.assert_array_equal(theta.top_k(2), whole)


def through_a_file(theta, folder):
    theta.save(folder / "theta.json")
    return Theta.load(folder / "theta.json")


def through_keras(theta, folder):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(theta)))
    return keras.saving.deserialize_keras_object(config)


@pytest.mark.parametrize(
    "copied",
    [
        through_a_file,
        through_keras,
        lambda theta, folder: pickle.loads(pickle.dumps(theta)),
        lambda theta, folder: copy.deepcopy(theta),
    ],
    ids=["file", "keras", "pickle", "deepcopy"],
)
def test_a_copy_is_exact(theta, copied, tmp_path):
    twin = copied(theta, tmp_path)
    assert twin.is_dense == theta.is_dense
    assert twin.labels == theta.labels
    assert twin.provenance == theta.provenance
    for array in ("matrix", "groups", "group_weight", "indices", "values"):
        expected, received = getattr(theta, array), getattr(twin, array)
        if expected is None:
            assert received is None
        else:
            assert received.dtype == expected.dtype
            np.testing.assert_array_equal(received, expected)


def test_a_theta_is_immutable(theta):
    with pytest.raises(AttributeError, match="immutable"):
        theta.labels = ("x",)
    with pytest.raises(AttributeError, match="immutable"):
        del theta.labels
    with pytest.raises(TypeError):
        theta.provenance["builder"] = "mine"
    for array in (theta.matrix, theta.groups, theta.group_weight, theta.indices, theta.values):
        if array is not None:
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
    rows = theta.rows([0])
    rows[:] = 7  # a copy
    assert np.asarray(theta).max() <= 1


def test_a_theta_is_an_array(theta):
    assert np.asarray(theta, dtype="float32").dtype == "float32"
    np.array(theta, copy=True)[:] = 7
    assert np.asarray(theta).max() <= 1
    if not theta.is_dense:
        with pytest.raises(ValueError, match="copy=False"):
            np.array(theta, copy=False)


def test_repr_and_len(theta):
    assert len(theta) == theta.classes == K
    effective = np.exp(np.mean(np.log(theta.effective_classes())))
    assert repr(theta).startswith(f"<Theta of {K} classes by ")
    assert repr(theta).endswith(f", {effective:.1f} effective>")


# The constructor


def test_labels_default_to_numbers_and_to_the_index_of_a_frame():
    assert Theta(lopsided_matrix()).labels == tuple("012345")
    frame = pd.DataFrame(lopsided_matrix(), index=LABELS, columns=LABELS)
    assert Theta(frame).labels == tuple(LABELS)
    pd.testing.assert_frame_equal(Theta(frame).to_frame(), frame)


def test_a_theta_does_not_change_with_the_matrix_it_was_given():
    matrix = lopsided_matrix()
    theta = Theta(matrix)
    matrix[:] = 7.0
    np.testing.assert_array_equal(theta, lopsided_matrix())


def test_provenance_is_kept_as_a_file_would_give_it():
    theta = Theta(np.eye(2), provenance={"experts": ("A", "B"), "year": 2020})
    assert theta.provenance == {"experts": ["A", "B"], "year": 2020}


@pytest.mark.parametrize(
    ("matrix", "labels", "message"),
    [
        ([0.5, 0.5], None, r"matrix must have shape \(classes, classes\).*Received: shape \(2,\)"),
        (np.ones((2, 3)) / 3, None, r"matrix must have shape.*Received: shape \(2, 3\)"),
        ([[1.0]], None, r"at least 2 classes. Received: shape \(1, 1\)"),
        ([[0, 1], [1.5, -0.5]], "ab", r"none negative. Received: -0.5 in row 'b', column 'b'"),
        ([[0, 1], [np.nan, 1]], "ab", r"finite.*Received: nan in row 'b', column 'a'"),
        ([[0, np.inf], [0, 1]], "ab", r"finite.*Received: inf in row 'a', column 'b'"),
        ([[0, 1], [0.5, 0.6]], "ab", r"'b' sums to 1.1.*matrix / matrix.sum\(axis=1, keepdims=True\)"),
        ([[0, 1], [0.5, 0.49999]], "ab", r"'b' sums to 0.99999"),
        (np.eye(3), "ab", "labels must name 3 classes. Received: 2 labels"),
        (np.eye(3), "aba", r"labels must differ from each other. Received twice: \['a'\]"),
        (
            pd.DataFrame(np.eye(2), index=["a", "b"], columns=["b", "a"]),
            None,
            r"same labels as index and columns.*index \['a', 'b'\], columns \['b', 'a'\]",
        ),
    ],
)
def test_a_wrong_matrix_is_refused(matrix, labels, message):
    with pytest.raises(ValueError, match=message):
        Theta(matrix, labels and list(labels))


def test_rows_may_miss_one_by_rounding():
    Theta([[0.0, 1.0 + 9e-7], [1.0 - 9e-7, 0.0]])


def test_provenance_that_no_file_can_hold_is_refused():
    with pytest.raises(ValueError, match=r"provenance must hold plain.*array"):
        Theta(np.eye(2), provenance={"weights": np.ones(2)})


def test_a_damaged_file_of_parts_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pls_keras.thetas.theta, "DENSE_LIMIT", 1)
    uniform_theta(list("abc")).save(tmp_path / "theta.json")
    fields = json.loads((tmp_path / "theta.json").read_text())
    fields["group_weight"][1] = 0.5
    (tmp_path / "theta.json").write_text(json.dumps(fields))
    with pytest.raises(ValueError, match=r"'b' sums to 1\.5"):
        Theta.load(tmp_path / "theta.json")


@pytest.mark.parametrize("k", [0, K + 1])
def test_top_k_out_of_range_is_refused(k):
    with pytest.raises(ValueError, match=rf"k must lie in \[1, {K}\].*Received: {k}"):
        uniform_theta(K).top_k(k)


def test_an_unknown_label_is_refused():
    with pytest.raises(KeyError, match="No label 'z' among"):
        uniform_theta(list("abc")).row("z")
    with pytest.raises(KeyError, match="No label 'z' among"):
        uniform_theta(list("abc")).neighbours("z")


# Uniform and clusters


def test_uniform_theta_has_the_numbers_of_figure_1():
    theta = uniform_theta(names.GOEMOTIONS_LABELS)
    assert theta.classes == 27
    target = 0.9 * np.eye(27) + 0.1 * np.asarray(theta)
    joy = theta.labels.index("joy")
    assert target[joy, joy].round(4) == 0.9037
    assert set(np.delete(target[joy], joy).round(4)) == {0.0037}


def test_uniform_theta_without_the_true_class():
    expected = (1 - np.eye(5)) / 4
    np.testing.assert_array_equal(uniform_theta(5, include_true=False), expected)
    assert uniform_theta(5).labels == tuple("01234")


def test_cluster_theta_is_uniform_on_each_cluster(recwarn):
    share = {True: {"x": 1 / 3, "y": 1 / 3}, False: {"x": 1 / 2, "y": 1 / 2}}
    for include_true in (False, True):
        theta = cluster_theta(CLUSTERS, include_true).to_frame()
        for true in LABELS:
            for other in LABELS:
                together = CLUSTERS[true] == CLUSTERS[other] and (include_true or true != other)
                expected = share[include_true][CLUSTERS[true]] if together else 0.0
                assert theta.loc[true, other] == pytest.approx(expected)
    assert not recwarn


@pytest.mark.parametrize("build", [lambda x: uniform_theta(4, x), lambda x: cluster_theta(CLUSTERS, x)])
def test_include_true_is_no_list_of_labels(build):
    with pytest.raises(ValueError, match=r"include_true must be True or False\. Received: \['b', 'a'\]"):
        build(["b", "a"])


def test_cluster_theta_of_one_cluster_is_uniform_theta():
    for include_true in (False, True):
        clusters = dict.fromkeys(LABELS, "all")
        expected = uniform_theta(LABELS, include_true)
        np.testing.assert_array_equal(cluster_theta(clusters, include_true), expected)


def test_a_label_alone_in_its_cluster_keeps_its_mass_and_is_named():
    clusters = {"cat": "animal", "rock": "stone", "dog": "animal"}
    with pytest.warns(UserWarning, match=r"not smoothed: \['rock'\]"):
        theta = cluster_theta(clusters)
    np.testing.assert_array_equal(theta, [[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    assert theta.provenance["clusters"] == clusters


@pytest.mark.parametrize(
    "build",
    [
        lambda: uniform_theta(0),
        lambda: uniform_theta(1),
        lambda: uniform_theta([]),
        lambda: cluster_theta({}),
    ],
)
def test_a_builder_refuses_fewer_than_two_classes(build):
    with pytest.raises(ValueError, match=r"at least 2 classes\. Received: "):
        build()


def test_fewer_labels_than_a_matrix_has_rows_are_counted():
    with pytest.raises(ValueError, match=r"must name 3 classes\. Received: 1 label,"):
        Theta(np.eye(3), ["a"])


# Name: a call with labels that cannot be.
WITH_LABELS = {
    "Theta": lambda labels: Theta(np.eye(2), labels),
    "select": lambda labels: uniform_theta(2).select(labels),
    "uniform": uniform_theta,
    "semantic": lambda labels: semantic_theta(labels, {"a": [0.0], "b": [1.0], "None": [2.0]}),
    "together": lambda labels: cooccurrence_theta([[1, 1]], labels),
    "confusion": lambda labels: confusion_theta([0, 1], [1, 0], labels),
    "hierarchy": lambda labels: hierarchy_theta({"a": "x", "b": "x"}, labels),
}


@pytest.mark.parametrize("build", WITH_LABELS.values(), ids=WITH_LABELS)
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"a", "b"}, "labels must be a list, in the order of the classes. Received: {'"),
        ("ab", "must be a list.*'ab'"),
        (b"ab", "must be a list"),
        ({"a": 0, "b": 1}, "must be a list"),
        ([["a"], ["b"]], "text or whole numbers"),
        (np.array([["a", "b"]]), "must be a list"),
        (2.0, r"must be a list.*Received: 2\.0"),
        (["a", None], r"none empty or missing\. Received: \[None\]"),
        (["a", float("nan")], "none empty or missing"),
        ([b"a", b"b"], r"text or whole numbers.*\[b'a', b'b'\]"),
        (["a", " "], r"none empty or missing\. Received: \[' '\]"),
        (["a", "a"], r"Received twice: \['a'\]"),
        (["a"], r"2 classes\. Received: 1 label, \['a'\]"),
    ],
)
def test_what_are_no_labels_is_refused_wherever_labels_are_given(build, labels, said):
    with pytest.raises(ValueError, match=said):
        build(labels)


@pytest.mark.parametrize("labels", [["a", "b"], ("a", "b"), np.array(["a", "b"]), pd.Series(["a", "b"])])
def test_labels_may_be_any_list(labels):
    assert uniform_theta(labels).labels == uniform_theta(iter(labels)).labels == ("a", "b")


@pytest.mark.parametrize("build", [cluster_theta, hierarchy_theta, ClusterAccuracy])
@pytest.mark.parametrize(
    ("clusters", "said"),
    [
        ({2: "x", 0: "x", 1: "y", 3: "y"}, r"must be 0, 1, …, in this order.*\[2, 0, 1, 3\]"),
        ({"1": "x", "0": "x", "2": "y"}, "in this order"),  # as a file of JSON has them
        ({1: "x", 2: "x"}, "in this order"),
        ({"a": "x", "b": None}, r"none empty or missing\. Received: \[None\]|Received: None"),
        ({"a": "x", "b": np.nan}, r"Received: (\[nan\]|nan)"),
        ({"a": "x", "b": ""}, r"none empty or missing\. Received: \[''\]"),
        ({"a": "x", "b": {"x", "y"}}, "Received"),
        (pd.Series(["x", "y"], index=["a", "a"]), r"Received twice: \['a'\]"),
        (pd.DataFrame(np.eye(2)), "Received"),
        ("ab", "Received: 'ab'"),
        (None, "Received: None"),
        ({"a", "b"}, "Received: {'"),
        (uniform_theta(2), "Received: <Theta of 2"),
    ],
)
def test_what_are_no_clusters_is_refused(build, clusters, said):
    with pytest.raises(ValueError, match=said):
        build(clusters)


@pytest.mark.parametrize("clusters", [["x", "x"], [["a", "b"]], {"x": ["a", "b"]}, {"a": 0.0, "b": 0.0}])
def test_cluster_theta_wants_a_mapping_to_names(clusters):
    with pytest.raises(ValueError, match=r"must be a mapping|text or whole numbers|at least 2"):
        cluster_theta(clusters)


def test_a_series_is_a_mapping_from_label_to_cluster():
    for name in (list("xxyyyx"), [0, 0, 1, 1, 1, 0]):
        assert cluster_theta(pd.Series(name, index=LABELS)) == cluster_theta(CLUSTERS)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: semantic_theta(LABELS, POINTS, power="2"), "power must be a finite number.*'2'"),
        (lambda: uniform_theta(2).sharpen("2"), "power must be a finite number.*'2'"),
        (lambda: hierarchy_theta(CLUSTERS, beta=None), "beta must be a finite number.*None"),
        (lambda: semantic_theta(LABELS, POINTS, top_k=1.5), r"whole number\. Received: 1\.5"),
        (lambda: uniform_theta(2).top_k(1.5), r"whole number\. Received: 1\.5"),
        (lambda: uniform_theta(2).rows([-1]), r"class ids in \[0, 2\)\. Received: array\(\[-1\]\)"),
        (lambda: uniform_theta(2).rows([2]), "class ids"),
        (lambda: uniform_theta(2).rows([0.0]), "class ids"),
        (lambda: uniform_theta(2).rows(["0"]), r"theta\.row\(label\)"),
        (lambda: uniform_theta(2).rows(1), "class ids"),
    ],
)
def test_an_option_out_of_range_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_no_ids_have_no_rows():
    assert uniform_theta(3).rows([]).shape == (0, 3)


def test_the_names_of_a_frame_are_not_passed_over():
    frame = pd.DataFrame(lopsided_matrix(), index=LABELS, columns=LABELS)
    together = pd.DataFrame(TOGETHER, columns=LABELS)
    for build in (lambda labels: Theta(frame, labels), lambda labels: cooccurrence_theta(together, labels)):
        assert build(LABELS).labels == tuple(LABELS)
        with pytest.raises(ValueError, match=r"labels must be those of (matrix|indicator).*to_numpy\(\)"):
            build(LABELS[::-1])
    assert Theta(pd.DataFrame(lopsided_matrix()), LABELS) == Theta(frame)
    assert cooccurrence_theta(pd.DataFrame(TOGETHER), LABELS) == cooccurrence_theta(together, LABELS)
    assert Theta(Theta(frame)) == Theta(frame)


@pytest.mark.parametrize("matrix", ["cifar10-semls", pathlib.Path("theta.json"), None, ["cat", "dog"]])
def test_what_is_no_matrix_says_where_a_theta_is_had(matrix):
    with pytest.raises(ValueError, match=r"matrix must hold numbers.*Theta\.load\(name\)"):
        Theta(matrix)


@pytest.mark.filterwarnings("ignore:Alone in their clusters")
@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=9), st.booleans(), st.randoms())
def test_permuting_the_clusters_permutes_theta(clusters, include_true, random):
    order = list(range(len(clusters)))
    random.shuffle(order)
    labels = [f"label {i}" for i in range(len(clusters))]
    theta = cluster_theta(dict(zip(labels, clusters, strict=True)), include_true)
    permuted = cluster_theta({labels[i]: clusters[i] for i in order}, include_true)
    pd.testing.assert_frame_equal(permuted.to_frame(), theta.to_frame().iloc[order, order])


@pytest.mark.parametrize(
    ("clusters", "include_true"), [(1, True), (1, False), (10, False), (20_000, False), (20_000, True)]
)
def test_a_hundred_thousand_classes_take_little_memory(clusters, include_true):
    classes = 100_000
    cluster_of = {str(i): i % clusters for i in range(classes)}
    tracemalloc.start()
    if clusters == 1:
        theta = uniform_theta(classes, include_true)
    else:
        theta = cluster_theta(cluster_of, include_true)
    rows = theta.rows([3, 99_999])
    effective = theta.effective_classes()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    others = classes // clusters - (not include_true)
    np.testing.assert_allclose(effective, others, rtol=1e-9)
    assert rows[1, 99_999] == pytest.approx(include_true / others, abs=1e-15)
    assert rows[1, 99_999 - clusters] == 1 / others
    np.testing.assert_allclose(rows.sum(axis=1), 1.0)
    with pytest.raises(ValueError, match=r"100,000 classes.*theta.rows\(ids\)"):
        np.asarray(theta)


# Semantic


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 8), st.floats(0.1, 30.0), st.integers(0, 1000))
def test_semantic_theta_is_normalized_inverse_distance(classes, power, seed):
    points = random_points(classes, seed)
    expected = np.zeros((classes, classes))
    for t in range(classes):
        for k in range(classes):
            if k != t:
                expected[t, k] = 1 / np.sqrt(np.sum((points[t] - points[k]) ** 2)) ** power
        expected[t] /= expected[t].sum()
    theta = semantic_theta(range(classes), points, power=power)
    np.testing.assert_allclose(theta, expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("top_k", [None, 2])
@settings(deadline=None, max_examples=20)
@given(st.permutations(range(7)), st.integers(0, 1000))
def test_permuting_the_labels_permutes_semantic_theta(top_k, order, seed):
    vectors = dict(zip("abcdefg", random_points(7, seed), strict=True))
    theta = semantic_theta(list("abcdefg"), vectors, top_k=top_k)
    permuted = semantic_theta(["abcdefg"[i] for i in order], vectors, top_k=top_k)
    pd.testing.assert_frame_equal(permuted.to_frame(), theta.to_frame().iloc[order, order])


@settings(deadline=None, max_examples=20)
@given(
    hnp.arrays("float64", (5, 3), elements=st.integers(-3, 3), unique=False),
    st.floats(1e-150, 1e200),
    st.floats(0.01, 1e3),
)
def test_semantic_theta_does_not_change_with_scale_or_overflow(points, scale, power):
    points += np.arange(5)[:, None] * 10.0  # no two alike
    theta = semantic_theta(list("abcde"), points, power=power)
    np.testing.assert_allclose(np.asarray(theta).sum(axis=1), 1.0)
    np.testing.assert_allclose(semantic_theta(list("abcde"), scale * points, power=power), theta, atol=1e-9)


def test_a_large_power_leaves_the_nearest_label():
    theta = semantic_theta(list("abc"), np.array([[0.0], [1.0], [3.0]]), power=1e6)
    np.testing.assert_array_equal(theta, [[0, 1, 0], [1, 0, 0], [0, 1, 0]])


def test_top_k_of_semantic_theta_is_its_top_k():
    whole = semantic_theta(LABELS, POINTS, power=2.0).top_k(2)
    np.testing.assert_allclose(semantic_theta(LABELS, POINTS, power=2.0, top_k=2), whole, atol=1e-14)


def test_semantic_theta_of_many_classes_is_kept_in_parts():
    points = random_points(3000, 0)
    theta = semantic_theta(range(3000), points, top_k=4)
    assert theta.indices.shape == theta.values.shape == (3000, 4)
    distances = np.linalg.norm(points - points[1234], axis=1)
    distances[1234] = np.inf
    assert set(theta.neighbours("1234").index) == set(map(str, np.argsort(distances)[:4]))


def test_provenance_says_how_a_semantic_theta_was_built():
    vectors = {"cat": [0.0, 1.0], "lawn": [2.0, 3.0]}
    theta = semantic_theta(["cat", "mower"], vectors, power=np.float32(2), replace={"mower": "lawn"})
    assert theta.provenance == {
        "builder": "semantic_theta",
        "power": 2.0,
        "top_k": None,
        "vectors": "dict",
        "dimension": 2,
        "replace": {"mower": "lawn"},
    }


@pytest.mark.parametrize("power", [0.0, -1.0, np.nan, np.inf])
def test_a_power_that_is_not_positive_is_refused(power):
    with pytest.raises(ValueError, match=f"power must be a finite number above 0.*Received: {power}"):
        semantic_theta(LABELS, POINTS, power=power)


@pytest.mark.parametrize("top_k", [0, K])
def test_a_semantic_top_k_out_of_range_is_refused(top_k):
    with pytest.raises(ValueError, match=rf"top_k must lie in \[1, {K - 1}\].*Received: {top_k}"):
        semantic_theta(LABELS, POINTS, top_k=top_k)


def test_one_label_alone_is_refused():
    with pytest.raises(ValueError, match="labels must name at least 2 classes"):
        semantic_theta(["cat"], {"cat": [1.0]})


def test_too_many_classes_without_top_k_are_refused():
    with pytest.raises(ValueError, match=r"20,001 labels.*top_k"):
        semantic_theta(range(20_001), np.zeros((20_001, 1)))


@pytest.mark.parametrize("top_k", [None, 1, 20])
@pytest.mark.parametrize("seed", range(10))
def test_labels_with_the_same_vector_are_named(seed, top_k):
    # Large vectors near each other: distances by dot products would not come out as 0.
    points = np.random.default_rng(seed).normal(size=(60, 50)) + 100.0
    points[17] = points[3]
    with pytest.raises(ValueError, match=r"'(3' and '17|17' and '3)' have the same vector.*replace="):
        semantic_theta([str(i) for i in range(60)], points, top_k=top_k)


# Co-occurrence


@settings(deadline=None, max_examples=30)
@given(hnp.arrays("int64", st.tuples(st.integers(1, 12), st.just(4)), elements=st.integers(0, 1)))
def test_cooccurrence_theta_counts_pairs(indicator):
    counts = np.full((4, 4), 0.5)
    for sample in indicator:
        for t in range(4):
            for k in range(4):
                counts[t, k] += sample[t] and sample[k]
    np.fill_diagonal(counts, 0.0)
    expected = counts / counts.sum(axis=1, keepdims=True)
    for form in (np.asarray, scipy.sparse.csr_matrix, scipy.sparse.coo_array):
        theta = cooccurrence_theta(form(indicator), list("abcd"), pseudocount=0.5)
        np.testing.assert_allclose(theta, expected, atol=1e-15)


@pytest.mark.parametrize("as_ids", [True, False], ids=["ids", "probabilities"])
def test_confusion_theta_is_the_mean_mistake_of_each_true_class(as_ids):
    rng = np.random.default_rng(0)
    y_true, p = rng.integers(0, 4, 200), rng.dirichlet(np.ones(4) / 2, 200)
    y_pred = p.argmax(axis=1) if as_ids else p
    theta = np.asarray(confusion_theta(y_true, y_pred, list("abcd"), pseudocount=0.5))
    for true in range(4):
        counts = np.full(4, 0.5)
        for sample in np.flatnonzero(y_true == true):
            counts += np.arange(4) == y_pred[sample] if as_ids else y_pred[sample]
        counts[true] = 0.0
        np.testing.assert_allclose(theta[true], counts / counts.sum(), rtol=1e-12)


def test_confusion_theta_of_a_class_never_mistaken():
    with pytest.raises(ValueError, match=r"Never taken for another class: \['a', 'c'\]"):
        confusion_theta([0, 1], [0, 2], list("abc"), pseudocount=0.0)
    with pytest.warns(UserWarning, match=r"No samples of \['c'\]"):
        theta = confusion_theta([0, 1], [0, 2], list("abc"))
    np.testing.assert_allclose(theta.row("a"), [0.0, 0.5, 0.5])
    np.testing.assert_allclose(theta.row("c"), [0.5, 0.5, 0.0])


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [
        ([0, 3], [0, 1]),
        ([0, 1], [0, 1, 2]),
        ([0.5, 1.0], [0, 1]),
        ([0, 1], [0.5, 1.5]),
        ([0, np.nan], [0, 1]),
        (["a", "b"], [0, 1]),
        ([0, 1], ["a", "b"]),
        ([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], [0, 1]),  # the other way round
        ([[1, 0, 0], [0, 1, 0]], [[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]),
        ([0, 1], [[0.5, 0.5], [0.5, 0.5]]),
        ([0, 1], [[3.0, -1.0, 0.0], [0.1, 0.1, 0.8]]),
        ([[1, 0, 0]], [[0.2, 0.3, 0.5]]),
    ],
)
def test_confusion_theta_refuses_what_are_no_predictions(y_true, y_pred):
    with pytest.raises(ValueError, match=r"y_pred.*Received: y_true of shape|take their softmax"):
        confusion_theta(y_true, y_pred, list("abc"))


def test_confusion_theta_says_what_it_received_in_a_few_words():
    n = 100_000
    with pytest.raises(ValueError, match=r"need y - 1.*y_true of shape \(100000,\), 1 to 3, and") as caught:
        confusion_theta(np.arange(n) % 3 + 1, np.zeros(n, int), list("abc"))
    assert len(str(caught.value)) < 300
    with pytest.raises(ValueError, match=r"labels\.index\(y\).*y_true of shape \(2,\), \['a', 'c'\]"):
        confusion_theta(["a", "c"], [0, 2], list("abc"))
    with pytest.raises(ValueError, match=r"Of one-hot labels take y_true\.argmax.*shape \(2, 3\)"):
        confusion_theta(np.eye(3)[[0, 2]], [0, 2], list("abc"))


def test_confusion_theta_refuses_predictions_whose_columns_are_other_labels():
    p = pd.DataFrame(np.eye(3), columns=["b", "a", "c"])
    with pytest.raises(ValueError, match="labels must be those of y_pred"):
        confusion_theta([0, 1, 2], p, list("abc"))
    assert confusion_theta([1, 0, 2], p, list("bac")) == confusion_theta([1, 0, 2], np.eye(3), list("bac"))


def test_confusion_theta_takes_ids_in_a_column_and_in_any_dtype():
    expected = confusion_theta([0, 2, 1], [1, 2, 0], LABELS)
    column = np.array([[0.0], [2.0], [1.0]], "float32")
    assert confusion_theta(column, np.array([[1], [2], [0]], "uint8"), LABELS) == expected
    assert confusion_theta(column, np.eye(K)[[1, 2, 0]], LABELS) == expected


def test_cooccurrence_theta_is_read_by_row():
    # c is only ever given with a; a mostly with b.
    theta = cooccurrence_theta([[1, 1, 0]] * 3 + [[1, 0, 1]], ["a", "b", "c"])
    assert theta.row("a").to_dict() == {"a": 0.0, "b": 0.75, "c": 0.25}
    assert theta.row("c").to_dict() == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert theta.provenance == {"builder": "cooccurrence_theta", "samples": 4, "pseudocount": 0.0}


def test_a_label_never_given_with_another_is_named():
    indicator = [[1, 1, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match=r"Never given together.*\['c'\].*pseudocount"):
        cooccurrence_theta(indicator, ["a", "b", "c"])
    theta = cooccurrence_theta(indicator, ["a", "b", "c"], pseudocount=1.0)
    assert theta.row("c").to_dict() == {"a": 0.5, "b": 0.5, "c": 0.0}


@pytest.mark.parametrize(
    "indicator",
    [[[1, 2]], [[1, np.nan]], [[1, 1, 1]], [1, 0], [["1", "x"]], [[1, 0], [1]], np.ones((1, 2, 1))],
)
def test_a_wrong_indicator_is_refused(indicator):
    with pytest.raises(
        ValueError, match="indicator must hold 0 and 1 in a column for each of the 2 labels"
    ):
        cooccurrence_theta(indicator, ["a", "b"])


@pytest.mark.parametrize("pseudocount", [-1, np.inf, "1"])
def test_a_pseudocount_that_is_no_number_is_refused(pseudocount):
    with pytest.raises(ValueError, match=r"pseudocount must be a finite number of at least 0\. Received: "):
        cooccurrence_theta([[1, 1]], ["a", "b"], pseudocount=pseudocount)
    with pytest.raises(ValueError, match=r"pseudocount must be a finite number of at least 0\. Received: "):
        confusion_theta([0], [1], ["a", "b"], pseudocount=pseudocount)


# Files and shipped thetas


@pytest.mark.parametrize("name", Theta.shipped())
def test_a_shipped_theta_says_where_it_comes_from(name):
    theta = Theta.load(name)
    kind = name.rpartition("-")[2]
    builders = {"cls": "cluster_theta", "semls": "semantic_theta", "hierarchy": "hierarchy_theta"}
    assert theta.provenance["builder"] == builders[kind]
    if kind == "semls":
        assert theta.provenance["vectors"] == "glove.6B.100d"
        assert theta.provenance["dimension"] == 100
        assert theta.provenance["replace"] == {}  # every word has a vector of its own
    own = [label for label, share in zip(theta.labels, np.diag(theta), strict=True) if share]
    assert own == (["disgust"] if name == "goemotions-cls" else [])  # alone in its group


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("cifar10-semls", names.CIFAR10_LABELS),
        ("cifar10-cls", names.CIFAR10_LABELS),
        ("cifar100-semls", tuple(names.CIFAR100_SUPERCLASSES)),
        ("cifar100-cls", tuple(names.CIFAR100_SUPERCLASSES)),
        ("cifar10-hierarchy", names.CIFAR10_LABELS),
        ("cifar100-hierarchy", tuple(names.CIFAR100_SUPERCLASSES)),
        ("goemotions-hierarchy", names.GOEMOTIONS_LABELS),
        ("digits-semls", names.DIGIT_LABELS),
        ("digits-cls", names.DIGIT_LABELS),
        ("isear-semls", names.ISEAR_LABELS),
        ("tec-semls", names.TEC_LABELS),
        ("cbet-semls", names.CBET_LABELS),
        ("goemotions-semls", names.GOEMOTIONS_LABELS),
    ],
)
def test_a_shipped_theta_has_the_labels_of_its_data(name, labels):
    assert Theta.load(name).labels == labels


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(FileNotFoundError, match=r"'nope'.*cifar10-cls, .*tec-semls"):
        Theta.load("nope")


def test_a_path_means_that_file_and_no_other(tmp_path):
    uniform_theta(2).save(tmp_path / "theta.json")
    with pytest.raises(FileNotFoundError):
        Theta.load(tmp_path / "theta")
    assert Theta.load(str(tmp_path / "theta.json")).classes == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b"3", b'{"matrix": [[0, 1], [1, 0]]}', b'{"labels": ["a", "b"]}', b"\xff\xfe"],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, content):
    (tmp_path / "theta.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"theta\.json' is not a file that Theta\.save wrote") as error:
        Theta.load(tmp_path / "theta.json")
    assert "()" not in str(error.value)  # a function of Python's


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"matrix": [["a", "b"], ["c", "d"]]}, "matrix must hold numbers"),
        ({"matrix": [[0.0, 1.0], [1.0]]}, "matrix must hold numbers, as many in each row"),
        ({"matrix": [[0.0, 1.0], [2.0, 0.0]]}, "row 'b' sums to 2"),
        ({"groups": [0, 2_000_000_000]}, r"groups must lie in \[0, 2\).*2000000000"),
        ({"groups": [0, 10**30]}, "groups must hold whole numbers"),
        ({"groups": [0, 0.5]}, "groups must hold whole numbers"),
        ({"indices": [[0], [2]]}, r"indices must lie in \[0, 2\)"),
        ({"indices": [[-1], [0]]}, r"indices must lie in \[0, 2\).*-1"),
        ({"values": [[0.0]]}, "Shapes must be"),
        ({"group_weight": "half"}, "group_weight must hold numbers"),
    ],
)
def test_a_file_with_a_field_that_cannot_be_names_file_and_field(tmp_path, fields, said):
    parts = {"groups": [0, 0], "group_weight": [0.5, 0.5], "indices": [[0], [1]], "values": [[0.0], [0.0]]}
    content = {"labels": ["a", "b"], "provenance": {}, **({} if "matrix" in fields else parts), **fields}
    (tmp_path / "theta.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"theta\.json' is not a file that Theta\.save wrote: .*{said}"):
        Theta.load(tmp_path / "theta.json")


def test_two_hundred_thousand_brackets_are_refused(tmp_path):
    (tmp_path / "theta.json").write_text("[" * 200_000)
    with pytest.raises(ValueError, match=r"theta\.json' is not a file"):
        Theta.load(tmp_path / "theta.json")


def test_thetas_of_the_same_content_are_equal_and_hash_alike(tmp_path, monkeypatch):
    theta = semantic_theta(list("abcdef"), np.random.default_rng(0).normal(size=(6, 3)))
    theta.save(tmp_path / "theta.json")
    same = [Theta.load(tmp_path / "theta.json"), pickle.loads(pickle.dumps(theta)), Theta(theta.to_frame())]
    assert all(other == theta and hash(other) == hash(theta) for other in same)
    uniform = uniform_theta(list("abcdef"))
    others = [theta.sharpen(2), theta.select(list("fedcba")), theta.top_k(2), uniform, "theta"]
    assert not any(other == theta for other in others)
    assert len({theta, *same, *others}) == 6
    monkeypatch.setattr(pls_keras.thetas.theta, "DENSE_LIMIT", 5)
    parts = cluster_theta({"a": 0, "b": 0, "c": 1, "d": 1, "e": 1, "f": 0})
    whole = Theta(parts.to_frame())
    assert not parts.is_dense
    assert whole.is_dense
    assert parts == whole
    assert hash(parts) == hash(whole)
    assert parts != uniform_theta(list("abcdef"), include_true=False)


def test_a_label_that_is_none_brings_up_near_ones():
    with pytest.raises(KeyError, match=r"No label .mapel_tree. among the 100\. Near ones: maple_tree"):
        Theta.load("cifar100-cls").row("mapel_tree")


def test_a_saved_theta_is_readable(tmp_path):
    Theta([[0.0, 1.0], [0.25, 0.75]], ["säd], [", "b"]).save(tmp_path / "theta.json")
    text = (tmp_path / "theta.json").read_text(encoding="utf-8")
    assert '["säd], [", "b"]' in text
    assert "\n  [0.25, 0.75]]" in text


# The classes, and facts that need real data


def test_every_cluster_has_two_members_or_more():
    for clusters in (names.DIGIT_LOOKALIKES, names.CIFAR10_KINDS, names.CIFAR100_SUPERCLASSES):
        assert pd.Series(clusters).value_counts().min() >= 2
    assert pd.Series(names.CIFAR100_SUPERCLASSES).value_counts().tolist() == [5] * 20
    assert tuple(names.DIGIT_LOOKALIKES) == names.DIGIT_LABELS


@pytest.mark.realdata
@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar100_superclasses_are_the_official_ones(data_root, split):
    official = json.loads((data_root / "cifar100" / "info.json").read_text())["names"]
    assert official["label"] == list(names.CIFAR100_SUPERCLASSES)
    labels = np.load(data_root / "cifar100" / f"{split}-labels.npz")
    pairs = set(zip(labels["label"].tolist(), labels["coarse_label"].tolist(), strict=True))
    assert {
        official["label"][f]: official["coarse_label"][c] for f, c in pairs
    } == names.CIFAR100_SUPERCLASSES
    assert len(pairs) == 100


@pytest.mark.realdata
def test_labels_are_the_official_ones(data_root):
    info = json.loads((data_root / "cifar10" / "info.json").read_text())
    assert info["names"]["label"] == list(names.CIFAR10_LABELS)
    emotions = (data_root / "text" / "GoEmotions" / "emotions.txt").read_text().split()
    assert emotions == [*names.GOEMOTIONS_LABELS, "neutral"]


@pytest.fixture(scope="module")
def glove(data_root):
    vectors = load_vectors(data_root / "glove" / "glove.6B.100d.subset.txt")
    vectors.name = "glove.6B.100d"
    return vectors


@pytest.mark.realdata
def test_shipped_thetas_equal_a_rebuild(glove):
    rebuilt = build_shipped_thetas(glove)
    assert sorted(rebuilt) == Theta.shipped()
    for name, theta in rebuilt.items():
        shipped = Theta.load(name)
        assert shipped.labels == theta.labels
        assert shipped.provenance == theta.provenance
        np.testing.assert_allclose(shipped, theta, rtol=1e-12, err_msg=name)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("power", "mean", "exp_of_mean_entropy"),
    [(1, 98.1, 98.1), (8, 51.0, 38.2)],
)
def test_power_sharpens_the_theta_of_cifar100(glove, power, mean, exp_of_mean_entropy):
    labels = list(names.CIFAR100_SUPERCLASSES)
    theta = semantic_theta(labels, glove, power=power)
    effective = theta.effective_classes()
    assert effective.mean() == pytest.approx(mean, abs=0.05)
    assert np.exp(np.log(effective).mean()) == pytest.approx(exp_of_mean_entropy, abs=0.05)


@pytest.mark.realdata
def test_semantic_theta_of_cifar100_is_close_to_uniform(glove):
    theta = semantic_theta(list(names.CIFAR100_SUPERCLASSES), glove)
    difference = np.asarray(theta) - np.asarray(uniform_theta(100, include_true=False))
    assert np.abs(difference).sum(axis=1).mean() / 2 == pytest.approx(0.047, abs=0.001)
