"""Keras's dtype policy for a while."""

import contextlib

import keras


@contextlib.contextmanager
def dtype_policy(name):
    """Build layers under a dtype policy, such as "mixed_bfloat16", and set the old one back."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
