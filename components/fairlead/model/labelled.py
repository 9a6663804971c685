"""The rows that the bundle stage needs to judge other models by, if it is to look for any."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fairlead.heldout import LabelledRows
from fairlead.model.forecast_errors import groups
from fairlead.model.result import Result, series_of
from fairlead.model.rows import Rows, read_rows
from fairlead.records import Dataset, Workspace

MAX_LESSONS = 50_000
"""Training rows kept, spread evenly. A small model that learns from a large one's answers needs no more."""


def labelled_rows(workspace: Workspace, dataset: Dataset, result: Result) -> dict[str, LabelledRows]:
    """Training rows (at most :data:`MAX_LESSONS`), all validation rows and all test rows, by split."""
    schema, folder = result.trained.schema, Path(dataset.path)
    train = read_rows(folder, "train", schema, workspace.project)
    some = np.unique(np.linspace(0, len(train) - 1, min(len(train), MAX_LESSONS)).astype(np.intp))
    return {
        "train": _labelled(train.take(some)),
        "valid": _labelled(read_rows(folder, "valid", schema, workspace.project)),
        "test": _labelled(result.test),
    }


def _labelled(rows: Rows) -> LabelledRows:
    series = series_of(rows)
    owners = groups(series) if rows.group is None and series is not None else rows.group
    return LabelledRows(rows.batch, rows.actual, owners, rows.scale)
