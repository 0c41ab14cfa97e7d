"""The emotion corpora."""

import re
import zipfile

import keras
import numpy as np
import pytest

from pls_keras import cooccurrence_theta
from pls_keras.data import labels, load_text
from pls_keras.data.text import Source

OFFICIAL = {
    "tec": "Jan9-2012-tweets-clean.txt",
    "isear": "isear.csv",
    "cbet": "CBET.csv",
    "goemotions": "train.tsv",
}
realdata = pytest.mark.realdata


@pytest.fixture
def offline_home(tmp_path, monkeypatch):
    """An empty cache of Keras on a machine without a network: its proxy refuses."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    folder = tmp_path / "datasets" / "pls_keras"
    folder.mkdir(parents=True)
    return folder


def shares(dataset):
    counts = np.bincount(dataset.y, minlength=dataset.classes)
    return dict(zip(dataset.labels, counts / counts.sum(), strict=True))


def test_sample_has_thirty_texts_a_label_and_some_of_two():
    sample = load_text("sample")
    assert sample.labels == labels.ISEAR_LABELS
    assert np.bincount(sample.y).tolist() == [30] * 7
    assert len(set(sample.texts)) == len(sample.texts) == 210
    assert np.bincount(sample.indicator.sum(axis=1)).tolist() == [0, 210, 20]
    cooccurrence_theta(sample.indicator, sample.labels, pseudocount=1.0)


def test_select_keeps_the_texts_of_some_labels_in_the_order_of_the_corpus():
    sample = load_text("sample")
    part = sample.select(["guilt", "joy", "anger"])
    assert part.labels == ("joy", "anger", "guilt")
    assert np.bincount(part.y).tolist() == [30, 30, 30]
    for label in part.labels:
        of_label = part.texts[part.y == part.labels.index(label)].tolist()
        assert of_label == sample.texts[sample.y == sample.labels.index(label)].tolist()
    assert part.indicator.shape[1] == 3
    assert part.indicator.any(axis=1).all()


@pytest.mark.parametrize("chosen", [("joy", "love"), ("joy",), ()])
def test_select_of_labels_that_are_not_there_is_an_error(chosen):
    with pytest.raises(ValueError, match="labels must name at least 2 of"):
        load_text("sample").select(chosen)


def test_a_corpus_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match=r"name must be one of .*goemotions"):
        load_text("imdb")


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_missing_file_without_network_names_file_address_and_folder(offline_home, name):
    with pytest.raises(FileNotFoundError) as error:
        load_text(name)
    message = str(error.value)
    assert str(offline_home / OFFICIAL[name]) in message
    assert re.search(r"Get it from https?://\S+", message)
    assert f"into the folder {offline_home} as {OFFICIAL[name]}" in message
    assert "refused" in message


@pytest.mark.parametrize("packed", [False, True])
def test_a_download_is_whole_or_not_there(offline_home, tmp_path, monkeypatch, packed):
    official = tmp_path / "official" / "CBET.csv"
    official.parent.mkdir()
    official.write_text(",".join(["id", "text", *labels.CBET_LABELS]) + "\n1,a,1,0,0,0,0,0,0,0,0\n")
    if packed:
        with zipfile.ZipFile(f"{official}.zip", "w") as archive:
            archive.write(official, official.name)
    url = f"{official.as_uri()}{'.zip' * packed}"
    monkeypatch.setattr("pls_keras.data.text.CBET", Source("CBET.csv", url, None))
    path, get_file = offline_home / "CBET.csv", keras.utils.get_file

    def interrupted(*args, **kwargs):
        get_file(*args, **kwargs)
        assert not path.exists()  # nor would another process see a part of it
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.utils, "get_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_text("cbet")
    assert not list(offline_home.iterdir())
    monkeypatch.setattr(keras.utils, "get_file", get_file)
    with pytest.warns(UserWarning, match="1 of 76,860 rows"):
        assert load_text("cbet").texts.tolist() == ["a"]
    assert [file.name for file in offline_home.iterdir()] == ["CBET.csv"]
    assert path.read_bytes() == official.read_bytes()


@realdata
@pytest.mark.parametrize("name", ["tec", "isear", "goemotions"])
@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_damaged_file_is_an_error_and_stays_where_it_is(
    offline_home, data_root, text_home, monkeypatch, name, damage
):
    monkeypatch.setenv("KERAS_HOME", str(offline_home.parents[1]))
    content = (text_home / "datasets" / "pls_keras" / OFFICIAL[name]).read_bytes()
    content = content[: len(content) // 2] if damage == "truncated" else content.replace(b"e", b"i", 1)
    path = offline_home / OFFICIAL[name]
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not the official file") as error:
        load_text(name)
    assert f"into the folder {offline_home} as {OFFICIAL[name]}" in str(error.value)
    assert f"{len(content):,} bytes" in str(error.value)
    assert path.read_bytes() == content


def test_a_file_of_cbet_with_other_columns_is_an_error(offline_home):
    (offline_home / "CBET.csv").write_text("id,text,joy\n1,what a day,1\n")
    with pytest.raises(ValueError, match="must have rows with the columns"):
        load_text("cbet")


def test_a_part_of_cbet_warns_and_says_how_much_is_there(offline_home):
    header = ",".join(["id", "text", *labels.CBET_LABELS])
    rows = ['1,"a, b &amp; c",1,0,0,0,0,0,0,0,0', "2,d,0,0,0,0,0,0,0,0,1", "3,e,1,0,0,0,0,0,0,0,1"]
    (offline_home / "CBET.csv").write_text("\n".join([header, *rows]) + "\n")
    with pytest.warns(UserWarning, match=r"2 of 76,860 rows of one label \(0%\)"):
        part = load_text("cbet")
    assert part.texts.tolist() == ["a, b & c", "d"]
    assert [part.labels[i] for i in part.y] == ["anger", "thankfulness"]
    assert part.indicator.sum(axis=0).tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert part.fraction == 2 / 76_860


@realdata
def test_tec_has_the_papers_counts_and_shares(text_home):
    tec = load_text("tec")
    assert len(tec.texts) == 21_051
    stated = {"joy": 39, "sadness": 18, "surprise": 18, "fear": 13, "anger": 7, "disgust": 4}
    assert {label: round(100 * share) for label, share in shares(tec).items()} == stated
    assert tec.fraction == 1
    assert not any("\t" in text or "&amp;" in text for text in tec.texts)


@realdata
def test_isear_has_the_papers_counts_and_is_balanced(text_home):
    isear = load_text("isear")
    assert len(isear.texts) == 7_666
    assert all(abs(share - 1 / 7) < 0.001 for share in shares(isear).values())
    assert sum("|" in text for text in isear.texts) == 163
    assert not any("á" in text for text in isear.texts)
    assert isear.texts[0].startswith("During the period of falling in love")


@realdata
def test_the_part_of_cbet_here_warns_and_is_balanced(text_home):
    with pytest.warns(UserWarning, match=r"41,587 of 76,860 rows of one label \(54%\)"):
        cbet = load_text("cbet")
    assert len(cbet.texts) == 41_587
    assert len(cbet.indicator) == 41_587 + 4_303
    assert all(abs(share - 1 / 9) < 0.007 for share in shares(cbet).values())


@realdata
def test_goemotions_has_its_official_split_without_neutral(text_home):
    goemotions = load_text("goemotions")
    assert goemotions.labels == labels.GOEMOTIONS_LABELS
    sizes = {split: int((goemotions.split == split).sum()) for split in ("train", "validation", "test")}
    assert sizes == {"train": 23_485, "validation": 2_956, "test": 2_984}
    assert goemotions.classes == 27
    # Only training rows are counted in the indicator.
    single = (goemotions.indicator.sum(axis=1) == 1).sum()
    assert sizes["train"] <= single < sum(sizes.values())
