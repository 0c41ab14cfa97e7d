"""What this process runs on, and which precision and way of compiling are fastest there."""

import dataclasses
import os
import pathlib
import platform

import joblib
import keras

MOST_WORKERS = 4  # each takes nearly a gigabyte
# Instructions that multiply in bfloat16, as Linux names them: on Intel and AMD, and on ARM.
BFLOAT16 = {"amx_bf16", "avx512_bf16", "bf16"}
CPUINFO = pathlib.Path("/proc/cpuinfo")  # Linux's


def describe_hardware():
    """The accelerator's name, or the processor's with its number of cores."""
    return accelerator() or f"{os.cpu_count()} cores of {processor()}"


def accelerator():
    """Name of the accelerator that the backend uses; None for a processor alone."""
    if keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() != "cpu":
            return jax.devices()[0].device_kind
    if keras.backend.backend() == "torch":
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if gpus := tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return None


def processor():
    """The processor's name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def bfloat16_instructions():
    """Those of the processor's instructions that multiply in bfloat16, and that oneDNN may use."""
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    if allowed and not any(word in allowed for word in ("BF16", "AMX", "AVX10", "DEFAULT", "ALL")):
        return []
    known = f"{_cpuinfo('flags')} {_cpuinfo('Features')}".split()
    return sorted(BFLOAT16 & set(known))


def narrowest_network():
    """Fewest channels of a network's first stage: 8 where oneDNN's kernels for fewer crash, else 1.

    Its 1×1 convolutions of fewer read beyond their memory on processors with AVX2 and without AVX-512
    (TensorFlow 2.21, PyTorch 2.13).
    """
    backend, flags = keras.backend.backend(), _cpuinfo("flags").split()
    takes_onednn = {"tensorflow": os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1", "torch": True}
    crash = takes_onednn.get(backend, False) and "avx2" in flags and "avx512f" not in flags
    return 8 if crash and accelerator() is None else 1


def _cpuinfo(field):
    """A field of what is said of the first core; empty on other systems."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def fastest_workers():
    """How many runs to train at a time here, each by one thread, and why."""
    if device := accelerator():
        return 1, f"one run at a time on {device}"
    workers = min(joblib.cpu_count(), MOST_WORKERS)
    return workers, "a run a core, which is faster than one on all of them"


@dataclasses.dataclass(frozen=True)
class Way:
    """How a network of images is trained.

    Attributes:
        precision: Keras's dtype policy.
        jit_compile: as for `Model.compile`.
        reason: why, where it was chosen here.
    """

    precision: str
    jit_compile: bool | str
    reason: str


def fastest_way(precision="auto", jit_compile="auto"):
    """The fastest way to train on images here.

    bfloat16 is twice as fast as float32 on a processor that multiplies in it, and seven times slower on
    one that does not. On a processor TensorFlow's own kernels are faster than what XLA makes
    (`pls_keras bench training` measures both).

    Args:
        precision: a dtype policy, or "auto" to choose.
        jit_compile: True or False, or "auto" to choose.

    Returns:
        `Way`. What was given stays as it is.
    """
    backend, device, reasons = keras.backend.backend(), accelerator(), []
    if precision == "auto":
        instructions = bfloat16_instructions()
        if device:
            precision = "mixed_bfloat16"
            reasons.append(f"bfloat16, which {device} multiplies in")
        elif backend == "jax":
            precision = "float32"
            reasons.append("float32, as JAX has no kernels for bfloat16 on a processor")
        elif instructions:
            precision = "mixed_bfloat16"
            reasons.append(f"bfloat16, which the processor multiplies in ({', '.join(instructions)})")
        else:
            precision = "float32"
            reasons.append("float32, as the processor does not multiply in bfloat16")
    if jit_compile == "auto" and backend == "tensorflow" and not device:
        jit_compile = False
        reasons.append("no XLA, as TensorFlow's own kernels are faster on a processor")
    return Way(precision, jit_compile, "; ".join(reasons))
