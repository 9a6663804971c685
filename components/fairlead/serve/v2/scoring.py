"""Columns of a request to answers, without a detour over rows where all is well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fairlead.schema.columns import ColumnEncoder
from fairlead.serve.http import Limits, Refused, Scored
from fairlead.serve.loading import LoadedModel
from fairlead.serve.predict import score
from fairlead.serve.v2.tensors import Column

ERRORS_IN_TEXT = 10
"""So many values are named in the one text the protocol has for an error."""


FEW_ROWS = 4
"""Up to so many rows cost less one by one than as columns, whose arrays have to be made first."""


class Rows(Sequence[dict[str, Any]]):
    """Columns, seen as the rows they are: a dictionary is made only of a row that someone reads."""

    def __init__(self, columns: Mapping[str, Column], count: int) -> None:
        """Take columns of *count* entries each."""
        self.columns = columns
        self._count = count
        self._made: list[dict[str, Any]] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._all()[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._all())

    def _all(self) -> list[dict[str, Any]]:
        if self._made is None:
            plain = [
                column.tolist() if isinstance(column, np.ndarray) else column
                for column in self.columns.values()
            ]
            names = tuple(self.columns)
            self._made = [dict(zip(names, row, strict=True)) for row in zip(*plain, strict=True)]
        return self._made


class Scorer:
    """Scores the columns of requests to one model."""

    def __init__(self, model: LoadedModel, limits: Limits) -> None:
        self._model = model
        self._limits = limits
        self._encode = ColumnEncoder(model.schema)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Scored:
        """Validate, encode and score. Raises Refused (400) with all that is wrong in one text."""
        try:
            return Scored(rows, self._answers(rows))
        except Refused as refusal:
            if refusal.status == 422:
                refusal.status, refusal.content = 400, {"error": in_one_text(refusal.content)}
            raise

    def _answers(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """All rows at once; where a value may be wrong, one by one, to say which and why."""
        if isinstance(rows, Rows) and FEW_ROWS < len(rows) <= self._limits.rows:
            batch = self._encode(rows.columns, len(rows))
            if batch is not None:
                answers = self._model.answers(batch)
                if np.isfinite(answers).all():
                    return answers
        return score(self._model, rows, self._limits)


def in_one_text(content: Mapping[str, Any]) -> str:
    """The errors of a refusal in the one text the protocol has for them."""
    errors = content.get("errors") or []
    said = [_in_text(error) for error in errors[:ERRORS_IN_TEXT]]
    if len(errors) > ERRORS_IN_TEXT:
        said.append(f"and {len(errors) - ERRORS_IN_TEXT} more")
    return "; ".join(said) or str(content["error"])


def _in_text(error: Mapping[str, Any]) -> str:
    at_field = f", field {error['field']} = {error['value']}" if error["field"] else ""
    return f"row {error['row']}{at_field}: {error['rule']}"
