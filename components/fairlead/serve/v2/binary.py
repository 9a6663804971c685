"""Values of a tensor as bytes: row-major, little-endian, without gaps; the form of gRPC's raw contents.

A BYTES value is its length (four bytes) and its content. Over HTTP the values follow the JSON of a request or an
answer, in the order of its tensors; a header says where the JSON ends. That is the extension
``binary_tensor_data``, as Triton and KServe have it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fairlead.serve.http import Refused
from fairlead.serve.v2.tensors import Column, text_of

EXTENSION = "binary_tensor_data"
JSON_LENGTH = b"inference-header-content-length"
"""The HTTP header with the number of bytes of JSON."""
OCTETS = b"application/octet-stream"

_STRUCT = {
    "BOOL": "?",
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q",
    "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
"""Datatypes of a fixed size, as ``struct`` calls them."""
_NUMPY = _STRUCT | {"BOOL": "u1"}
"""The same for numpy, whose booleans could hold a byte that is neither 0 nor 1."""

Reader = Callable[[bytes | memoryview], Column]


def reader(name: str, datatype: str, count: int) -> Reader:
    """What reads *count* values of input *name*; it raises Refused if the bytes are not just that.

    >>> reader("amount", "FP32", 2)(bytes.fromhex("0000803f 00000040")).tolist()
    [1.0, 2.0]
    """
    if datatype == "BYTES":
        return lambda raw: _texts(name, raw, count)
    kind = np.dtype(f"<{_NUMPY[datatype]}")

    def read(raw: bytes | memoryview) -> Column:
        if len(raw) != count * kind.itemsize:
            size = count * kind.itemsize
            raise Refused(400, f"input {name}: {count} values of {datatype} are {size} bytes, not {len(raw)}")
        values = np.frombuffer(raw, kind)
        return values.astype(np.bool_) if datatype == "BOOL" else values

    return read


class RowReader:
    """Reads the raw contents of a request of one row at once: one array a value would cost ten times as much."""

    def __init__(self, inputs: Sequence[tuple[str, str]]) -> None:
        """Take name and datatype of each input, in the order of the contents."""
        fixed = [
            (place, name, datatype) for place, (name, datatype) in enumerate(inputs) if datatype != "BYTES"
        ]
        self._texts = [(place, name) for place, (name, datatype) in enumerate(inputs) if datatype == "BYTES"]
        self._names = [name for _, name, _ in fixed]
        self._packed = struct.Struct("<" + "".join(_STRUCT[datatype] for _, _, datatype in fixed))
        self._places = None if not self._texts else [place for place, _, _ in fixed]
        self._sizes = [struct.calcsize(f"<{_STRUCT[datatype]}") for _, _, datatype in fixed]

    def __call__(self, contents: Sequence[bytes]) -> dict[str, Any] | None:
        """The row, or None if a content has another length than its datatype. Raises Refused."""
        fixed = contents if self._places is None else [contents[place] for place in self._places]
        if self._sizes != [*map(len, fixed)]:
            return None
        row = dict(zip(self._names, self._packed.unpack(b"".join(fixed)), strict=True))
        for place, name in self._texts:
            row[name] = _texts(name, contents[place], 1)[0]
        return row


def _texts(name: str, raw: bytes | memoryview, count: int) -> list[str]:
    """Length-prefixed texts. The lengths are the client's, so each is checked against what is there."""
    content, texts, at = bytes(raw), [], 0
    for number in range(count):
        start = at + 4
        if start > len(content):
            raise Refused(400, f"input {name}: the data ends before value {number}")
        at = start + int.from_bytes(content[start - 4 : start], "little")
        if at > len(content):
            raise Refused(400, f"input {name}: the data ends within value {number}")
        texts.append(text_of(name, number, content[start:at]))
    if at != len(content):
        raise Refused(400, f"input {name}: {len(content) - at} bytes are left after {count} values")
    return texts


def written(datatype: str, values: Column) -> bytes:
    r"""The bytes of *values*, which are in row-major order.

    >>> written("BYTES", ["no"]), written("INT64", np.array([3]))
    (b'\x02\x00\x00\x00no', b'\x03\x00\x00\x00\x00\x00\x00\x00')
    """
    if datatype == "BYTES":
        packed = {value: _prefixed(value.encode()) for value in {*values}}  # a few labels, in many rows
        return b"".join([packed[value] for value in values])
    return np.asarray(values, f"<{_NUMPY[datatype]}").tobytes()


def _prefixed(content: bytes) -> bytes:
    return len(content).to_bytes(4, "little") + content


def split(body: bytes, stated: bytes | None) -> tuple[bytes, Tail]:
    """The JSON of a body, and the values behind it; *stated* is the header :data:`JSON_LENGTH`. Raises Refused."""
    if stated is None:
        return body, Tail(b"")
    length = int(stated) if stated.isdigit() and len(stated) < 20 else -1
    if not 0 <= length <= len(body):
        said = stated[:30].decode("latin-1")
        raise Refused(
            400, f"Inference-Header-Content-Length is {said!r}, must be a number of bytes up to {len(body)}"
        )
    return body[:length], Tail(body[length:])


class Tail:
    """The values behind the JSON, taken tensor by tensor."""

    def __init__(self, content: bytes) -> None:
        self._rest = memoryview(content)

    def take(self, name: str, size: Any) -> memoryview:
        """The next *size* bytes (``binary_data_size``) for input *name*. Raises Refused."""
        if type(size) is not int or not 0 <= size <= len(self._rest):
            raise Refused(
                400,
                f"input {name}: binary_data_size must be a whole number up to {len(self._rest)}, the bytes left",
            )
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def check_used_up(self) -> None:
        """Refuse bytes that belong to no input."""
        if self._rest:
            raise Refused(400, f"{len(self._rest)} bytes after the JSON belong to no input")


def joined(json: bytes, tails: Sequence[bytes]) -> bytes:
    """An answer's body."""
    return b"".join((json, *tails))
