"""``POST /predict`` of a model that scores concurrent requests together."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import Batch
from fairlead.serve.batching import Batcher
from fairlead.serve.http import Answer, Handler, Limits, Request, Scored, json_answer, parse_flat_json
from fairlead.serve.loading import LoadedModel
from fairlead.serve.predict import Predictor, answers_of, checked, read_rows, rows_of
from fairlead.serve.rules import Batching


def predictor_of(model: LoadedModel, limits: Limits) -> Handler:
    """What answers ``/predict``: each request alone, or together where the model's rules say that this pays."""
    batching = model.rules.batching
    return Predictor(model, limits) if batching is None else BatchedPredictor(model, limits, batching)


class BatchedPredictor:
    """Reads a request when it comes, and scores it together with those that come while the model is busy."""

    def __init__(self, model: LoadedModel, limits: Limits, batching: Batching) -> None:
        self._model = model
        self._limits = limits
        self._most = batching.rows
        self._together = Batcher(model.answers, batching.rows, batching.wait_ms)
        self._document = Predictor(model, limits).document

    def __call__(self, request: Request) -> Answer | Awaitable[Answer]:
        """Score the rows of the body. Raises Refused: here what is wrong with the rows, when awaited the rest.

        A request that fills a call by itself is scored here, as a :class:`Predictor` does it: the app answers large
        requests in a thread, which the event loop need not wait for.
        """
        rows = rows_of(parse_flat_json(request.body))
        batch = read_rows(self._model, rows, self._limits, request.body)
        if len(batch) < self._most:
            return self._answer_together(request, rows, batch)
        return self._answer(request, rows, answers_of(self._model, batch, self._limits))

    async def _answer_together(self, request: Request, rows: Sequence[Any], batch: Batch) -> Answer:
        answers = await self._together(batch)
        return self._answer(request, rows, checked(answers, batch, self._model, self._limits))

    def _answer(self, request: Request, rows: Sequence[Any], answers: NDArray[np.float64]) -> Answer:
        return json_answer(self._document(answers), scored=Scored(rows, answers, request.body))
