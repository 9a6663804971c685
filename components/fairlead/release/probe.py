"""The scored probe: what a candidate is asked, and which answers let it through."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairlead.release.observe import probe_rows
from fairlead.release.policy import ProbePolicy

READY_PATH = "/readyz"

Ask = Callable[[str, bytes | None, float], tuple[int, bytes]]
"""Sends a request (url, body to POST or None to GET, seconds) and gives status and body. Raises OSError if there is no answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a probe found."""

    passed: bool
    said: str


def probe(ask: Ask, base: str, policy: ProbePolicy, annotation: str) -> Answered:
    """Ask the slot behind *base* for predictions; without probe rows only whether it is ready, and say so."""
    rows = probe_rows(annotation)
    try:
        if not rows:
            status, _ = ask(base + READY_PATH, None, policy.timeout_seconds)
            return Answered(
                status == 200, f"not scored: there are no probe rows; {READY_PATH} answered {status}"
            )
        body = json.dumps({"rows": rows}).encode()
        return judge(*ask(base + policy.path, body, policy.timeout_seconds), rows=len(rows))
    except OSError as error:
        return Answered(False, f"no answer: {error}")


def judge(status: int, body: bytes, *, rows: int) -> Answered:
    """Whether an answer holds as many finite predictions as rows were sent.

    >>> judge(200, b'{"predictions": [{"value": 1.5}]}', rows=1)
    Answered(passed=True, said='scored: 1 of 1 rows')
    >>> judge(200, b'{"predictions": [{"value": NaN}]}', rows=1).said
    'prediction 1 of 1 holds no finite number'
    >>> judge(500, b"oh", rows=1).said
    'status 500: oh'
    """
    if status != 200:
        return Answered(False, f"status {status}: {body[:200].decode(errors='replace')}")
    try:
        predictions = json.loads(body)["predictions"]
        count = len(predictions)
    except (ValueError, KeyError, TypeError):
        return Answered(False, f"the answer holds no predictions: {body[:200].decode(errors='replace')}")
    if count != rows:
        return Answered(False, f"{count} predictions for {rows} rows")
    for place, prediction in enumerate(predictions, start=1):
        numbers = list(_numbers(prediction))
        if not numbers or not all(map(math.isfinite, numbers)):
            return Answered(False, f"prediction {place} of {rows} holds no finite number")
    return Answered(True, f"scored: {count} of {rows} rows")


def _numbers(value: Any) -> list[float]:
    """All numbers anywhere in a prediction."""
    if isinstance(value, dict):
        return [number for child in value.values() for number in _numbers(child)]
    if isinstance(value, list):
        return [number for child in value for number in _numbers(child)]
    return [float(value)] if isinstance(value, (int, float)) and not isinstance(value, bool) else []
