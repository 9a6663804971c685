"""Fit a pipeline on rows: the few lines that search, training and the learning curve share."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fairlead.errors import DataError
from fairlead.model.candidates import Contender, Parameters
from fairlead.model.preprocess import plain_numbers
from fairlead.model.rows import Rows
from fairlead.schema import Output
from fairlead.schema.answers import answers_of
from fairlead.stats.metrics import codes_of


def target_of(output: Output, rows: Rows) -> NDArray[Any] | None:
    """What an estimator is fitted to: class codes in the order of ``output.classes``, numbers, or None (clustering).

    Codes and not labels, so that the order of the probability columns is the schema's, whatever the labels are.

    Raises:
        DataError: A label is not among the classes, or a class of the schema does not occur.
    """
    if output.task == "clustering":
        return None
    if output.task != "classification":
        return np.asarray(rows.actual, dtype=np.float64)
    try:
        codes = codes_of(output.classes, rows.actual)
    except ValueError as cause:
        raise DataError(str(cause), hint="Run the data stage again.") from cause
    present = np.unique(codes)
    if len(output.classes) < 2 or len(present) < len(output.classes):
        missing = [name for code, name in enumerate(output.classes) if code not in present]
        raise DataError(
            f"the training rows of {output.target!r} have {_names(output, present)}"
            + (f" and lack {', '.join(map(repr, missing))}" if missing else ""),
            hint="Give every class rows in the training split: another data.split.method, or more data.",
        )
    return codes


def _names(output: Output, present: NDArray[np.intp]) -> str:
    names = ", ".join(repr(output.classes[code]) for code in present)
    return f"only the class {names}" if len(present) == 1 else f"the classes {names}"


def fit(
    contender: Contender, parameters: Parameters, array: NDArray[Any], target: NDArray[Any] | None
) -> tuple[Any, list[str]]:
    """A pipeline fitted on encoded rows, and the distinct warnings that came up meanwhile."""
    pipeline = contender.pipeline(parameters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipeline.fit(array, target)
    return plain_numbers(pipeline), sorted({first_line(warning.message) for warning in caught})


def fit_quietly(estimator: Any, matrix: Any, target: NDArray[Any] | None) -> Any:
    """Fit one estimator without the warning that it could have gone on; the search compares what it got."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(matrix, target)


def ask(estimator: Any, output: Output, matrix: Any) -> NDArray[np.float64]:
    """Answers with one column a class of *output*, also if the estimator did not see all of them."""
    answers = answers_of(estimator, output.task, matrix)
    if output.task != "classification" or answers.shape[1] == len(output.classes):
        return answers
    every = np.zeros((len(answers), len(output.classes)))
    every[:, np.asarray(estimator.classes_, dtype=np.intp)] = answers
    return every


def space_of(estimator: Any, matrix: Any) -> Any:
    """*matrix* as the last step of a (nested) pipeline sees it; unchanged for any other estimator."""
    if not hasattr(estimator, "steps"):
        return matrix
    for _, step in estimator.steps[:-1]:
        matrix = step.transform(matrix)
    return space_of(estimator.steps[-1][1], matrix)


def first_line(error: Any) -> str:
    """The first line of what an exception or a warning says, or its type."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
