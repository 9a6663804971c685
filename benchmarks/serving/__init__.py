"""Servers of one model, side by side: ``python -m benchmarks.serving``."""
