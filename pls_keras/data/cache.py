"""Where Keras keeps what it downloads, and this package what it need not make twice."""

import os
import pathlib


def keras_home():
    """Keras's own folder: what `KERAS_HOME` names, else `~/.keras`."""
    return pathlib.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
