"""Cross-validation inside the training rows that keeps the promise the data's split made.

A split by time trains on the past only, so every fold does; a split by group shares no group, so no two folds do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from fairlead.errors import DataError
from fairlead.spec.splitting import SplitMethod

Positions = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Fold:
    """Row positions to train on and to score."""

    train: Positions
    valid: Positions


def folds(
    kind: SplitMethod,
    count: int,
    rows: int,
    *,
    labels: NDArray[Any] | None = None,
    time: NDArray[np.datetime64] | None = None,
    group: NDArray[Any] | None = None,
    seed: int = 0,
) -> list[Fold]:
    """At most *count* folds over rows 0 … rows-1.

    Args:
        kind: ``time``: expanding window, every training row is strictly earlier than every scored row. ``group``: no group on
            both sides. ``stratified``: the same share of each label. ``random``.
        count: Folds wanted. Fewer come back where there are not enough distinct times or groups.
        rows: Number of rows.
        labels: Class codes (stratified; with group, stratified as well as groups allow).
        time: Time of each row (time).
        group: Group of each row (group).
        seed: Of the shuffle.

    Raises:
        DataError: Not even one fold can be made.
    """
    if kind == "time":
        return time_folds(_needed(time, kind), count)
    if kind == "group":
        return _group_folds(_needed(group, kind), labels, count, seed)
    if rows < 2 * count:
        raise DataError(
            f"{rows} training rows are too few for {count} folds", hint="Lower model.search.folds."
        )
    if kind == "stratified" and labels is not None and np.bincount(labels).max() >= count:
        splitter: Any = StratifiedKFold(count, shuffle=True, random_state=seed)
    else:
        splitter = KFold(count, shuffle=True, random_state=seed)
    return [Fold(train, valid) for train, valid in splitter.split(np.zeros(rows), labels)]


def _needed(column: NDArray[Any] | None, kind: str) -> NDArray[Any]:
    if column is None:
        raise DataError(
            f"folds by {kind} need the column data.{kind}, which the dataset does not have",
            hint="Run the data stage again.",
        )
    return column


def time_folds(time: NDArray[np.datetime64], count: int) -> list[Fold]:
    """Expanding window: fold k trains on the first k of ``count + 1`` equal parts and is scored on the next.

    Rows of one moment stay together, so that no training row is as late as a scored one.

    >>> hours = np.array(["2024-01-01T00", "2024-01-01T01", "2024-01-01T02", "2024-01-01T03"], "datetime64[h]")
    >>> [(fold.train.tolist(), fold.valid.tolist()) for fold in time_folds(hours, 3)]
    [([0], [1]), ([0, 1], [2]), ([0, 1, 2], [3])]
    """
    ordered = np.sort(time)
    places = [len(time) * part // (count + 1) for part in range(1, count + 1)]
    cuts = np.unique(ordered[places]) if len(time) > count else ordered[:0]
    ends = [*cuts, None][1:]
    found = []
    for start, end in zip(cuts, ends, strict=True):
        train = np.flatnonzero(time < start)
        valid = np.flatnonzero((time >= start) & (time < end) if end is not None else time >= start)
        if len(train) and len(valid):
            found.append(Fold(train, valid))
    if not found:
        raise DataError(
            f"{len(time)} training rows have {len(np.unique(time))} distinct times: there is no past to learn from",
            hint="Widen the training period, or set data.split.method to another way than time.",
        )
    return found


def _group_folds(group: NDArray[Any], labels: NDArray[Any] | None, count: int, seed: int) -> list[Fold]:
    names, codes = np.unique(np.asarray(group, dtype=object).astype(str), return_inverse=True)
    possible = min(count, len(names))
    if possible < 2:
        raise DataError(
            f"the training rows have {len(names)} group: folds need at least 2",
            hint="Set data.split.method to another way than group.",
        )
    splitter: Any = GroupKFold(possible)
    if labels is not None and np.bincount(labels).max() >= possible:
        splitter = StratifiedGroupKFold(possible, shuffle=True, random_state=seed)
    return [Fold(train, valid) for train, valid in splitter.split(np.zeros(len(codes)), labels, codes)
            if len(train) and len(valid)]  # fmt: skip
