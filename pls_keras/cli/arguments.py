"""Kinds of arguments that several commands take: text in, a value or an error of argparse out."""

import argparse
import math


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
    """The name of a file with one of some endings."""

    def name(text):
        if not text.lower().endswith(endings):
            raise argparse.ArgumentTypeError(f"must end in {' or '.join(endings)}, not {text!r}")
        return text

    return name


def _number(text, kind, rule, holds):
    try:
        if holds(value := kind(text)):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{rule}, not {text!r}")
