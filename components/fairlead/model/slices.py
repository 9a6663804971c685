"""How good the model is for parts of the rows: by the values of a column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.model.evaluation import Estimate, SliceQuality, SliceVerdict
from fairlead.report.numbers import number
from fairlead.schema.encode import is_missing
from fairlead.spec.metrics import METRICS

Mask = NDArray[np.bool_]
MIN_ROWS = 50
"""Fewer rows say little about a share: the 95 % interval of one half is then wider than plus or minus
0.13."""
MOST_VALUES = 20
"""A column with more values has the rest in one slice, because a page with hundreds of slices is read by
nobody."""
_DISTINCT_NUMBERS = 12
_QUARTERS = (0.25, 0.5, 0.75)


def slice_masks(values: NDArray[Any]) -> Iterator[tuple[str, Mask]]:
    """The slices of one column, as a label and the rows in it.

    Numbers with more than a dozen values are cut at their quartiles; of other values the commonest come
    first, those beyond the twentieth share a slice, and missing values have one.

    >>> values = np.array(["a", "b", "a", None], dtype=object)
    >>> [(label, int(mask.sum())) for label, mask in slice_masks(values)]
    [('a', 2), ('b', 1), ('missing', 1)]
    """
    missing = np.array([is_missing(value) for value in values], dtype=bool)
    if np.issubdtype(_kind(values[~missing]), np.number):
        yield from _by_number(values, missing)
    else:
        yield from _by_value(values, missing)
    if missing.any():
        yield "missing", missing


def _kind(present: NDArray[Any]) -> np.dtype[Any]:
    """Data type of the values that are there; what mixes types counts as text."""
    if present.dtype != object:
        return present.dtype
    types = {type(value) for value in present}
    return np.array(present.tolist()).dtype if types <= {int, float} and types else np.dtype(str)


def _by_number(values: NDArray[Any], missing: Mask) -> Iterator[tuple[str, Mask]]:
    numbers = np.full(len(values), np.nan)
    numbers[~missing] = values[~missing].astype(np.float64)
    distinct = np.unique(numbers[~missing])
    if len(distinct) <= _DISTINCT_NUMBERS:
        yield from ((number(value), numbers == value) for value in distinct.tolist())
        return
    edges = np.unique(np.quantile(numbers[~missing], _QUARTERS)).tolist()
    yield f"up to {number(edges[0])}", numbers <= edges[0]
    for low, high in pairwise(edges):
        yield f"{number(low)} to {number(high)}", (numbers > low) & (numbers <= high)
    yield f"above {number(edges[-1])}", numbers > edges[-1]


def _by_value(values: NDArray[Any], missing: Mask) -> Iterator[tuple[str, Mask]]:
    texts = np.array(
        ["" if gone else str(value) for value, gone in zip(values, missing, strict=True)], dtype=object
    )
    distinct, counts = np.unique(texts[~missing].astype(str), return_counts=True)
    order = np.lexsort((distinct, -counts))
    shown = distinct[order][:MOST_VALUES].tolist()
    for value in shown:
        yield value, (texts == value) & ~missing
    if len(distinct) > len(shown):
        yield f"{len(distinct) - len(shown)} other values", ~np.isin(texts.astype(str), shown) & ~missing


Measure = Callable[[Mask], Mapping[str, Estimate]]
"""The rows of a slice to their metrics with intervals."""


def slice_table(
    columns: Mapping[str, NDArray[Any]], measure: Measure, metric: str, whole: float | None
) -> tuple[SliceQuality, ...]:
    """Every slice of every column, in the order of *columns*.

    Args:
        columns: Name to values, each of shape (rows,).
        measure: Called with the rows of each slice that has at least ``MIN_ROWS``.
        metric: The metric that slices are judged by.
        whole: That metric on all rows; None if it is not defined there.
    """
    found = []
    for column, values in columns.items():
        for label, mask in slice_masks(np.asarray(values)):
            rows = int(mask.sum())
            metrics = measure(mask) if rows >= MIN_ROWS else {}
            judged = verdict(metric, metrics.get(metric), whole) if rows >= MIN_ROWS else "too few rows"
            found.append(SliceQuality(column, label, rows, judged, metrics))
    return tuple(found)


def verdict(metric: str, here: Estimate | None, whole: float | None) -> SliceVerdict:
    """A slice is worse or better if its whole interval is, and like the whole otherwise.

    ============================  ==============  ==============
    interval (higher is better)   all rows        verdict
    ============================  ==============  ==============
    0.70 to 0.78                  0.80            worse
    0.75 to 0.85                  0.80            like the whole
    0.82 to 0.90                  0.80            better
    not defined                   0.80            not measurable
    ============================  ==============  ==============

    >>> verdict("roc_auc", Estimate(0.74, 0.70, 0.78), 0.80)
    'worse'
    """
    if here is None or here.low is None or here.high is None or whole is None:
        return "not measurable"
    if here.low <= whole <= here.high:
        return "like the whole"
    return "better" if METRICS[metric].better(here.value, whole) else "worse"
