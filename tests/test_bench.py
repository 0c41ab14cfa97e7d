import itertools
import types

import pytest

from pls_keras.experiments.benchmarks import training as bench
from pls_keras.models import ResNet18, ResNet34


@pytest.fixture
def clock(monkeypatch):
    """A clock on which a second passes from one reading to the next."""
    monkeypatch.setattr(bench, "time", types.SimpleNamespace(perf_counter=itertools.count().__next__))


@pytest.mark.parametrize(("network", "millions"), [(ResNet18, 555.4), (ResNet34, 1159.4)])
def test_multiply_adds_are_those_of_the_literature(network, millions):
    # ResNets with 3×3 stems for images of 32×32 pixels: 0.56 and 1.16 billion.
    assert bench.multiply_adds(network()) / 1e6 == pytest.approx(millions, rel=1e-3)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_matrix_rate_counts_the_multiply_adds_of_all_rounds(precision, clock):
    assert bench.measure_matrix_rate(precision, size=8, rounds=3) == 3 * 8**3


@pytest.mark.slow
def test_training_is_measured_against_the_matrix_rate(clock):
    table = bench.bench_training(width=4, images=256, precisions=["float32"])
    assert table["jit_compile"].tolist() == ["auto", False]
    bound = 4 * 4096**3 / (3 * bench.multiply_adds(ResNet18(width=4)))
    assert table["images_per_second"].tolist() == [256, 256]
    assert table["at_matrix_rate"].tolist() == pytest.approx([bound, bound])
    assert table["gap"].tolist() == pytest.approx([bound / 256, bound / 256])
