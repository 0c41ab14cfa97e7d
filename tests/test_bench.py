import pytest

from pls_keras.bench import bench_training, measure_matrix_rate, multiply_adds
from pls_keras.models import ResNet18, ResNet34


@pytest.mark.parametrize(("network", "millions"), [(ResNet18, 555.4), (ResNet34, 1159.4)])
def test_multiply_adds_are_those_of_the_literature(network, millions):
    # ResNets with 3×3 stems for images of 32×32 pixels: 0.56 and 1.16 billion.
    assert multiply_adds(network()) / 1e6 == pytest.approx(millions, rel=1e-3)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_matrix_rate_is_one_a_processor_can_have(precision):
    assert 1e6 < measure_matrix_rate(precision, size=128) < 1e16


@pytest.mark.slow
def test_training_is_slower_than_the_matrix_rate_allows():
    table = bench_training(width=4, images=256, precisions=["float32"])
    assert table["jit_compile"].tolist() == ["auto", False]
    assert (table["gap"] > 1).all()
    assert table["at_matrix_rate"].nunique() == 1
