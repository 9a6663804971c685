"""How far apart clusters are, how large, and what is typical of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import davies_bouldin_score, silhouette_samples

from fairlead.model.evaluation import ClusterDetail, FieldProfile
from fairlead.schema.encode import is_missing

Floats = NDArray[np.float64]
MOST_ROWS = 5_000
"""Silhouettes need the distance of every pair of rows: 5,000 rows take a second."""


def silhouettes(points: Floats, labels: NDArray[Any]) -> Floats:
    """Silhouette of each row (Rousseeuw 1987), -1 to 1; empty unless there are 2 to rows - 1 clusters.

    Args:
        points: (rows, dimensions)
        labels: (rows,)
    """
    if not 2 <= len(np.unique(labels)) < len(labels):
        return np.empty(0)
    return np.asarray(silhouette_samples(points, labels), dtype=np.float64)


def figures(points: Floats, labels: NDArray[Any], by_row: Floats) -> dict[str, float]:
    """Mean silhouette and Davies-Bouldin index; none where they are not defined.

    Args:
        points: (rows, dimensions)
        labels: (rows,)
        by_row: From :func:`silhouettes`.
    """
    if not len(by_row):
        return {}
    found = {
        "silhouette": float(by_row.mean()),
        "davies_bouldin": float(davies_bouldin_score(points, labels)),
    }
    return {name: figure for name, figure in found.items() if np.isfinite(figure)}


def detail(labels: NDArray[np.intp], clusters: int, fields: Mapping[str, NDArray[Any]]) -> ClusterDetail:
    """Sizes and profiles.

    Args:
        labels: (rows,) 0 to clusters - 1.
        clusters: Number of clusters the model knows; some may be empty.
        fields: Field to raw values, (rows,).
    """
    sizes = np.bincount(labels, minlength=clusters)
    members = [labels == cluster for cluster in range(clusters)]
    return ClusterDetail(
        tuple(sizes.tolist()),
        tuple(
            FieldProfile(name, typical(values), tuple(typical(values[mask]) for mask in members))
            for name, values in fields.items()
        ),
    )


def typical(values: NDArray[Any]) -> float | str | None:
    """The mean of numbers, the commonest of other values with its share; None if all are missing.

    >>> typical(np.array([1.0, 3.0])), typical(np.array(["a", "b", "a", None], dtype=object))
    (2.0, 'a (67 %)')
    """
    present = [value for value in values.tolist() if not is_missing(value)]
    if not present:
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return float(np.mean(present))
    distinct, counts = np.unique([str(value) for value in present], return_counts=True)
    top = int(np.lexsort((distinct, -counts))[0])
    return f"{distinct[top]} ({100 * counts[top] / len(present):.0f} %)"
