"""The Open Inference Protocol, version 2, over REST: one input tensor a schema field, one row an index.

============================  ============================================================================
inputs                        shape [n] or [n, 1]: number FP64, integer INT64, boolean BOOL; category, text
                              and datetime (ISO 8601) BYTES, written as strings
inputs of a forecast          ``key`` BYTES [n], ``at`` BYTES [n], ``history`` FP64 [n, window],
                              ``step`` INT64 [n]
outputs, classification       ``label`` BYTES [n], ``probability`` FP64 [n, classes]
outputs, regression/forecast  ``value`` FP64 [n]
outputs, clustering           ``cluster`` INT64 [n], ``score`` FP64 [n, clusters]
============================  ============================================================================

Any numeric datatype but FP16 (which JSON cannot carry) is taken for numbers. ``null`` is a missing value, and
an input that is left out is missing in every row; the schema says where that is allowed. Errors are
``{"error": text}`` with status 400, 404 for an unknown model or version.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import Output, Schema
from fairlead.schema.answers import labels_of
from fairlead.schema.validate import shown
from fairlead.serve.http import Answer, Limits, Refused, json_answer, parse_json
from fairlead.serve.loading import LoadedModel, answer_width
from fairlead.serve.predict import score

ERRORS_IN_TEXT = 10
"""So many values are named in the one text the protocol has for an error."""

PLATFORM = {"onnx": "onnx_onnxv1", "treelite": "treelite_checkpoint", "skops": "sklearn_skops"}

_WHOLE: dict[str, tuple[int, int]] = {
    f"{'U' * unsigned}INT{bits}": (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for unsigned in (False, True)
    for bits in (8, 16, 32, 64)
}
"""Whole-number datatypes and their ranges."""
_NUMERIC = frozenset({"FP32", "FP64", *_WHOLE})


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named input or output of a model. ``shape`` is that of one row."""

    name: str
    datatype: str
    shape: tuple[int, ...] = ()

    @property
    def metadata(self) -> dict[str, Any]:
        """As the protocol describes it; -1 is the number of rows."""
        return {"name": self.name, "datatype": self.datatype, "shape": [-1, *self.shape]}

    @property
    def accepts(self) -> frozenset[str]:
        """The datatypes a request may use for this input."""
        return _NUMERIC if self.datatype in _NUMERIC else frozenset({self.datatype})


def inputs_of(schema: Schema) -> tuple[Tensor, ...]:
    """One tensor a field of a request row."""
    if schema.series is not None:
        window = schema.series.window
        return (
            Tensor("key", "BYTES"),
            Tensor("at", "BYTES"),
            Tensor("history", "FP64", (window,)),
            Tensor("step", "INT64"),
        )
    datatype = {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}
    return tuple(Tensor(field.name, datatype.get(field.kind, "BYTES")) for field in schema.fields)


def outputs_of(schema: Schema) -> tuple[Tensor, ...]:
    """What the model gives a row."""
    width = (answer_width(schema),)
    if schema.output.task == "classification":
        return (Tensor("label", "BYTES"), Tensor("probability", "FP64", width))
    if schema.output.task == "clustering":
        return (Tensor("cluster", "INT64"), Tensor("score", "FP64", width))
    return (Tensor("value", "FP64"),)


