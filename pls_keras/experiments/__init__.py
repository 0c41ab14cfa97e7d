"""Runs of the paper and beyond: specs → sweeps → runner → store → results."""
