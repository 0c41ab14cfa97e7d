"""Word vectors from files, and labels to vectors."""

import gc
import gzip
import pathlib
import pickle
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from gensim.models import KeyedVectors

from pls_keras import semantic_theta
from pls_keras.thetas import label_vectors, load_vectors
from pls_keras.thetas.vector_files import fetch_vectors

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


def compressed(write):
    def write_compressed(vectors, path):
        plain = path.with_suffix("")
        write(vectors, plain)
        path.write_bytes(gzip.compress(plain.read_bytes()))

    return write_compressed


def with_sign(write):
    """The mark that some editors put before the first byte."""

    def write_with_sign(vectors, path):
        write(vectors, path)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    return write_with_sign


def lines_after_vectors(write):
    """As word2vec's own program writes: a line's end after each vector."""

    def write_lines(vectors, path):
        rows = (f"{word} ".encode() + vector.tobytes() + b"\n" for word, vector in VECTORS.items())
        path.write_bytes(b"4 3\n" + b"".join(rows))

    return write_lines


def zipped(write, suffix):
    def write_zipped(vectors, path):
        plain = path.with_suffix(suffix)
        write(vectors, plain)
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(plain, plain.name)

    return write_zipped


@pytest.mark.parametrize(
    ("write", "suffix"),
    [
        (compressed(write_glove), ".txt.gz"),
        (compressed(write_text), ".txt.gz"),
        (compressed(write_binary), ".bin.gz"),
        (zipped(write_glove, ".txt"), ".zip"),
        (zipped(write_binary, ".bin"), ".zip"),
    ],
)
def test_compressed_vectors_are_those_of_the_file_within(keyed_vectors, tmp_path, write, suffix):
    path = tmp_path / f"small.3d{suffix}"
    write(keyed_vectors, path)
    vectors = load_vectors(path)
    assert vectors.index_to_key == WORDS
    np.testing.assert_array_equal(vectors.vectors, MATRIX)
    assert vectors.name == "small.3d"


def test_one_of_several_files_in_an_archive_is_named(tmp_path):
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("glove.1d.txt", "tree 1.5\n")
        archive.writestr("glove.2d.txt", "tree 1 2\n")
    vectors = load_vectors(path / "glove.2d.txt")
    assert vectors["tree"].tolist() == [1, 2]
    assert vectors.name == "glove.2d"
    with pytest.raises(ValueError, match=r"holds glove\.1d\.txt, glove\.2d\.txt\. Name one of them"):
        load_vectors(path)


@pytest.mark.parametrize(
    "beside", ["__MACOSX/._glove.txt", ".DS_Store", "README.txt", "LICENSE", "folder/"]
)
def test_what_lies_beside_the_vectors_in_an_archive_is_passed_over(tmp_path, beside):
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.writestr(beside, "Mac OS X\n")
        archive.writestr("glove.txt", "tree 1 2\n")
    assert load_vectors(tmp_path / "glove.zip")["tree"].tolist() == [1, 2]


def test_words_may_have_spaces_and_come_twice(tmp_path):
    path = tmp_path / "glove.840B.txt"
    path.write_text("tree 1 2 3\n. . . 4 5 6\nat name@domain.com 7 8 9\ntree 0 0 0\n", "utf-8")
    vectors = load_vectors(path)
    assert vectors.index_to_key == ["tree", ". . .", "at name@domain.com"]
    assert vectors[". . ."].tolist() == [4, 5, 6]
    assert vectors["tree"].tolist() == [1, 2, 3]


