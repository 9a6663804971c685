"""``POST /explain``: named rows in, and for each what every field adds to the model's answer.

::

    {"rows": [{"amount": 900, "country": "FR"}]}
    {"model": "fraud", "version": "3f…", "method": "sampled", "orders": 32,
     "reference": {"amount": 40, "country": "DE"},
     "explanations": [{
         "prediction": {"label": "yes", "probability": 0.61, "probabilities": {"no": 0.39, "yes": 0.61}},
         "explains": "probability of yes", "answer": 0.61, "base": 0.02,
         "contributions": {"amount": 0.5, "country": 0.09}, "standard_error": 0.004}]}

``base`` is the model's answer for the reference row, the typical row of the training data
(:mod:`fairlead.serve.explain.reference`). ``contributions`` add up to ``answer`` less ``base``, up to rounding. They
are Shapley values (:mod:`fairlead.serve.explain.shapley`): of one reference row, so they say how this row differs from a
typical one, for this model; they say nothing about causes. With up to eight fields they are exact; with more
they are averages over ``orders`` in which fields can take effect, and ``standard_error`` is that of the least
certain of them.

What is explained is one number: the probability of the positive class where there are two classes, that of the
label where there are more; the value; the score of the cluster. A text is one field. So is, for a forecast, each
of ``key``, ``at``, ``history`` and ``step``.

An explanation asks the model some hundred times a row, so fewer rows are taken than by ``/predict``, and the
work is done beside the event loop (:mod:`fairlead.serve.guards.aside`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import Batch, FieldError, Output, Schema
from fairlead.serve.explain.reference import reference_row
from fairlead.serve.explain.shapley import Plan, plan_of
from fairlead.serve.guards.aside import Aside
from fairlead.serve.http import Answer, Limits, Refused, Request, json_answer, parse_json
from fairlead.serve.loading import LoadedModel
from fairlead.serve.predict import refusal_of, rows_of, wording_of

ORDERS = 32
"""Orders of joining, in pairs; fewer for models so wide that these would go beyond :data:`EVALUATIONS`."""
EVALUATIONS = 20_000
"""Rows the model is asked for in one request: a tenth of a second for most models."""
CELLS = 4_000_000
"""Numbers handed to the model at once (16 MB)."""


class Explainer:
    """Answers ``/explain`` for one model."""

    def __init__(self, model: LoadedModel, limits: Limits, aside: Aside | None = None) -> None:
        """Explain *model*; *aside* is where the work is done, one of its own if none is given."""
        self._model = model
        self._limits = limits
        self._aside = aside or Aside("explanations")
        self._words = wording_of(model.schema.output)

    async def __call__(self, request: Request) -> Answer:
        """Explain the rows of the body. Raises Refused, as :meth:`explain` does."""
        self._check_allowed()
        return await self._aside.run(lambda: json_answer(self.explain(rows_of(parse_json(request.body)))))

    def explain(self, rows: Sequence[Any]) -> dict[str, Any]:
        """The answer, as the module says.

        Raises:
            Refused: 403 the bundle does not allow it; 413 too many rows; 422 no rows, rows that break the
                schema, or a row the model has no finite answer for.
        """
        self._check_allowed()
        columns = self._validated(rows)
        return {
            "model": self._model.name,
            "version": self._model.version,
            "method": "sampled" if self._plan.orders else "exact",
            "orders": self._plan.orders,
            "reference": self._reference,
            "explanations": self._explained(columns, len(rows)),
        }

    # ------------------------------------------------------------------------------------------------ bounds

    @property
    def most_rows(self) -> int:
        """Rows one request may have."""
        return max(1, min(self._limits.rows, EVALUATIONS // len(self._plan.coalitions)))

    def _check_allowed(self) -> None:
        if not self._model.rules.explain:
            raise Refused(
                403,
                "explanations are switched off for this model, because contributions tell a caller about it; "
                "`explain: true` under `serve` of the project file allows them",
            )

    def _validated(self, rows: Sequence[Any]) -> dict[str, list[Any]]:
        if not rows:
            raise Refused(422, "there are no rows", errors=[])
        if len(rows) > self.most_rows:
            raise Refused(
                413,
                f"{len(rows)} rows are more than {self.most_rows}, because each asks the model "
                f"{len(self._plan.coalitions)} times; send them in several requests",
            )
        columns, errors = self._model.validate(rows, limit=self._limits.errors)
        if errors:
            raise refusal_of(errors, self._model.schema, self._limits)
        return columns

    # ------------------------------------------------------------------------------------------------- work

    @functools.cached_property
    def _reference(self) -> dict[str, Any]:
        return reference_row(self._model.schema, self._model.profile)

    @functools.cached_property
    def _plan(self) -> Plan:
        """Made with the first request: a model that is never explained does not pay for it."""
        fields = len(self._reference)
        return plan_of(fields, min(ORDERS, EVALUATIONS // (fields + 1)))

    def _explained(self, columns: Mapping[str, Sequence[Any]], rows: int) -> list[dict[str, Any]]:
        """All that is said about each row."""
        answers = self._asked(columns, rows)
        own = answers[:, -1]
        output = _explained_output(self._model.schema.output, own)
        values = answers[np.arange(rows), :, output]  # (rows, coalitions)
        contributions, errors = self._plan.contributions(values)
        return [
            {
                "prediction": prediction,
                "explains": _name_of(self._model.schema.output, int(output[row])),
                "answer": float(values[row, -1]),
                "base": float(values[row, 0]),
                "contributions": dict(zip(self._reference, contributions[row].tolist(), strict=True)),
                "standard_error": _largest(errors[row]),
            }
            for row, prediction in enumerate(self._words(own))
        ]

    def _asked(self, columns: Mapping[str, Sequence[Any]], rows: int) -> NDArray[np.float64]:
        """The model's answers: shape (rows, coalitions, k). Nobody is the first coalition, everybody the last."""
        coalitions = self._plan.coalitions
        mix = _mixer(self._model, columns, self._reference)
        pairs = np.arange(rows * len(coalitions))
        step = max(1, CELLS // max(1, len(self._model.schema.columns)))
        parts = []
        for start in range(0, len(pairs), step):
            row, coalition = np.divmod(pairs[start : start + step], len(coalitions))
            parts.append(self._model.answers(mix(row, coalitions[coalition])))
        answers = np.concatenate(parts).reshape(rows, len(coalitions), -1)
        if not np.isfinite(answers).all():
            raise _not_finite(answers, self._model.schema, self._limits)
        return answers


# ------------------------------------------------------------------------------------------- rows of two kinds

Mixer = Callable[[NDArray[np.intp], NDArray[np.bool_]], Batch]
"""Positions of rows (n) and which fields keep the row's value (n, fields) to encoded rows, in which the other
fields have the reference's value."""


def _mixer(model: LoadedModel, columns: Mapping[str, Sequence[Any]], reference: Mapping[str, Any]) -> Mixer:
    base = {name: [value] for name, value in reference.items()}
    if model.schema.series is not None:
        return _series_mixer(model, columns, base)
    return _field_mixer(model.schema, model.encode(columns), model.encode(base))


def _field_mixer(schema: Schema, given: Batch, base: Batch) -> Mixer:
    """Fields are encoded each for itself, so encoded rows can be mixed, which costs no encoding."""
    owner = [position for position, field in enumerate(schema.fields) for _ in field.columns]
    texts = [position for position, field in enumerate(schema.fields) if field.kind == "text"]

    def mix(rows: NDArray[np.intp], kept: NDArray[np.bool_]) -> Batch:
        numbers = np.where(kept[:, owner], given.numbers[rows], base.numbers[0])
        return Batch(numbers, tuple(
            np.where(kept[:, position], text[rows], other[0])
            for position, text, other in zip(texts, given.texts, base.texts, strict=True)
        ))  # fmt: skip

    return mix


def _series_mixer(
    model: LoadedModel, columns: Mapping[str, Sequence[Any]], base: Mapping[str, Sequence[Any]]
) -> Mixer:
    """Features of a forecast depend on several parts of a row at once, so parts are mixed before encoding."""

    def mix(rows: NDArray[np.intp], kept: NDArray[np.bool_]) -> Batch:
        return model.encode({
            name: [columns[name][row] if keep else base[name][0]
                   for row, keep in zip(rows.tolist(), kept[:, position].tolist(), strict=True)]
            for position, name in enumerate(base)
        })  # fmt: skip

    return mix


# ------------------------------------------------------------------------------------------- what is explained


def _explained_output(output: Output, answers: NDArray[np.float64]) -> NDArray[np.intp]:
    """The column of each row's answer that is explained."""
    if len(output.classes) == 2:
        return np.full(len(answers), output.classes.index(output.positive), dtype=np.intp)
    called: NDArray[np.intp] = answers.argmax(axis=1)
    return called


def _name_of(output: Output, column: int) -> str:
    """What the explained number is, in words."""
    if output.task == "classification":
        return f"probability of {output.classes[column]}"
    return f"score of cluster {column}" if output.task == "clustering" else "value"


def _largest(errors: NDArray[np.float64]) -> float | None:
    """The largest error; None if it is not known."""
    largest = float(errors.max(initial=0.0))
    return None if math.isnan(largest) else largest


def _not_finite(answers: NDArray[np.float64], schema: Schema, limits: Limits) -> Refused:
    """Such a row cannot be explained, even if only its mixture with the reference has no answer."""
    rule = "the model has no finite answer for this row, or for it mixed with the reference row"
    rows = np.flatnonzero(~np.isfinite(answers).all(axis=(1, 2)))
    return refusal_of([FieldError(int(row), "", "", rule) for row in rows], schema, limits)
