"""Requests that are asked again of another server: ``copies`` sends them, ``client`` is how, ``pairs`` compares."""
