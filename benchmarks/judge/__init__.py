"""How often the release judge is wrong, and how soon it is right: ``python -m benchmarks.judge``."""
