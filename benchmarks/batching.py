"""What scoring requests together costs a request: collecting its rows with others, and dividing the answers.

python benchmarks/batching.py [REQUESTS]

``POST /predict`` is answered in this process, one row of ten numbers at a time, by a model that costs nothing; with as many
callers at once as each line says, each of which asks again when it has its answer. The difference between the two ways is
what the decision about batching (``fairlead.bundle.batching``) has to reckon with. Exits with 1 where it is more than that.
"""

from __future__ import annotations

import asyncio
import sys
import time

import numpy as np
import orjson

from fairlead.bundle.batching import OVERHEAD_SECONDS
from fairlead.cli.show import table
from fairlead.schema import Batch, Field, Output, Schema
from fairlead.serve.backends import Predict
from fairlead.serve.batched import predictor_of
from fairlead.serve.http import Answer, Handler, Limits, Request
from fairlead.serve.loading import LoadedModel, Manifest
from fairlead.serve.rules import Batching, Rules

CALLERS = (1, 4, 16, 64)
ROUNDS = 9
"""The least of so many counts, since other processes only ever add to it."""
NAMES = tuple(f"number_{position}" for position in range(10))
BODY = orjson.dumps({"rows": [dict.fromkeys(NAMES, 1.5)]})


def handler(batching: Batching | None) -> Handler:
    """What answers ``/predict`` for a model that costs nothing."""
    output = Output("classification", "y", classes=("no", "yes"), positive="yes")
    schema = Schema("nothing", tuple(Field(name, "number") for name in NAMES), output)
    manifest = Manifest("nothing", "0" * 64, "onnx", "model.onnx", (), {})
    return predictor_of(LoadedModel(manifest, schema, _nothing(), Rules(batching=batching)), Limits())


def _nothing() -> Predict:
    answers = np.full((max(CALLERS), 2), 0.5)

    def predict(batch: Batch) -> np.ndarray:
        return answers[: len(batch)]

    return predict


async def ask(handle: Handler) -> None:
    """One request."""
    answer = handle(Request(BODY, [], "", "/predict"))
    if not isinstance(answer, Answer):
        await answer


async def seconds_a_request(handle: Handler, callers: int, requests: int) -> float:
    """CPU time of this process a request; a request has a task of its own, as it has in a server."""

    async def caller() -> None:
        for _ in range(requests // callers):
            await asyncio.create_task(ask(handle))

    before = time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return (time.process_time() - before) / (requests // callers * callers)


async def measure(requests: int) -> dict[int, tuple[float, float]]:
    """By callers: seconds a request alone and together, measured in turn."""
    ways = (handler(None), handler(Batching(max(CALLERS), 0.0)))
    found = {}
    for callers in CALLERS:
        rounds = [[await seconds_a_request(way, callers, requests) for way in ways] for _ in range(ROUNDS)]
        alone, together = (min(times) for times in zip(*rounds, strict=True))
        found[callers] = alone, together
    return found


def main() -> int:
    """Print the table; 1 if a request is charged more than the decision reckons with."""
    found = asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3000))
    rows = [
        (callers, *(f"{seconds * 1e6:.1f}" for seconds in (alone, together, together - alone)))
        for callers, (alone, together) in found.items()
    ]
    table("CPU a request in µs", ("callers", "alone", "together", "difference"), rows)
    return int(any(together - alone > OVERHEAD_SECONDS for alone, together in found.values()))


if __name__ == "__main__":
    sys.exit(main())
