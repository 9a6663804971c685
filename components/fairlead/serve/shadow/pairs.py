"""Two servers' answers to one request, side by side: what the other one said, and whether it says otherwise.

The other server may run another bundle with another threshold, so its label is taken from its answer; only
where that has none (a V2 request may ask for probabilities alone) is it called by our own rule.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from fairlead.schema import Output
from fairlead.schema.answers import labels_of
from fairlead.serve.http import Refused
from fairlead.serve.v2.binary import Tail, reader, split

_NUMBERS = {"classification": "probability", "clustering": "score"}
_LABELS = {"classification": "label", "clustering": "cluster"}


class Unreadable(Exception):
    """The other's answer is not one that a model server gives to this request."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server answered."""

    bundle: str
    """The version it says it answered with; empty if it does not say."""
    answers: NDArray[np.float64] | None
    """As in :mod:`fairlead.schema.answers`; None where the request asked for labels alone."""
    labels: Sequence[Any] | None
    """The class or cluster called for each row; None for values."""


_WRONG = (ValueError, LookupError, TypeError, AttributeError, OverflowError, struct.error, Refused)
"""What reading a document raises that is not what it should be."""


def read_predict(body: bytes, _json_length: bytes | None, output: Output) -> Reading:
    """An answer of ``/predict``.

    >>> read_predict(b'{"version": "3f", "predictions": [{"value": 2.5}]}', None, Output("regression")).answers
    array([[2.5]])

    Raises: Unreadable.
    """
    try:
        document = orjson.loads(body)
        predictions = document["predictions"]
        if output.task == "classification":
            numbers: Any = [list(prediction["probabilities"].values()) for prediction in predictions]
        elif output.task == "clustering":
            numbers = [prediction["scores"] for prediction in predictions]
        else:
            numbers = [[prediction["value"]] for prediction in predictions]
        called = _LABELS.get(output.task)
        labels = None if called is None else [prediction[called] for prediction in predictions]
        return Reading(str(document.get("version", "")), _matrix(numbers, len(predictions)), labels)
    except _WRONG as cause:
        raise Unreadable(f"no answer of /predict: {cause!r}") from cause


def read_infer(body: bytes, json_length: bytes | None, output: Output) -> Reading:
    """An answer of the Open Inference Protocol, with all or some of the model's outputs, in JSON or binary.

    Args:
        body: The answer.
        json_length: Its header ``Inference-Header-Content-Length``; None where all of it is JSON.
        output: What our model answers.

    Raises:
        Unreadable.
    """
    try:
        json, tail = split(body, json_length)
        document = orjson.loads(json)
        tensors = {tensor["name"]: _values(tensor, tail) for tensor in document["outputs"]}
        rows, numbers = tensors.get(_NUMBERS.get(output.task, "value"), (0, None))
        answers = None if numbers is None else _matrix(numbers, rows)
        _, called = tensors.get(_LABELS.get(output.task, ""), (0, None))
        labels = None if called is None else list(called)
        return Reading(str(document.get("model_version", "")), answers, labels)
    except _WRONG as cause:
        raise Unreadable(f"no answer of the inference protocol: {cause!r}") from cause


def _values(tensor: Any, tail: Tail) -> tuple[int, Any]:
    """Rows and values of an output tensor. Binary ones are in the order of the tensors."""
    shape = tensor["shape"]
    size = tensor.get("parameters", {}).get("binary_data_size")
    if size is None:
        return int(shape[0]), tensor["data"]
    read = reader(tensor["name"], tensor["datatype"], math.prod(shape))
    return int(shape[0]), read(tail.take(tensor["name"], size))


def _matrix(numbers: Any, rows: int) -> NDArray[np.float64]:
    answers = np.asarray(numbers, dtype=np.float64).reshape(rows, -1)
    if not np.isfinite(answers).all():
        raise ValueError("not finite")
    return answers


def changed_rows(output: Output, ours: NDArray[np.float64], other: Reading, tolerance: float) -> int:
    """Rows for which the other decides otherwise: another label, or a value further off than *tolerance*.

    Args:
        output: What our model answers.
        ours: Shape (rows, k), as in :mod:`fairlead.schema.answers`.
        other: What the other answered.
        tolerance: For values, as a share of the larger of the two.

    Raises:
        Unreadable: The other answered for another number of rows, or with nothing to compare.

    >>> ours = np.array([[100.0], [100.0]])
    >>> changed_rows(Output("regression"), ours, Reading("", np.array([[101.0], [120.0]]), None), 0.05)
    1
    """
    if output.task in _LABELS:
        return _changed_labels(output, ours, other)
    if other.answers is None or other.answers.shape != ours.shape:
        raise Unreadable("other rows than were asked for")
    allowed = tolerance * np.maximum(np.abs(ours), np.abs(other.answers))
    return int((np.abs(ours - other.answers) > allowed).any(axis=1).sum())


def _changed_labels(output: Output, ours: NDArray[np.float64], other: Reading) -> int:
    called = other.labels
    if called is None and other.answers is not None and other.answers.shape == ours.shape:
        called = _called(output, other.answers)
    if called is None or len(called) != len(ours):
        raise Unreadable("other rows than were asked for, or nothing to compare")
    return sum(mine != theirs for mine, theirs in zip(_called(output, ours), called, strict=True))


def _called(output: Output, answers: NDArray[np.float64]) -> Sequence[Any]:
    if output.task == "clustering":
        clusters: list[int] = answers.argmax(axis=1).tolist()
        return clusters
    return labels_of(output, answers)


def pair_record(
    said: Mapping[str, Any], ours: NDArray[np.float64], other: Reading | None, flipped: int
) -> dict[str, Any]:
    """A pair as the prediction log keeps it; *said* is what is known without the answers.

    ``flipped`` is null where the other refused what we answered: there is nothing to compare.
    """
    answers = None if other is None or other.answers is None else other.answers.tolist()
    return {
        "kind": "pair",
        **said,
        "answers": ours.tolist(),
        "other_bundle": "" if other is None else other.bundle,
        "other_answers": answers,
        "flipped": None if other is None else flipped > 0,
        "flipped_rows": flipped,
    }