def test_words_that_are_no_utf8_are_latin_1_and_counted(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("tree 1 2\ncafé 3 4\ncafè 5 6\n".encode("latin-1"))
    with pytest.warns(UserWarning, match=r"2 of the 3 words of .*latin\.txt are not in UTF-8.*'café'"):
        vectors = load_vectors(path)
    assert vectors.index_to_key == ["tree", "café", "cafè"]
    assert vectors["cafè"].tolist() == [5, 6]


def test_a_file_is_closed(tmp_path, recwarn):
    (tmp_path / "v.txt").write_text("tree 1 2\n")
    load_vectors(tmp_path / "v.txt")
    gc.collect()
    assert not [str(w.message) for w in recwarn if w.category is ResourceWarning]


BINARY = b"".join(f"{word} ".encode() + vector.tobytes() for word, vector in VECTORS.items())


NO_VECTORS = [
    ("page.txt", b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n", "is a web page"),
    ("empty.txt", b"", "is empty"),
    ("prose.txt", b"It was a dark night\nand it rained\n", "no word vectors .it begins with 'It was"),
    ("picture.txt", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "has no word vectors"),
    (
        "cut.txt",
        b"tree 1 2 3\noak 4 5 6\nmaple 7",
        "in line 3 2 parts, 'maple 7', and not a word and then 3 numbers",
    ),
    ("header.txt", b"5 3\ntree 1 2 3\noak 4 5 6\n", "has 5 words .*, and has 2: its first"),
    ("wide.txt", b"2 4\ntree 1 2 3\noak 4 5 6\n", "not a word and then 4 numbers"),
    ("narrow.txt", b"2 2\ntree 1. 2 3\noak 4. 5 6\n", "and then 2 numbers"),
    ("long.txt", b"tree 1 2 3\noak 4 5 6 7\nfir 7 8 9\n", "in line 2 5 parts"),
    ("few.bin", b"3 3\n" + BINARY, "has 3 words of 3 numbers, and has more"),
    ("narrow.bin", b"4 2\n" + BINARY, "has 4 words of 2 numbers"),
    ("many.bin", b"5 3\n" + BINARY, "damaged or only a part"),
    ("wide.bin", b"4 4\n" + BINARY, "damaged or only a part"),
    ("page.htm", b"\n<html>\n<body>not found\n", "is a web page"),
    ("lfs.txt", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ("utf16.txt", "tree 1 2\n".encode("utf-16"), "is text in UTF-16"),
    ("kv.txt", pickle.dumps(VECTORS), "only as a file named .kv"),
    ("empty.zip", b"PK\x05\x06" + bytes(18), "is an archive that holds nothing"),
    ("cut.txt.gz", gzip.compress(b"tree 1 2 3\n" * 1000, mtime=0)[:40], "damaged or only a part"),
    ("cut.bin", b"5 3\ntree \x00\x00", "damaged or only a part"),
    ("page.bin", b"<!DOCTYPE html>\n<html>", "is a web page"),
    ("bad.zip", b"PK\x03\x04 and then nothing", "damaged or only a part"),
    ("bad.kv", b"not a pickle", "no file of gensim's"),
]


@pytest.mark.parametrize(("name", "content", "said"), NO_VECTORS, ids=[name for name, *_ in NO_VECTORS])
def test_what_holds_no_vectors_says_what_it_is_and_what_is_wanted(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said) as error:
        load_vectors(path)
    assert name in str(error.value)
    assert str(error.value).endswith("KeyedVectors.save wrote (.kv).")
    assert not re.search(r"begins with.*(where|not a word)", str(error.value))


@pytest.mark.parametrize(
    ("write", "suffix"),
    [
        (write_glove, ".txt"),
        (with_sign(write_glove), ".txt"),
        (write_text, ".vec"),
        (with_sign(write_text), ".txt"),
        (write_text, ".bin"),
        (write_binary, ".bin"),
        (write_binary, ".txt"),
        (lines_after_vectors(write_binary), ".bin"),
        (write_gensim, ".kv"),
    ],
)
def test_vectors_load_from_every_kind_of_file(keyed_vectors, tmp_path, write, suffix):
    path = tmp_path / f"small.3d{suffix}"
    write(keyed_vectors, path)
    for source in (path, str(path)):
        vectors = load_vectors(source)
        assert vectors.index_to_key == WORDS
        np.testing.assert_array_equal(vectors.vectors, MATRIX)
        assert vectors.name == "small.3d"


@pytest.mark.parametrize("source", ["", "."])
def test_a_folder_is_said_to_be_one(source):
    with pytest.raises(ValueError, match="is a folder"):
        load_vectors(source)


def test_neither_a_file_nor_a_name_is_a_clear_error(monkeypatch):
    def no_network(name):
        raise OSError("no network")

    monkeypatch.setattr("gensim.downloader.load", no_network)
    with pytest.raises(FileNotFoundError, match=r"No file 'nowhere'.*no network.*path of a GloVe"):
        load_vectors("nowhere")


def test_a_name_goes_to_the_downloader(monkeypatch, keyed_vectors):
    monkeypatch.setattr("gensim.downloader.load", {"glove-wiki-gigaword-50": keyed_vectors}.__getitem__)
    assert load_vectors("glove-wiki-gigaword-50").name == "glove-wiki-gigaword-50"


def test_what_is_fetched_is_a_name_and_not_a_file(monkeypatch, tmp_path):
    fetched = []
    monkeypatch.setattr("gensim.downloader.load", lambda name, **kwargs: fetched.append((name, kwargs)))
    (tmp_path / "v.txt").write_text("")
    with zipfile.ZipFile(tmp_path / "v.zip", "w") as archive:
        archive.writestr("v.txt", "")
    for source in (tmp_path / "v.txt", f"{tmp_path}/v.zip/v.txt", "glove-wiki-gigaword-50"):
        fetch_vectors(source)
    assert fetched == [("glove-wiki-gigaword-50", {"return_path": True})]


@pytest.mark.parametrize(
    "label",
    [
        *("maple_tree", "maple tree", "Maple Tree", " maple__tree ", "maple-tree"),
        *("MapleTree", "maple/tree", "Maple-Tree", "mapleTree", "maple / tree", "MAPLETree"),
        *("maple, tree", "maple (tree)", "maple.tree", "maple+tree", "maple:tree", "maple; tree"),
        *(
            "maple|tree",
            "maple\u2013tree",
            "maple\u2014tree",
            "maple\u2010tree",
            "maple - tree",
            "[maple] tree.",
        ),
    ],
)
def test_a_label_of_several_words_is_their_mean(label):
    expected = (MATRIX[0] + MATRIX[1]) / 2
    np.testing.assert_array_equal(label_vectors([label], VECTORS), [expected])


def test_a_word_is_taken_as_written_before_lower_case():
    vectors = {"Turkey": [1.0], "turkey": [2.0], "oak": [3.0]}
    assert label_vectors(["Turkey", "turkey", "OAK"], vectors).ravel().tolist() == [1.0, 2.0, 3.0]


def test_a_whole_label_comes_before_its_parts():
    vectors = {
        "t-shirt": [1.0],
        "t": [2.0],
        "shirt": [3.0],
        "red": [5.0],
        "iphone": [7.0],
        "ice_cream": [9.0],
    }
    labels = ["T-shirt", "red_t-shirt", "iPhone", "T-red", "ice_cream"]
    assert label_vectors(labels, vectors).ravel().tolist() == [1.0, 3.0, 7.0, 3.5, 9.0]
    assert label_vectors(["T-Shirt"], vectors, replace={"t-shirt": "red"}).tolist() == [[5.0]]


@pytest.mark.parametrize("label", ["new_york", "new york", "New_York", "New York"])
@pytest.mark.parametrize("word", ["new york", "new_york"])
def test_a_word_of_two_is_found_with_a_space_and_with_an_underscore(label, word):
    vectors = {word: [1.0], "new": [2.0], "york": [3.0]}
    assert label_vectors([label], vectors).tolist() == [[1.0]]


def test_marks_are_no_words_but_may_belong_to_one():
    vectors = {"u.s.": [1.0], "c": [2.0], "tree": [3.0]}
    assert label_vectors(["U.S. (tree)"], vectors).tolist() == [[2.0]]
    with pytest.raises(ValueError, match=r"No vector for: c\+\+"):
        label_vectors(["C++"], vectors)


@pytest.mark.parametrize(
    ("labels", "vectors", "replace", "said"),
    [
        (["cat", "dog"], "glove.txt", None, r"'glove\.txt'.*load_vectors\(path\)"),
        (["glove", "txt"], "glove.txt", None, r"load_vectors\(path\)"),
        (["cat", "dog"], pathlib.Path("glove.txt"), None, r"load_vectors\(path\)"),
        (["tree", "maple"], None, None, "Received: None"),
        (["tree", "maple"], {"tree", "maple"}, None, "Received: {'"),
        (["tree", "maple"], {"tree": [1.0], "maple": [1.0, 2.0]}, None, "as many numbers for each word"),
        (["tree", "maple"], {"tree": "oak", "maple": "oak"}, None, "as many numbers for each word"),
        (["maple_tree", "tree"], {"tree": [1.0], "maple": [1.0, 2.0]}, None, "as many numbers"),
        (["tree", "maple"], [["a"], ["b"]], None, r"vectors must have shape \(2, dimension\)"),
        (["tree", "maple"], pd.DataFrame(MATRIX[:2], ["tree", "oak"]), None, "No vector for: maple"),
        ([1, "tree"], VECTORS, None, "No vector for: 1"),
        (["_", "tree", " - "], VECTORS, None, r"Labels must hold words\. Received: \['_', ' - '\]"),
        (["tree", "maple"], VECTORS, {"maplee": "tree"}, r"for no label: \['maplee'\]"),
        ("tree", VECTORS, None, "labels must be a list"),
    ],
)
def test_what_are_no_word_vectors_is_refused(labels, vectors, replace, said):
    with pytest.raises(ValueError, match=said):
        label_vectors(labels, vectors, replace=replace)


def test_a_frame_has_a_row_a_word():
    frame = pd.DataFrame(MATRIX, index=WORDS)
    np.testing.assert_array_equal(label_vectors(["tree", "maple"], frame), MATRIX[[1, 0]])


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_labels_whose_vector_is_not_finite_are_named(strange):
    points = np.array([[1.0, 2.0], [strange, 1.0], [0.5, 0.5]])
    with pytest.raises(ValueError, match=r"Vectors must be finite\. Received NaN or infinity for: oak$"):
        semantic_theta(["maple", "oak", "tree"], points)


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
        ValueError,
        match=r"for: mower \(of 'lawn_mower'\), oak\. .*replace=\{'mower': 'another.*--replace 'mower=",
    ):
        label_vectors(labels, VECTORS)


def test_a_missing_stand_in_is_named():
    with pytest.raises(ValueError, match=r"No vector for: grass \(in place of 'mower'\).*'mower=another"):
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
    with pytest.raises(ValueError, match=r"No vector for: disgust, mower \(of 'lawn_mower'\), thankful"):
        label_vectors(["joy", "thankfulness", "disgust", "lawn_mower"], vectors)
