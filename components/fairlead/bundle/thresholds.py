"""Where a tree ensemble changes its answer: the split values of each column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.bundle.formats import steps_of


def split_thresholds(estimator: Any) -> dict[int, NDArray[np.float64]]:
    """Split values by column of the encoded matrix, sorted, without repeats.

    Empty for models without trees, and for trees behind a step that changes the columns, because their splits are not
    about the columns a request fills.
    """
    before, final = steps_of(estimator)
    if before:
        return {}
    found: dict[int, set[float]] = {}
    for columns, values in _splits(final):
        for column, value in zip(columns.tolist(), values.tolist(), strict=True):
            found.setdefault(column, set()).add(value)
    return {column: np.array(sorted(found[column])) for column in sorted(found)}


def _splits(final: Any) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    if hasattr(final, "_predictors"):  # HistGradientBoosting keeps its nodes in record arrays
        for predictor in _flat(final._predictors):  # noqa: SLF001
            nodes = predictor.nodes
            numeric = nodes[(nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)]
            yield numeric["feature_idx"], numeric["num_threshold"]
        return
    for tree in _trees(final):
        inner = tree.feature >= 0
        yield tree.feature[inner], tree.threshold[inner]


def _trees(final: Any) -> Iterator[Any]:
    if hasattr(final, "tree_"):
        yield final.tree_
    for member in _flat(getattr(final, "estimators_", ())):
        if hasattr(member, "tree_"):
            yield member.tree_


def _flat(nested: Iterable[Any]) -> Iterator[Any]:
    for item in nested:
        if isinstance(item, list | tuple | np.ndarray):
            yield from _flat(item)
        else:
            yield item


def around(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Each threshold as float32, and its two neighbours: a request's values are float32, so none lies closer.

    >>> around(np.array([1.0])).tolist() == [np.nextafter(np.float32(1), np.float32(0)), 1.0, 1.0000001192092896]
    True
    """
    middle = thresholds.astype(np.float32)
    below, above = np.nextafter(middle, np.float32(-np.inf)), np.nextafter(middle, np.float32(np.inf))
    return np.unique(np.concatenate([below, middle, above]))
