"""What every model must beat: answers that need no learning. Always trained, never registered.

======================  ====================================================================================
classification          the classes' shares in training, for every row
regression              the median of training
forecast                the value one season before the target
clustering              distances to training rows picked at random, never moved
======================  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import Schema

Answer = Callable[[NDArray[Any]], NDArray[np.float64]]
"""Encoded rows to answers, as ``fairlead.schema.answers`` shapes them."""


def prior(codes: NDArray[np.intp], classes: int) -> Answer:
    """Shares of the classes.

    >>> prior(np.array([0, 0, 1, 0]), 2)(np.zeros((1, 3))).tolist()
    [[0.75, 0.25]]
    """
    shares = np.bincount(codes, minlength=classes) / len(codes)
    return lambda array: np.tile(shares, (len(array), 1))


def median(target: NDArray[np.float64]) -> Answer:
    """The median of the target.

    >>> median(np.array([1.0, 2.0, 9.0]))(np.zeros((2, 3))).tolist()
    [[2.0], [2.0]]
    """
    middle = float(np.median(target))
    return lambda array: np.full((len(array), 1), middle)


def seasonal_naive(schema: Schema) -> Answer:
    """The feature of that name."""
    place = schema.columns.index("seasonal_naive")
    return lambda array: np.asarray(array[:, [place]], dtype=np.float64)


def random_centres(
    prepare: Callable[[NDArray[Any]], NDArray[np.float64]], train: NDArray[Any], clusters: int, seed: int
) -> Answer:
    """Closeness (negative Euclidean distance) to *clusters* random training rows, in the space *prepare* leads to."""
    chosen = np.random.default_rng(seed).choice(len(train), size=min(clusters, len(train)), replace=False)
    centres = prepare(train[np.sort(chosen)])

    def answers(array: NDArray[Any]) -> NDArray[np.float64]:
        rows = prepare(array)
        return -np.stack([np.linalg.norm(rows - centre, axis=1) for centre in centres], axis=1)

    return answers
