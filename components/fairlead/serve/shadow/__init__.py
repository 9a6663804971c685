"""Requests that are asked again of another server.

``copies`` sends them, by ``client``; ``pairs`` compares the answers; ``failures`` is why there was none.
"""