class ModelProtocol:
    """Answers the protocol's calls about one model."""

    def __init__(self, model: LoadedModel, limits: Limits) -> None:
        self._model = model
        self._limits = limits
        self._inputs = {tensor.name: tensor for tensor in inputs_of(model.schema)}
        self._outputs = {tensor.name: tensor for tensor in outputs_of(model.schema)}

    def metadata(self, _body: bytes) -> Answer:
        """``GET /v2/models/NAME``."""
        return json_answer({
            "name": self._model.name,
            "versions": [self._model.version],
            "platform": PLATFORM[self._model.format],
            "inputs": [tensor.metadata for tensor in self._inputs.values()],
            "outputs": [tensor.metadata for tensor in self._outputs.values()],
        })  # fmt: skip

    def infer(self, body: bytes) -> Answer:
        """``POST /v2/models/NAME/infer``. Raises Refused."""
        request = parse_json(body)
        if not isinstance(request, dict):
            raise Refused(400, "the body must be an object")
        identity = _identity(request)
        chosen = self._chosen(request)
        rows = self._rows(request)
        answers = self._score(rows)
        content = {
            "model_name": self._model.name,
            "model_version": self._model.version,
            **identity,
            "outputs": [_output(tensor, self._model.schema.output, answers) for tensor in chosen],
        }
        return json_answer(content, rows=len(rows))

    def _chosen(self, request: Mapping[str, Any]) -> list[Tensor]:
        """The outputs asked for; all of them where none are named."""
        asked = request.get("outputs") or []
        if not isinstance(asked, list):
            raise Refused(400, "outputs must be a list of objects with a name")
        chosen = []
        for item in asked:
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str) or name not in self._outputs:
                raise Refused(
                    400, f"there is no output {shown(name)}; the model has {', '.join(self._outputs)}"
                )
            chosen.append(self._outputs[name])
        return chosen or list(self._outputs.values())

    def _rows(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The tensors of the request, turned into rows."""
        given = request.get("inputs")
        if not isinstance(given, list) or not given:
            raise Refused(400, "inputs must be a list of tensors")
        columns: dict[str, list[Any]] = {}
        for item in given:
            name, values = self._column(item)
            if name in columns:
                raise Refused(400, f"input {name} is given twice")
            columns[name] = values
        counts = {len(values) for values in columns.values()}
        if len(counts) > 1:
            raise Refused(
                400, f"inputs have different numbers of rows: {', '.join(map(str, sorted(counts)))}"
            )
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _column(self, item: Any) -> tuple[str, list[Any]]:
        """One input tensor as (name, a value a row)."""
        if not isinstance(item, dict):
            raise Refused(400, "an input must be an object with name, shape, datatype and data")
        missing = [key for key in ("name", "shape", "datatype", "data") if key not in item]
        if missing:
            raise Refused(400, f"input {shown(item.get('name'))} has no {missing[0]!r}")
        name, datatype = item["name"], item["datatype"]
        tensor = self._inputs.get(name) if isinstance(name, str) else None
        if tensor is None:
            raise Refused(400, f"there is no input {shown(name)}; the model has {', '.join(self._inputs)}")
        if not isinstance(datatype, str) or datatype not in tensor.accepts:
            raise Refused(
                400, f"input {name}: datatype {shown(datatype)} does not fit, use {tensor.datatype}"
            )
        return tensor.name, _values(tensor, datatype, item["shape"], item["data"], self._limits)

    def _score(self, rows: Sequence[Any]) -> NDArray[np.float64]:
        try:
            return score(self._model, rows, self._limits)
        except Refused as refusal:
            if refusal.status == 422:
                refusal.status, refusal.content = 400, {"error": _in_one_text(refusal.content)}
            raise


def _identity(request: Mapping[str, Any]) -> dict[str, str]:
    """The request's id, to be returned if it is given."""
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise Refused(400, "id must be a string")
    return {} if identity is None else {"id": identity}


def _values(tensor: Tensor, datatype: str, shape: Any, data: Any, limits: Limits) -> list[Any]:
    """A value a row (a list where a row of the tensor has a shape), from flat or nested data."""
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size <= 2**31 for size in shape):
        raise Refused(400, f"input {tensor.name}: shape must be a list of whole numbers")
    if tuple(shape[1:]) not in {tensor.shape, tensor.shape or (1,)}:
        expected = ", ".join(map(str, ("rows", *tensor.shape)))
        raise Refused(400, f"input {tensor.name}: shape is {shape!s:.60}, must be [{expected}]")
    if not shape or shape[0] > limits.rows:
        raise Refused(
            400, f"input {tensor.name}: shape is {shape!s:.60}, must start with 1 to {limits.rows} rows"
        )
    flat = _flat(data, shape)
    if flat is None:
        raise Refused(
            400, f"input {tensor.name}: data must have {math.prod(shape)} values, flat or in shape {shape}"
        )
    if datatype in _WHOLE:
        _check_whole(tensor.name, datatype, flat)
    if not tensor.shape:
        return flat
    width = math.prod(tensor.shape)
    return [flat[start : start + width] for start in range(0, len(flat), width)]


def _flat(data: Any, shape: Sequence[int]) -> list[Any] | None:
    """The values in row-major order, or None if *data* is neither flat nor nested in *shape*."""
    if not isinstance(data, list):
        return None
    if len(shape) == 2 and len(data) == shape[0] and all(isinstance(row, list) for row in data):
        if any(len(row) != shape[1] for row in data):
            return None
        data = [value for row in data for value in row]
    return data if len(data) == math.prod(shape) else None


def _check_whole(name: str, datatype: str, values: Sequence[Any]) -> None:
    low, high = _WHOLE[datatype]
    for row, value in enumerate(values):
        if value is not None and not (type(value) is int and low <= value <= high):
            raise Refused(400, f"input {name}, value {row}: {shown(value)} is not {datatype}")


def _in_one_text(content: Mapping[str, Any]) -> str:
    """The errors of a refusal in the one text the protocol has for them."""
    errors = content.get("errors") or []
    said = [_in_text(error) for error in errors[:ERRORS_IN_TEXT]]
    if len(errors) > ERRORS_IN_TEXT:
        said.append(f"and {len(errors) - ERRORS_IN_TEXT} more")
    return "; ".join(said) or str(content["error"])


def _in_text(error: Mapping[str, Any]) -> str:
    at_field = f", field {error['field']} = {error['value']}" if error["field"] else ""
    return f"row {error['row']}{at_field}: {error['rule']}"


def _output(tensor: Tensor, output: Output, answers: NDArray[np.float64]) -> dict[str, Any]:
    data: Any = _OUTPUTS[tensor.name](output, answers)
    shape = [len(answers), *tensor.shape]
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "data": data}


_OUTPUTS: dict[str, Callable[[Output, NDArray[np.float64]], Any]] = {
    "label": labels_of,
    "probability": lambda _, answers: np.ascontiguousarray(answers).reshape(-1),
    "value": lambda _, answers: np.ascontiguousarray(answers[:, 0]),
    "cluster": lambda _, answers: answers.argmax(axis=1),
    "score": lambda _, answers: np.ascontiguousarray(answers).reshape(-1),
}
