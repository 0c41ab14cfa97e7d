"""Kinds of arguments that several commands take: text in, a value or an error of argparse out."""

import argparse
import math
import pathlib


def positive(text):
    """A whole number, at least 1."""
    return _number(text, int, "must be a whole number, at least 1", lambda value: value >= 1)


def positive_number(text):
    """A positive number."""
    return _number(text, float, "must be a positive number", lambda value: 0 < value < math.inf)


def ratio(text):
    """A number in [0, 1)."""
    return _number(text, float, "must lie in [0, 1)", lambda value: 0 <= value < 1)


def file_type(*endings):
    """The name of a file to write, with one of some endings, in a folder that is there."""

    def name(text):
        if not text.lower().endswith(endings):
            raise argparse.ArgumentTypeError(f"must end in {' or '.join(endings)}, not {text!r}")
        if not (parent := pathlib.Path(text).parent).is_dir():
            raise argparse.ArgumentTypeError(f"there is no folder {str(parent)!r} to write {text!r} to")
        return text

    return name


def folder_path(text):
    """The path of a folder, which need not be there yet."""
    path = pathlib.Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"must be a folder; {text!r} is a file")
    return path


def _number(text, kind, rule, holds):
    try:
        if holds(value := kind(text)):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{rule}, not {text!r}")
