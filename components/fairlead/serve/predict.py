"""``POST /predict``: named rows in, one readable prediction a row out.

::

    {"rows": [{"amount": 12.5, "country": "DE"}]}
    {"model": "fraud", "version": "3f…", "predictions": [
        {"label": "no", "probability": 0.02, "probabilities": {"no": 0.98, "yes": 0.02}}]}

A prediction is ``label``, ``probability`` and ``probabilities`` for classification (``probability`` is that
of the positive class where there are two classes, that of the label where there are more), ``value`` for
regression and forecast, ``cluster`` and ``scores`` for clustering.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import Batch, FieldError, Output, Schema
from fairlead.schema.answers import labels_of
from fairlead.serve.http import (
    Answer,
    Limits,
    Refused,
    Request,
    Scored,
    check_depth,
    json_answer,
    parse_flat_json,
)  # fmt: skip
from fairlead.serve.loading import LoadedModel

FEW = 16
"""So many numbers are summed sooner by Python than by numpy."""

UNKNOWN_FIELD = "(unknown)"
"""How the counters name fields that the schema does not have, since clients can invent any number of them."""


class Predictor:
    """Answers ``/predict`` for one model."""

    def __init__(self, model: LoadedModel, limits: Limits) -> None:
        self._model = model
        self._limits = limits
        self._wording = wording_of(model.schema.output)

    def __call__(self, request: Request) -> Answer:
        """Score the rows of the body. Raises Refused."""
        rows = rows_of(parse_flat_json(request.body))
        batch = read_rows(self._model, rows, self._limits, request.body)
        answers = answers_of(self._model, batch, self._limits)
        return json_answer(self.document(answers), scored=Scored(rows, answers, request.body))

    def answer(self, rows: Sequence[Any]) -> dict[str, Any]:
        """Model, version and one prediction a row. Raises Refused if a row breaks the schema."""
        return self.document(score(self._model, rows, self._limits))

    def document(self, answers: NDArray[np.float64]) -> dict[str, Any]:
        """Model, version and one prediction a row."""
        return {
            "model": self._model.name,
            "version": self._model.version,
            "predictions": self._wording(answers),
        }


def rows_of(document: Any) -> list[Any]:
    """The rows of a parsed body. Raises Refused (422) if it is not ``{"rows": […]}``."""
    if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
        raise Refused(422, 'the body must be an object with a list of rows: {"rows": [{…}, …]}', errors=[])
    if len(document) > 1:
        unknown = next(key for key in document if key != "rows")
        raise Refused(422, f"there is no such key: {unknown[:60]!r}; the only key is 'rows'", errors=[])
    rows: list[Any] = document["rows"]
    return rows


def score(model: LoadedModel, rows: Sequence[Any], limits: Limits) -> NDArray[np.float64]:
    """Validate, encode and score *rows*; errors as those of :func:`read_rows` and :func:`answers_of`."""
    return answers_of(model, read_rows(model, rows, limits), limits)


def read_rows(model: LoadedModel, rows: Sequence[Any], limits: Limits, body: bytes = b"") -> Batch:
    """Validate and encode *rows*, which were parsed from *body*.

    Raises: Refused: 400 the body is nested too deeply; 413 too many rows; 422 no rows, or rows that break the
        schema.
    """
    if len(rows) > limits.rows:
        raise Refused(413, f"{len(rows)} rows are more than {limits.rows}; send them in several requests")
    if not rows:
        raise Refused(422, "there are no rows", errors=[])
    batch = model.read(rows)
    if batch is None:
        check_depth(body)  # rows that are read directly are flat
        columns, errors = model.validate(rows, limit=limits.errors)
        if errors:
            raise refusal_of(errors, model.schema, limits)
        batch = model.encode(columns)
    return batch


def answers_of(model: LoadedModel, batch: Batch, limits: Limits) -> NDArray[np.float64]:
    """Score *batch*.

    Raises: Refused: 422 the model has no finite answer for a row. RuntimeError: It has not one answer a row.
    """
    return checked(model.answers(batch), batch, model, limits)


def checked(
    answers: NDArray[np.float64], batch: Batch, model: LoadedModel, limits: Limits
) -> NDArray[np.float64]:
    """*answers*, which *model* gave for *batch*, if they can be told; errors as those of :func:`answers_of`."""
    if len(answers) != len(batch):
        raise RuntimeError(f"the model gave {len(answers)} answers for {len(batch)} rows")
    if not is_finite(answers):
        raise _refusal_of_answers(answers, model.schema, limits)
    return answers


def is_finite(answers: NDArray[np.float64]) -> bool:
    """Whether all of them are numbers.

    The sum is infinite or not a number if one of them is, and costs less than a look at each; of a few numbers it
    costs least in plain Python.
    """
    total = sum(answers.ravel().tolist()) if answers.size < FEW else answers.sum()
    return math.isfinite(total) or bool(np.isfinite(answers).all())


def _refusal_of_answers(answers: NDArray[np.float64], schema: Schema, limits: Limits) -> Refused:
    rule = "the model has no finite answer for this row"
    rows = np.flatnonzero(~np.isfinite(answers).all(axis=1)).tolist()
    return refusal_of([FieldError(row, "", "", rule) for row in rows], schema, limits)


def refusal_of(errors: Sequence[FieldError], schema: Schema, limits: Limits) -> Refused:
    """All that is wrong with the rows, as one refusal (422)."""
    shown = errors[: limits.errors]
    said = f"{len(shown)} values break" if len(shown) > 1 else "1 value breaks"
    capped = f"; there may be more: checking stops at {limits.errors}" if len(errors) >= limits.errors else ""
    refusal = Refused(422, f"{said} the model's schema{capped}", errors=[asdict(error) for error in shown])
    known = {field.name for field in schema.fields} | {"key", "at", "history", "step"}
    refusal.failures = Counter(error.field if error.field in known else UNKNOWN_FIELD for error in errors)
    return refusal


# ------------------------------------------------------------------------------------------ answers in words

Wording = Callable[[NDArray[np.float64]], list[dict[str, Any]]]
"""Answers to a prediction a row."""


def wording_of(output: Output) -> Wording:
    """How answers of this output are worded; see the head of this module."""
    if output.task == "classification":
        return _classification(output)
    if output.task == "clustering":
        return lambda answers: [
            {"cluster": cluster, "scores": scores}
            for cluster, scores in zip(answers.argmax(axis=1).tolist(), answers.tolist(), strict=True)
        ]
    return lambda answers: [{"value": value} for value in answers[:, 0].tolist()]


def _classification(output: Output) -> Wording:
    classes = output.classes

    def word(answers: NDArray[np.float64]) -> list[dict[str, Any]]:
        predictions = []
        for label, row in zip(labels_of(output, answers), answers.tolist(), strict=True):
            probabilities = dict(zip(classes, row, strict=True))
            predictions.append(
                {"label": label, "probability": probabilities[label], "probabilities": probabilities}
            )
        return predictions

    return _two_classes(output) if len(classes) == 2 else word


def _two_classes(output: Output) -> Wording:
    """The usual case, in plain Python: for a few rows quicker than numpy."""
    first, second = output.classes
    positive, threshold = output.classes.index(output.positive), output.threshold
    called = (output.classes[1 - positive], output.positive)

    def word(answers: NDArray[np.float64]) -> list[dict[str, Any]]:
        return [
            {
                "label": called[row[positive] >= threshold],
                "probability": row[positive],
                "probabilities": {first: row[0], second: row[1]},
            }
            for row in answers.tolist()
        ]

    return word
