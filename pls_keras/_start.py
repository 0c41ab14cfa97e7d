"""Imports Keras first: for a command or a notebook, without the lines that TensorFlow writes from C++.

While it is imported it heeds no setting, so that what goes to file descriptor 2 is held back, and shown if
the import fails. Later it writes what `TF_CPP_MIN_LOG_LEVEL` lets through: by itself that a processor is no
GPU, as an error. A program of one's own that imports the package sees all of it as ever.

A command and the processes that it starts also take oneDNN's kernels. TensorFlow by itself takes them only
where a processor has instructions for neural networks; others train on images twice as fast with them, but
for networks so narrow that it crashes (docs/speed.md), which a student may well build in a notebook.
"""

import contextlib
import os
import pathlib
import platform
import sys
import tempfile

from pls_keras._extras import require

PACKAGE = __name__.partition(".")[0]
NOTEBOOK = "ipykernel_launcher"
QUIET = "PLS_KERAS_QUIET"  # set for the processes that a command starts


def is_command(argv, orig_argv):
    """Whether Python was started as `python -m pls_keras …`, by the script of that name, or by a notebook.

    Args:
        argv: `sys.argv`, whose first is "-m" as long as Python looks for the module to run.
        orig_argv: `sys.orig_argv`, with Python's own options.
    """
    if argv[0] == "-m":
        return orig_argv[orig_argv.index("-m") + 1] == PACKAGE
    return pathlib.PurePath(argv[0]).stem == PACKAGE or is_notebook(argv)


def is_notebook(argv):
    return pathlib.PurePath(argv[0]).stem == NOTEBOOK


@contextlib.contextmanager
def held_back(descriptor=2):
    """Hold back what is written to a file descriptor; write it after all if an error comes out."""
    with tempfile.TemporaryFile() as held:
        visible = os.dup(descriptor)
        os.dup2(held.fileno(), descriptor)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(visible, held.read())
            raise
        finally:
            os.dup2(visible, descriptor)
            os.close(visible)


if is_command(sys.argv, sys.orig_argv):
    os.environ[QUIET] = "1"
    if not is_notebook(sys.argv) and platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
if QUIET in os.environ:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with held_back() if QUIET in os.environ else contextlib.nullcontext():
    try:
        import keras  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] == "tensorflow":
            require("tensorflow", "tensorflow", otherwise=", or set KERAS_BACKEND to jax or torch")
        raise
