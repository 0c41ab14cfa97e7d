"""The fastest way to train is chosen by what the processor can do."""

from contextlib import nullcontext as nothing

import keras
import pytest

from pls_keras.experiments import hardware
from pls_keras.experiments.hardware import fastest_way
from pls_keras.experiments.image_training import build_image_model, load_images
from pls_keras.experiments.specs import ImageRun

BACKEND = keras.backend.backend()
INTEL = "model name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx2 avx512f amx_bf16 amx_tile avx512_bf16\n"
OLDER = "model name\t: AMD EPYC\nflags\t\t: fpu sse4_2 avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n"


@pytest.fixture
def cpuinfo(monkeypatch, tmp_path):
    """Writes what Linux says of the processor."""
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(hardware, "accelerator", lambda: None)
    return (tmp_path / "cpuinfo").write_text


@pytest.mark.parametrize(
    ("text", "instructions"),
    [(INTEL, ["amx_bf16", "avx512_bf16"]), (OLDER, []), (ARM, ["bf16"])],
    ids=["AMX", "AVX2", "ARM"],
)
def test_bfloat16_is_for_processors_that_multiply_in_it(cpuinfo, text, instructions):
    cpuinfo(text)
    assert hardware.bfloat16_instructions() == instructions
    way = fastest_way()
    expected = "mixed_bfloat16" if instructions and BACKEND != "jax" else "float32"
    assert way.precision == expected
    assert expected.removeprefix("mixed_") in way.reason
    assert way.jit_compile == (False if BACKEND == "tensorflow" else "auto")


def test_a_processor_of_which_nothing_is_known_takes_float32(cpuinfo):
    assert fastest_way().precision == "float32"  # no such file
    assert hardware.processor()


def test_instructions_that_onednn_must_not_use_do_not_count(cpuinfo, monkeypatch):
    cpuinfo(INTEL)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert fastest_way().precision == "float32"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
    assert hardware.bfloat16_instructions() == ["amx_bf16", "avx512_bf16"]


@pytest.mark.parametrize(("text", "crashes"), [(INTEL, False), (OLDER, True), (ARM, False)])
def test_a_network_too_narrow_for_onednn_is_refused(cpuinfo, monkeypatch, text, crashes):
    cpuinfo(text)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    crashes = crashes and BACKEND != "jax"
    assert hardware.narrowest_network() == (8 if crashes else 1)
    run = ImageRun(dataset="digits", method="NoLS", model="ResNet8", width=7)
    with (
        pytest.raises(ValueError, match=r"width must be at least 8 .* Received: width=7")
        if crashes
        else nothing()
    ):
        build_image_model(run, load_images(run))
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert hardware.narrowest_network() == (8 if crashes and BACKEND == "torch" else 1)


def test_an_accelerator_takes_bfloat16(monkeypatch):
    monkeypatch.setattr(hardware, "accelerator", lambda: "H100")
    way = fastest_way()
    assert (way.precision, way.jit_compile) == ("mixed_bfloat16", "auto")
    assert "H100" in way.reason


def test_a_run_a_core_but_one_on_an_accelerator(monkeypatch):
    monkeypatch.setattr(hardware, "accelerator", lambda: None)
    for cores, workers in ((1, 1), (2, 2), (64, hardware.MOST_WORKERS)):
        monkeypatch.setattr(hardware.joblib, "cpu_count", lambda cores=cores: cores)
        assert hardware.fastest_workers()[0] == workers
    monkeypatch.setattr(hardware, "accelerator", lambda: "H100")
    assert hardware.fastest_workers() == (1, "one run at a time on H100")


def test_what_is_given_stays(cpuinfo):
    cpuinfo(OLDER)
    way = fastest_way("mixed_bfloat16", True)
    assert (way.precision, way.jit_compile, way.reason) == ("mixed_bfloat16", True, "")
