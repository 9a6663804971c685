"""Whether the project's own transformers and estimators can do what serving asks of them: read arrays, and be saved.

A served row is an array in schema order. A transformer that finds columns by name works on a DataFrame in a notebook and
fails in production; here it is told apart from one that is broken, by trying it on a DataFrame as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from fairlead.errors import UserCodeError
from fairlead.model.fit import first_line

WAY_OUT = (
    "Rows are arrays in schema order: select columns by integer position, `schema.columns.index(NAME)`, "
    "with the schema that `model.features` is called with."
)


def check_reads_arrays(
    what: str,
    make: Callable[[], Any],
    array: NDArray[Any],
    columns: Sequence[str],
    target: NDArray[Any] | None,
) -> Any:
    """Fit a fresh transformer or estimator on an array.

    Args:
        what: What messages call it.
        make: Makes an unfitted one.
        array: A few encoded rows.
        columns: Names of the array's columns, for the attempt with a DataFrame.
        target: What it is fitted to.

    Returns:
        What was fitted.

    Raises:
        UserCodeError: It cannot be made, needs pandas, or fails on arrays and DataFrames alike.
    """
    made = _made(what, make)
    for transformer, selected in column_names_in(made):
        raise UserCodeError(
            f"{what}: {type(transformer).__name__} selects columns by {selected}; that needs pandas",
            hint=WAY_OUT,
        )
    try:
        fitted = made.fit(array, target)
        output = fitted.transform(array) if hasattr(fitted, "transform") else None
    except Exception as cause:
        if _works_on_a_frame(_made(what, make), array, columns, target):
            raise UserCodeError(
                f"{what}: {type(made).__name__} works on a DataFrame but not on an array ({first_line(cause)}); it needs pandas",
                hint=WAY_OUT,
            ) from cause
        raise UserCodeError(
            f"{what}: fitting it raised {type(cause).__name__}: {first_line(cause)}"
        ) from cause
    if isinstance(output, pd.DataFrame | pd.Series):
        raise UserCodeError(
            f"{what}: {type(made).__name__} gives a {type(output).__name__}; it needs pandas",
            hint="Return an array, and do not call set_output.",
        )
    return fitted


def _made(what: str, make: Callable[[], Any]) -> Any:
    try:
        made = make()
    except UserCodeError:
        raise
    except Exception as cause:
        raise UserCodeError(
            f"{what}: calling it raised {type(cause).__name__}: {first_line(cause)}"
        ) from cause
    if isinstance(made, type) or not hasattr(made, "fit"):
        raise UserCodeError(
            f"{what} returned {made!r:.60}, which has no method fit",
            hint="Return an unfitted scikit-learn object.",
        )
    return made


def column_names_in(transformer: Any) -> Iterator[tuple[Any, str]]:
    """Column transformers inside *transformer* that select by name or by data type, and how."""
    for part in _parts(transformer):
        for _, _, columns in part.transformers:
            if callable(columns):
                yield part, "a callable"
            elif isinstance(columns, str) or (
                isinstance(columns, list | tuple) and any(isinstance(c, str) for c in columns)
            ):
                yield part, f"name ({columns!r})"


def _parts(transformer: Any) -> Iterator[ColumnTransformer]:
    if isinstance(transformer, ColumnTransformer):
        yield transformer
    if hasattr(transformer, "get_params"):
        for value in transformer.get_params(deep=True).values():
            if isinstance(value, ColumnTransformer):
                yield value


def _works_on_a_frame(
    made: Any, array: NDArray[Any], columns: Sequence[str], target: NDArray[Any] | None
) -> bool:
    frame = pd.DataFrame(array, columns=list(columns))
    if array.dtype == object:
        frame = frame.infer_objects()
    try:
        fitted = made.fit(frame, target)
        if hasattr(fitted, "transform"):
            fitted.transform(frame)
    except Exception:  # the user's code may raise anything; then pandas is not what it lacks
        return False
    return True


def few_rows(target: NDArray[Any] | None, rows: int, most: int = 200) -> NDArray[np.intp]:
    """Positions of a few rows that hold every class: the first ones, and the first of each class."""
    first = np.arange(min(rows, most))
    if target is None or target.dtype.kind not in "iu":
        return first
    _, one_of_each = np.unique(target, return_index=True)
    return np.unique(np.concatenate([first, one_of_each]))
