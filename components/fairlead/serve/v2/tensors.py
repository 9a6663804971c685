"""A model as the protocol sees it: named tensors in, named tensors out, and the rules for their shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.schema import Output, Schema
from fairlead.schema.answers import labels_of
from fairlead.schema.validate import shown
from fairlead.serve.http import Limits, Refused
from fairlead.serve.loading import LoadedModel, answer_width

PLATFORM = {"onnx": "onnx_onnxv1", "treelite": "treelite_checkpoint", "skops": "sklearn_skops"}

WHOLE: dict[str, tuple[int, int]] = {
    f"{'U' * unsigned}INT{bits}": (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for unsigned in (False, True)
    for bits in (8, 16, 32, 64)
}
"""Whole-number datatypes and their ranges."""
_NUMERIC = frozenset({"FP32", "FP64", *WHOLE})

Column = Sequence[Any] | NDArray[Any]
"""A value a row, or a list of values where a row of the tensor has a shape."""


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
    def width(self) -> int:
        """Values in one row."""
        return math.prod(self.shape)

    def accepts(self, datatype: str, *, binary: bool) -> bool:
        """Whether a request may use *datatype* for this input.

        >>> amount = Tensor("amount", "FP64")
        >>> amount.accepts("UINT8", binary=False), amount.accepts("BYTES", binary=False)
        (True, False)
        >>> amount.accepts("FP16", binary=False), amount.accepts("FP16", binary=True)
        (False, True)
        """
        if self.datatype not in _NUMERIC:
            return datatype == self.datatype
        return datatype in _NUMERIC or (binary and datatype == "FP16")

    def rows(self, values: Column) -> Column:
        """Values in row-major order, as one entry a row.

        >>> Tensor("history", "FP64", (2,)).rows([1.0, 2.0, 3.0, 4.0])
        [[1.0, 2.0], [3.0, 4.0]]
        """
        if not self.shape:
            return values
        if isinstance(values, np.ndarray):
            return values.reshape(-1, self.width)
        return [list(values[start : start + self.width]) for start in range(0, len(values), self.width)]


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


class Signature:
    """The tensors of one model, and the checks that JSON, binary and gRPC requests share."""

    def __init__(self, model: LoadedModel, limits: Limits) -> None:
        self.name = model.name
        self.version = model.version
        self._inputs = {tensor.name: tensor for tensor in inputs_of(model.schema)}
        self._outputs = {tensor.name: tensor for tensor in outputs_of(model.schema)}
        self._output = model.schema.output
        self._platform = PLATFORM[model.format]
        self._providers = providers_of(model)
        self._limits = limits

    def metadata(self) -> dict[str, Any]:
        """What the protocol tells about a model. ``parameters`` are ours: the protocol leaves room for them."""
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": self._platform,
            "inputs": [tensor.metadata for tensor in self._inputs.values()],
            "outputs": [tensor.metadata for tensor in self._outputs.values()],
            **({"parameters": self._providers} if self._providers else {}),
        }

    def check_is(self, name: str, version: str) -> None:
        """Refuse (404) what is asked of another model, or of another version; none given is any."""
        if name != self.name or version not in ("", self.version):
            asked = f"{name} {version}".strip()
            raise Refused(404, f"there is no model {asked[:100]!r}; this is {self.name} {self.version}")

    def input(self, name: Any, datatype: Any, *, binary: bool = False) -> Tensor:
        """The input of this name, if it takes this datatype. Raises Refused."""
        tensor = self._inputs.get(name) if isinstance(name, str) else None
        if tensor is None:
            raise Refused(400, f"there is no input {shown(name)}; the model has {', '.join(self._inputs)}")
        if not isinstance(datatype, str) or not tensor.accepts(datatype, binary=binary):
            raise Refused(
                400, f"input {name}: datatype {shown(datatype)} does not fit, use {tensor.datatype}"
            )
        return tensor

    def rows(self, tensor: Tensor, shape: Sequence[int]) -> int:
        """How many rows a tensor of this *shape* has. Raises Refused if the model takes no such shape."""
        if tuple(shape[1:]) not in {tensor.shape, tensor.shape or (1,)}:
            expected = ", ".join(map(str, ("rows", *tensor.shape)))
            raise Refused(400, f"input {tensor.name}: shape is {shape!s:.60}, must be [{expected}]")
        if not shape or not 0 <= shape[0] <= self._limits.rows:
            most = self._limits.rows
            raise Refused(
                400, f"input {tensor.name}: shape is {shape!s:.60}, must start with 1 to {most} rows"
            )
        return shape[0]

    def output(self, name: Any) -> Tensor:
        """The output of this name. Raises Refused."""
        tensor = self._outputs.get(name) if isinstance(name, str) else None
        if tensor is None:
            raise Refused(400, f"there is no output {shown(name)}; the model has {', '.join(self._outputs)}")
        return tensor

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """All outputs: what a request gets that asks for none by name."""
        return tuple(self._outputs.values())

    def values(self, tensor: Tensor, answers: NDArray[np.float64]) -> Column:
        """The values of an output in row-major order; answers as in :mod:`fairlead.schema.answers`."""
        return _VALUES[tensor.name](self._output, answers)


_VALUES: dict[str, Callable[[Output, NDArray[np.float64]], Column]] = {
    "label": labels_of,
    "probability": lambda _, answers: np.ascontiguousarray(answers).reshape(-1),
    "value": lambda _, answers: np.ascontiguousarray(answers[:, 0]),
    "cluster": lambda _, answers: answers.argmax(axis=1),
    "score": lambda _, answers: np.ascontiguousarray(answers).reshape(-1),
}


def providers_of(model: LoadedModel) -> dict[str, list[str]]:
    """What runs the model, and what the project asked for in its place; empty where a format has no choice."""
    used, asked = getattr(model, "providers", ()), getattr(getattr(model, "rules", None), "providers", ())
    return {"execution_providers": [*used], "execution_providers_asked_for": [*asked]} if used else {}


class Columns:
    """The inputs of one request, as they come."""

    def __init__(self) -> None:
        self.values: dict[str, Column] = {}
        self.rows = 0

    def add(self, tensor: Tensor, values: Column) -> None:
        """Take the values of an input, one entry a row. Raises Refused."""
        if tensor.name in self.values:
            raise Refused(400, f"input {tensor.name} is given twice")
        rows = len(values)
        if self.values and rows != self.rows:
            counts = sorted({rows, self.rows})
            raise Refused(400, f"inputs have different numbers of rows: {', '.join(map(str, counts))}")
        self.values[tensor.name] = values
        self.rows = rows


def check_whole(name: str, datatype: str, values: Sequence[Any]) -> None:
    """Refuse what is no whole number in the range of *datatype*; None is a missing value."""
    low, high = WHOLE[datatype]
    for row, value in enumerate(values):
        if value is not None and not (type(value) is int and low <= value <= high):
            raise Refused(400, f"input {name}, value {row}: {shown(value)} is not {datatype}")


def text_of(name: str, number: int, content: bytes) -> str:
    """A value of a BYTES tensor. Raises Refused."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Refused(400, f"input {name}, value {number}: is not UTF-8") from None
