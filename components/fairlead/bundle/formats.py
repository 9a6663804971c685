"""The formats a model can be kept in, best first, and what an exporter says when it cannot."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Format = Literal["onnx", "treelite", "skops"]

FORMATS: tuple[Format, ...] = ("onnx", "treelite", "skops")
"""In the order they are tried: by the time of one row (about 7, 60 and 200 to 5,000 microseconds)."""

MODEL_FILE: dict[Format, str] = {"onnx": "model.onnx", "treelite": "model.treelite", "skops": "model.skops"}
"""Each format is one file."""


class NotSupportedError(Exception):
    """This model cannot be written in this format. The message says why, for the parity table."""


def steps_of(estimator: Any) -> tuple[list[Any], Any]:
    """A pipeline's preprocessing steps and its final estimator; any other estimator has no steps.

    Nested pipelines are flattened, and steps that do nothing are left out.
    """
    if not hasattr(estimator, "steps"):
        return [], estimator
    before = [step for _, step in estimator.steps[:-1]]
    inner, final = steps_of(estimator.steps[-1][1])
    return [step for step in (*before, *inner) if not does_nothing(step)], final


def does_nothing(step: Any) -> bool:
    """Whether a fitted preprocessing step gives back its input, column by column."""
    if step is None or step == "passthrough":
        return True
    if type(step).__name__ == "FunctionTransformer":
        return step.func is None
    if hasattr(step, "steps"):
        return all(does_nothing(inner) for _, inner in step.steps)
    if type(step).__name__ == "ColumnTransformer":
        return _keeps_all_columns(step)
    return False


def _keeps_all_columns(transformer: Any) -> bool:
    positions: list[int] = []
    everything = range(transformer.n_features_in_)
    for _, inner, columns in transformer.transformers_:
        chosen = _positions(columns, everything)
        if chosen and not does_nothing(inner):
            return False
        positions.extend(chosen)
    return positions == list(everything)


def _positions(columns: Any, everything: range) -> list[int]:
    if isinstance(columns, slice):
        return list(everything[columns])
    chosen = np.asarray(columns)
    return (
        list(np.flatnonzero(chosen)) if chosen.dtype == bool else [int(one) for one in np.atleast_1d(chosen)]
    )
