"""Word vectors from files, and labels to vectors."""

import numpy as np
import pytest
from gensim.models import KeyedVectors

from pls_keras.thetas import label_vectors, load_vectors

WORDS = ["maple", "tree", "lawn", "Paris"]
MATRIX = np.array([[2.0, 0.0, 1.0], [0.0, 4.0, 1.0], [1.0, 1.0, 8.0], [0.5, 0.25, 0.0]], "float32")
VECTORS = dict(zip(WORDS, MATRIX, strict=True))


@pytest.fixture
def keyed_vectors():
    vectors = KeyedVectors(vector_size=3)
    vectors.add_vectors(WORDS, MATRIX)
    return vectors


def write_glove(vectors, path):
    lines = (f"{word} {' '.join(map(str, vector))}\n" for word, vector in VECTORS.items())
    path.write_text("".join(lines), encoding="utf-8")


def write_text(vectors, path):
    vectors.save_word2vec_format(path)


def write_binary(vectors, path):
    vectors.save_word2vec_format(path, binary=True)


def write_gensim(vectors, path):
    vectors.save(str(path))


@pytest.mark.parametrize(
    ("write", "suffix"),
    [(write_glove, ".txt"), (write_text, ".vec"), (write_binary, ".bin"), (write_gensim, ".kv")],
)
def test_vectors_load_from_every_kind_of_file(keyed_vectors, tmp_path, write, suffix):
    path = tmp_path / f"small.3d{suffix}"
    write(keyed_vectors, path)
    for source in (path, str(path)):
        vectors = load_vectors(source)
        assert vectors.index_to_key == WORDS
        np.testing.assert_array_equal(vectors.vectors, MATRIX)
        assert vectors.name == "small.3d"


def test_neither_a_file_nor_a_name_is_a_clear_error(monkeypatch):
    def no_network(name):
        raise OSError("no network")

    monkeypatch.setattr("gensim.downloader.load", no_network)
    with pytest.raises(FileNotFoundError, match=r"No file 'nowhere'.*no network.*path of a GloVe"):
        load_vectors("nowhere")


def test_a_name_goes_to_the_downloader(monkeypatch, keyed_vectors):
    monkeypatch.setattr("gensim.downloader.load", {"glove-wiki-gigaword-50": keyed_vectors}.__getitem__)
    assert load_vectors("glove-wiki-gigaword-50").name == "glove-wiki-gigaword-50"


@pytest.mark.parametrize("label", ["maple_tree", "maple tree", "Maple Tree", " maple__tree "])
def test_a_label_of_several_words_is_their_mean(label):
    expected = (MATRIX[0] + MATRIX[1]) / 2
    np.testing.assert_array_equal(label_vectors([label], VECTORS), [expected])


def test_a_word_is_taken_as_written_before_lower_case():
    vectors = {"Turkey": [1.0], "turkey": [2.0], "oak": [3.0]}
    assert label_vectors(["Turkey", "turkey", "OAK"], vectors).ravel().tolist() == [1.0, 2.0, 3.0]


def test_keyed_vectors_are_as_good_as_a_mapping(keyed_vectors):
    labels = ["tree", "maple_tree", "Paris"]
    received = label_vectors(labels, keyed_vectors)
    assert received.dtype == "float64"
    np.testing.assert_array_equal(received, label_vectors(labels, VECTORS))


@pytest.mark.parametrize("label", ["lawn_mower", "Lawn_Mower"])
def test_a_word_may_stand_in_for_another(label):
    received = label_vectors([label], VECTORS, replace={"mower": "tree"})
    np.testing.assert_array_equal(received, [(MATRIX[2] + MATRIX[1]) / 2])


def test_all_missing_words_are_named_once():
    labels = ["lawn_mower", "tree", "Oak_tree", "oak"]
    with pytest.raises(
        ValueError, match=r"No vector for: mower, oak\. .*replace=\{'mower': 'another word'"
    ):
        label_vectors(labels, VECTORS)


def test_a_missing_stand_in_is_named():
    with pytest.raises(ValueError, match="No vector for: grass"):
        label_vectors(["mower"], VECTORS, replace={"mower": "grass"})


def test_an_array_is_taken_as_label_vectors():
    np.testing.assert_array_equal(label_vectors(["a", "b", "c", "d"], MATRIX), MATRIX)
    np.testing.assert_array_equal(label_vectors(["a", "b"], [[1, 2], [3, 4]]), [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("vectors", [MATRIX, MATRIX[0]])
def test_an_array_of_another_length_is_refused(vectors):
    with pytest.raises(ValueError, match=r"vectors must have shape \(2, dimension\).*Received: shape"):
        label_vectors(["a", "b"], vectors)


@pytest.mark.realdata
def test_glove_loads_and_knows_its_neighbours(data_root):
    vectors = load_vectors(data_root / "glove" / "glove.6B.50d.subset.txt")
    assert len(vectors) == 18_013
    assert vectors.vector_size == 50
    cat, dog, ship = label_vectors(["cat", "dog", "ship"], vectors)
    assert np.linalg.norm(cat - dog) < np.linalg.norm(cat - ship)


@pytest.mark.realdata
def test_the_words_that_the_subset_lacks_are_all_named(data_root):
    vectors = load_vectors(data_root / "glove" / "glove.6B.50d.subset.txt")
    with pytest.raises(ValueError, match="No vector for: disgust, mower, thankfulness"):
        label_vectors(["joy", "thankfulness", "disgust", "lawn_mower"], vectors)
