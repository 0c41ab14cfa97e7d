"""Runs of the paper and beyond: specs → sweeps → runner → store → results."""

from pls_keras._extras import require

require("experiments", "filelock", "matplotlib", "tqdm")
