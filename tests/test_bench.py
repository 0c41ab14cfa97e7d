"""Benchmarks measure what they say, on a clock that counts its readings."""

import functools
import itertools
import json
import types

import keras
import numpy as np
import pytest

from pls_keras.cli import main
from pls_keras.experiments.benchmarks import fits, images, loss, texts
from pls_keras.experiments.benchmarks.pytorch import PyTorchTwin
from pls_keras.experiments.image_training import BLOCKS
from pls_keras.experiments.sweeps import table2
from pls_keras.models import ResNet, ResNet18, ResNet34


@pytest.fixture
def clock(monkeypatch):
    """A clock on which a second passes from one reading to the next."""
    ticking = types.SimpleNamespace(perf_counter=itertools.count().__next__)
    for module in (images, loss, fits):
        monkeypatch.setattr(module, "time", ticking)


@pytest.fixture
def one_block(monkeypatch):
    """A network that compiles fast in place of ResNet-18."""
    monkeypatch.setitem(BLOCKS, "ResNet18", (1,))


@pytest.mark.parametrize(("network", "millions"), [(ResNet18, 555.4), (ResNet34, 1159.4)])
def test_multiply_adds_are_those_of_the_literature(network, millions):
    # ResNets with 3×3 stems for images of 32×32 pixels: 0.56 and 1.16 billion.
    assert images.count_multiply_adds(network()) / 1e6 == pytest.approx(millions, rel=1e-3)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_matrix_rate_counts_the_multiply_adds_of_all_rounds(precision, clock):
    assert images.measure_matrix_rate(precision, size=8, rounds=3) == 3 * 8**3


@pytest.mark.slow
def test_training_is_measured_beside_pytorch_and_the_matrix_rate(clock, one_block, monkeypatch):
    small = functools.partial(images.measure_matrix_rate, size=64)
    monkeypatch.setattr(images, "measure_matrix_rate", small)
    table = images.bench_training(
        width=16, images=32, batch_size=16, precisions=["float32"], compilations=[False], rounds=2
    )
    assert table["code"].tolist() == ["pls_keras", "PyTorch"][: len(table)]
    ours = table.iloc[0]
    bound = 4 * 64**3 / (3 * images.count_multiply_adds(ResNet((1,), width=16)))
    assert ours["images_per_second"] == 32
    assert ours["gap"] == pytest.approx(bound / 32)
    if len(table) > 1:
        assert ours["to_pytorch"] == 32 / table.iloc[1]["images_per_second"]


def test_the_twin_in_pytorch_has_the_same_network():
    pytest.importorskip("torch")
    for blocks in ((2, 2, 2, 2), (1, 1)):
        # Of less than eight channels oneDNN's kernel for AVX2 reads beyond its memory (PyTorch 2.13).
        twin = PyTorchTwin(blocks, 8, "float32")
        sizes = sorted(np.prod(v.shape) for v in ResNet(blocks, width=8).trainable_variables)
        assert sorted(p.numel() for p in twin.network.parameters()) == sizes
    before = [p.detach().clone() for p in twin.network.parameters()]
    x = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    assert twin.seconds(x, np.arange(8), 4) > 0
    assert all((a != b).any() for a, b in zip(before, twin.network.parameters(), strict=True))


@pytest.mark.slow
def test_callbacks_are_measured_over_an_epoch_without(clock, one_block):
    table = images.bench_callbacks(rounds=2, images=32, width=4)
    assert table.to_dict("list") == {"seconds": [1, 1], "GradientNorm": [1, 1], "OnlineTheta": [1, 1]}


def test_the_loss_is_measured_against_keras_in_each_way(clock):
    table = loss.bench_loss(rounds=2, sizes=(10, 2000))
    ways = ["graph", "xla"] if keras.backend.backend() == "tensorflow" else ["compiled"]
    assert table.loc[table["classes"] == 2000, "loss"].tolist()[:3] == [
        "uniform",
        "clusters of 5",
        "5 nearest",
    ]
    assert table.loc[table["classes"] == 10, "loss"].tolist()[:3] == ["uniform", "clusters of 5", "dense"]
    for way in ways:
        assert (table[way] == 1).all()  # on this clock


@pytest.mark.slow
def test_fits_count_what_comes_after_the_last_epoch(clock):
    table = fits.bench_fits(fits=2, seconds=0.2, samples=32)
    assert table["data"].tolist() == ["pls_keras", "arrays"]
    assert table["late"].tolist() == [2, 2]  # a second, on this clock
    assert table["waits"].tolist() == [2, 2]


def test_texts_are_trained_the_straightforward_way_too():
    pytest.importorskip("tensorflow")  # strings need it on every backend
    assert texts.train_padded(table2("smoke")[:1]) == 210


def test_tables_are_written_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "pls_keras.cli.bench.bench_loss", lambda rounds: loss.bench_loss(rounds, sizes=(10,))
    )
    main(["bench", "loss", "--rounds", "1", "--json", str(tmp_path / "bench.json")])
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["backend"] == keras.backend.backend()
    assert written["tables"]["loss"][0]["classes"] == 10
    assert "uniform" in capsys.readouterr().out
