"""A ModelInferRequest in bytes to a ModelInferResponse in bytes. Needs protobuf, not gRPC.

What a client says about its tensors (names, datatypes, shapes) is the same from call to call, and parsing it
field by field would cost more than the prediction. So a request with raw contents is opened as an envelope
(``envelope.proto``), whose folded tensors are looked up as a whole; only what was not seen before is parsed and
checked. In the same way the part of a response that says nothing new is kept as bytes: the concatenation of two
serialised messages is their union.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from fairlead.serve.http import Limits, Refused, Scored
from fairlead.serve.loading import LoadedModel
from fairlead.serve.v2.binary import Reader, RowReader, reader, written
from fairlead.serve.v2.proto import envelope_pb2
from fairlead.serve.v2.proto import open_inference_pb2 as messages
from fairlead.serve.v2.scoring import Rows, Scorer
from fairlead.serve.v2.tensors import WHOLE, Column, Columns, Signature, Tensor, check_whole, text_of

LAYOUTS = 256
"""So many layouts are kept; a client has one for each number of rows it sends."""
LAYOUT_BYTES = 16_384
"""A layout that is described by more bytes is not kept."""

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents", "INT64": "int64_contents",
    "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}  # fmt: skip
"""The field of InferTensorContents that has the values of a datatype."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a request with raw contents says besides its values, checked."""

    readers: tuple[tuple[Tensor, Reader], ...]
    """Each input, and what reads its bytes."""
    row: RowReader | None
    """What reads all of them, where there is one row."""
    outputs: tuple[Tensor, ...]
    response: bytes
    """The response but for its id and its values."""


class Inference:
    """Answers ``ModelInfer`` for one model."""

    def __init__(self, model: LoadedModel, limits: Limits) -> None:
        self._signature = Signature(model, limits)
        self._score = Scorer(model, limits)
        self._layouts: dict[tuple[bytes, ...], Layout] = {}

    def __call__(self, body: bytes) -> tuple[bytes, Scored]:
        """A serialised request to a serialised response, and what was scored. Raises Refused."""
        try:
            envelope = envelope_pb2.InferEnvelope.FromString(body)
        except DecodeError:
            raise _no_request() from None
        self._signature.check_is(envelope.model_name, envelope.model_version)
        if not envelope.inputs:
            raise Refused(400, "inputs must be a list of tensors")
        if envelope.raw_input_contents:
            return self._raw(envelope, body)
        return self._typed(_request(body))

    # -------------------------------------------------------------------------------------- raw contents

    def _raw(self, envelope: envelope_pb2.InferEnvelope, body: bytes) -> tuple[bytes, Scored]:
        layout = self._layout(envelope, body)
        contents = tuple(envelope.raw_input_contents)
        if len(contents) != len(layout.readers):
            raise Refused(
                400, f"there are {len(layout.readers)} inputs, but {len(contents)} raw_input_contents"
            )
        row = layout.row(contents) if layout.row is not None else None
        scored = self._score([row] if row is not None else _rows(layout, contents))
        rest = messages.ModelInferResponse(
            id=envelope.id,
            raw_output_contents=[
                written(tensor.datatype, self._signature.values(tensor, scored.answers))
                for tensor in layout.outputs
            ],
        )
        return layout.response + rest.SerializeToString(), scored

    def _layout(self, envelope: envelope_pb2.InferEnvelope, body: bytes) -> Layout:
        """The layout of a request: a known one, or one that is read from all of the message. Raises Refused."""
        key = (*envelope.inputs, b"", *envelope.outputs)
        known = self._layouts.get(key)
        if known is not None:
            return known
        layout = self._read_layout(_request(body))
        if sum(map(len, key)) <= LAYOUT_BYTES:
            if len(self._layouts) >= LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = layout
        return layout

    def _read_layout(self, request: messages.ModelInferRequest) -> Layout:
        if any(item.HasField("contents") for item in request.inputs):
            raise Refused(400, "a request has either contents or raw_input_contents, not both")
        columns = Columns()
        readers = []
        for item in request.inputs:
            tensor = self._signature.input(item.name, item.datatype, binary=True)
            rows = self._signature.rows(tensor, item.shape)
            columns.add(tensor, range(rows))
            readers.append((tensor, reader(tensor.name, item.datatype, rows * tensor.width)))
        flat = all(not tensor.shape for tensor, _ in readers)
        row = (
            RowReader([(item.name, item.datatype) for item in request.inputs])
            if flat and columns.rows == 1
            else None
        )
        chosen = self._chosen(request)
        return Layout(tuple(readers), row, chosen, self._head(chosen, columns.rows).SerializeToString())

    # ------------------------------------------------------------------------------------ typed contents

    def _typed(self, request: messages.ModelInferRequest) -> tuple[bytes, Scored]:
        columns = Columns()
        for item in request.inputs:
            tensor = self._signature.input(item.name, item.datatype)
            rows = self._signature.rows(tensor, item.shape)
            columns.add(tensor, tensor.rows(_contents(item, rows * tensor.width)))
        chosen = self._chosen(request)
        scored = self._score(Rows(columns.values, columns.rows))
        response = self._head(chosen, len(scored.answers))
        response.id = request.id
        for tensor, output in zip(chosen, response.outputs, strict=True):
            values = self._signature.values(tensor, scored.answers)
            getattr(output.contents, CONTENTS[tensor.datatype]).extend(_plain(values))
        return response.SerializeToString(), scored

    # -------------------------------------------------------------------------------------------- common

    def _chosen(self, request: messages.ModelInferRequest) -> tuple[Tensor, ...]:
        """The outputs asked for; all of them where none are named."""
        return tuple(self._signature.output(item.name) for item in request.outputs) or self._signature.outputs

    def _head(self, chosen: Sequence[Tensor], rows: int) -> messages.ModelInferResponse:
        """A response without values."""
        response = messages.ModelInferResponse(
            model_name=self._signature.name, model_version=self._signature.version
        )
        for tensor in chosen:
            response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=(rows, *tensor.shape))
        return response


def _rows(layout: Layout, contents: Sequence[bytes]) -> Rows:
    columns = Columns()
    for (tensor, read), raw in zip(layout.readers, contents, strict=True):
        columns.add(tensor, tensor.rows(read(raw)))
    return Rows(columns.values, columns.rows)


def _request(body: bytes) -> messages.ModelInferRequest:
    try:
        return messages.ModelInferRequest.FromString(body)
    except DecodeError:
        raise _no_request() from None


def _no_request() -> Refused:
    return Refused(400, "the message is not a ModelInferRequest")


def _contents(item: messages.ModelInferRequest.InferInputTensor, count: int) -> list[Any]:
    """The typed values of a tensor. Raises Refused."""
    name, datatype = item.name, item.datatype
    field = CONTENTS[datatype]
    values = list(getattr(item.contents, field))
    if len(values) != count:
        raise Refused(400, f"input {name}: {field} must have {count} values, has {len(values)}")
    if datatype in WHOLE:
        check_whole(name, datatype, values)
    if datatype == "BYTES":
        return [text_of(name, number, value) for number, value in enumerate(values)]
    return values


def _plain(values: Column) -> Sequence[Any]:
    """Values as protobuf takes them."""
    return [value.encode() if isinstance(value, str) else value for value in values]
