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

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import FieldError, Output, Schema
from fairlead.schema.answers import labels_of
from fairlead.serve.http import Answer, Limits, Refused, json_answer, parse_json
from fairlead.serve.loading import LoadedModel

UNKNOWN_FIELD = "(unknown)"
"""How the counters name fields that the schema does not have, since clients can invent any number of them."""


class Predictor:
    """Answers ``/predict`` for one model."""

    def __init__(self, model: LoadedModel, limits: Limits) -> None:
        self._model = model
        self._limits = limits
        self._shape = _shape_of(model.schema.output)

    def __call__(self, body: bytes) -> Answer:
        """Score the rows of *body*. Raises Refused."""
        rows = self._rows_of(parse_json(body))
        return json_answer(self.answer(rows), rows=len(rows))

    def answer(self, rows: Sequence[Any]) -> dict[str, Any]:
        """Model, version and one prediction a row. Raises Refused if a row breaks the schema."""
        predictions = self._shape(score(self._model, rows, self._limits))
        return {"model": self._model.name, "version": self._model.version, "predictions": predictions}

    def _rows_of(self, document: Any) -> list[Any]:
        if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
            raise Refused(
                422, 'the body must be an object with a list of rows: {"rows": [{…}, …]}', errors=[]
            )
        unknown = [key for key in document if key != "rows"]
        if unknown:
            raise Refused(
                422, f"there is no such key: {unknown[0][:60]!r}; the only key is 'rows'", errors=[]
            )
        rows: list[Any] = document["rows"]
        return rows


def score(model: LoadedModel, rows: Sequence[Any], limits: Limits) -> NDArray[np.float64]:
    """Validate, encode and score *rows*.

    Raises: Refused: 413 too many rows; 422 no rows, rows that break the schema, or rows the model has no
        finite answer for.
    """
    if len(rows) > limits.rows:
        raise Refused(413, f"{len(rows)} rows are more than {limits.rows}; send them in several requests")
    if not rows:
        raise Refused(422, "there are no rows", errors=[])
    columns, errors = model.validate(rows, limit=limits.errors)
    if not errors:
        answers = model.answers(model.encode(columns))
        if np.isfinite(answers).all():
            return answers
        errors = [FieldError(int(row), "", "", "the model has no finite answer for this row")
                  for row in np.flatnonzero(~np.isfinite(answers).all(axis=1))]  # fmt: skip
    raise refusal_of(errors, model.schema, limits)


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

Shape = Callable[[NDArray[np.float64]], list[dict[str, Any]]]


def _shape_of(output: Output) -> Shape:
    if output.task == "classification":
        return _classification(output)
    if output.task == "clustering":
        return lambda answers: [
            {"cluster": cluster, "scores": scores}
            for cluster, scores in zip(answers.argmax(axis=1).tolist(), answers.tolist(), strict=True)
        ]
    return lambda answers: [{"value": value} for value in answers[:, 0].tolist()]


def _classification(output: Output) -> Shape:
    classes = output.classes

    def shape(answers: NDArray[np.float64]) -> list[dict[str, Any]]:
        predictions = []
        for label, row in zip(labels_of(output, answers), answers.tolist(), strict=True):
            probabilities = dict(zip(classes, row, strict=True))
            called = output.positive if len(classes) == 2 else label
            predictions.append(
                {"label": label, "probability": probabilities[called], "probabilities": probabilities}
            )
        return predictions

    return shape
