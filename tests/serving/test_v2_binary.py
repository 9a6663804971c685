"""Tensors in binary: the parser's own rules, and requests over HTTP that mix it with JSON."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairlead.serve.http import Refused
from fairlead.serve.v2.binary import RowReader, reader, split, written

INFER = "/v2/models/fraud/infer"
COLUMNS: dict[str, tuple[str, list[Any]]] = {
    "amount": ("FP64", [12.5, 0.5]),
    "count": ("INT64", [3, 4]),
    "abroad": ("BOOL", [False, True]),
    "country": ("BYTES", ["DE", "XX"]),
    "channel": ("BYTES", ["app", "shop"]),
    "at": ("BYTES", ["2024-05-01T10:30:00", "2024-05-02"]),
}
TYPES = [
    "BOOL",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "FP16",
    "FP32",
    "FP64",
]


# ------------------------------------------------------------------------------------------------ the form


@pytest.mark.parametrize("datatype", TYPES)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_numbers_are_read_as_they_were_written(datatype: str, count: int) -> None:
    values = [number % 2 for number in range(count)]
    assert list(reader("a", datatype, count)(written(datatype, values))) == values


@given(st.lists(st.text(), max_size=5))
def test_texts_are_read_as_they_were_written(texts: list[str]) -> None:
    assert reader("a", "BYTES", len(texts))(written("BYTES", texts)) == texts


def test_values_are_little_endian() -> None:
    assert written("INT32", [1]) == b"\x01\x00\x00\x00"
    assert written("BYTES", ["no"]) == b"\x02\x00\x00\x00no"


@pytest.mark.parametrize("raw", [b"\x02", b"\xff"])
def test_any_byte_but_zero_is_true(raw: bytes) -> None:
    assert list(reader("a", "BOOL", 1)(raw)) == [True]
    assert RowReader([("a", "BOOL")])([raw]) == {"a": True}


WRONG_BYTES = {
    "too short": ("FP64", 2, bytes(15), "input a: 2 values of FP64 are 16 bytes, not 15"),
    "too long": ("INT8", 2, bytes(3), "input a: 2 values of INT8 are 2 bytes, not 3"),
    "no length": ("BYTES", 1, bytes(3), "input a: the data ends before value 0"),
    "a length beyond the end": ("BYTES", 1, b"\xff\xff\xff\xffab", "input a: the data ends within value 0"),
    "too few texts": ("BYTES", 2, b"\x01\x00\x00\x00a", "input a: the data ends before value 1"),
    "something left": ("BYTES", 1, b"\x01\x00\x00\x00ab", "input a: 1 bytes are left after 1 values"),
    "no UTF-8": ("BYTES", 1, b"\x01\x00\x00\x00\xff", "input a, value 0: is not UTF-8"),
}


@pytest.mark.parametrize(("datatype", "count", "raw", "said"), WRONG_BYTES.values(), ids=WRONG_BYTES)
def test_wrong_bytes_are_told_why(datatype: str, count: int, raw: bytes, said: str) -> None:
    with pytest.raises(Refused) as caught:
        reader("a", datatype, count)(raw)
    assert (caught.value.status, caught.value.content) == (400, {"error": said})


@settings(max_examples=300)
@given(st.sampled_from([*TYPES, "BYTES"]), st.integers(0, 40), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(datatype: str, count: int, raw: bytes) -> None:
    with contextlib.suppress(Refused):
        assert len(reader("a", datatype, count)(raw)) == count


@settings(max_examples=300)
@example([("INT64", b"\x01" + bytes(7)), ("UINT64", bytes(8)), ("BOOL", b"\x01")])
@given(st.lists(st.tuples(st.sampled_from([*TYPES, "BYTES"]), st.binary(max_size=12)), max_size=4))
def test_a_row_at_once_is_what_its_values_are_one_by_one(parts: list[tuple[str, bytes]]) -> None:
    inputs = [(f"f{number}", datatype) for number, (datatype, _) in enumerate(parts)]
    contents = [raw for _, raw in parts]
    try:
        row = RowReader(inputs)(contents)
    except Refused:
        row = None
    try:
        singly = {
            name: reader(name, kind, 1)(raw)[0] for (name, kind), raw in zip(inputs, contents, strict=True)
        }
    except Refused:
        assert row is None
    else:
        assert row is not None
        assert orjson.dumps(row, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
            singly, default=np.generic.item, option=orjson.OPT_SORT_KEYS
        ) or any(kind in ("FP16", "FP32") for _, kind in inputs)


@pytest.mark.parametrize("stated", [b"5", b"-1", b"", b"x", b"1" * 5000, "٣".encode()])
def test_a_length_of_json_that_cannot_be_is_refused(stated: bytes) -> None:
    with pytest.raises(Refused, match="must be a number of bytes up to 4"):
        split(b"{} 1", stated)


# --------------------------------------------------------------------------------------------------- HTTP


def packed(
    columns: dict[str, tuple[str, list[Any]]], *, json: tuple[str, ...] = (), **more: Any
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request with the columns in binary, but for those in *json*."""
    inputs, tail = [], b""
    for name, (datatype, values) in columns.items():
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [len(values)]}
        if name in json:
            tensor["data"] = values
        else:
            raw = written(datatype, values)
            tensor["parameters"] = {"binary_data_size": len(raw)}
            tail += raw
        inputs.append(tensor)
    body = orjson.dumps({"inputs": inputs, **more})
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(body)),
    }
    return body + tail, headers


def unpacked(response: httpx.Response) -> tuple[dict[str, Any], bytes]:
    length = int(response.headers["inference-header-content-length"])
    return orjson.loads(response.content[:length]), response.content[length:]


def in_json(client: httpx.Client, columns: dict[str, tuple[str, list[Any]]] = COLUMNS) -> dict[str, Any]:
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(values)], "data": values}
        for name, (datatype, values) in columns.items()
    ]
    return client.post(INFER, json={"inputs": inputs}).json()


def test_the_server_says_that_it_has_the_extension(fraud: httpx.Client) -> None:
    assert fraud.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert fraud.get("/v2/").json() == fraud.get("/v2").json()


@pytest.mark.parametrize(
    "json", [(), ("amount",), ("country", "at")], ids=["all binary", "a number", "texts"]
)
def test_binary_inputs_are_answered_as_json_inputs_are(fraud: httpx.Client, json: tuple[str, ...]) -> None:
    body, headers = packed(COLUMNS, json=json)
    response = fraud.post(INFER, content=body, headers=headers)
    assert response.headers["content-type"] == "application/json"
    assert response.json() == in_json(fraud)


def test_all_outputs_can_be_binary(fraud: httpx.Client) -> None:
    body, headers = packed(COLUMNS, id="7", parameters={"binary_data_output": True})
    response = fraud.post(INFER, content=body, headers=headers)
    content, tail = unpacked(response)
    label, probability = in_json(fraud)["outputs"]
    sizes = [output["parameters"]["binary_data_size"] for output in content["outputs"]]
    assert response.headers["content-type"] == "application/octet-stream"
    assert content["id"] == "7"
    assert sizes == [len(written("BYTES", label["data"])), 4 * 8]
    assert tail == written("BYTES", label["data"]) + np.array(probability["data"]).tobytes()


def test_one_output_can_be_binary(fraud: httpx.Client) -> None:
    outputs = [{"name": "label"}, {"name": "probability", "parameters": {"binary_data": True}}]
    body, headers = packed(COLUMNS, outputs=outputs)
    content, tail = unpacked(fraud.post(INFER, content=body, headers=headers))
    expected = in_json(fraud)["outputs"]
    assert content["outputs"][0] == expected[0]
    assert np.frombuffer(tail).tolist() == expected[1]["data"]


def test_an_output_can_be_left_in_json_where_the_others_are_binary(fraud: httpx.Client) -> None:
    outputs = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "probability"}]
    body, headers = packed(COLUMNS, outputs=outputs, parameters={"binary_data_output": True})
    content, tail = unpacked(fraud.post(INFER, content=body, headers=headers))
    assert "data" in content["outputs"][0]
    assert len(tail) == 32


def test_half_precision_is_taken_in_binary(fraud: httpx.Client) -> None:
    body, headers = packed(COLUMNS | {"amount": ("FP16", [12.5, 0.5])})
    assert fraud.post(INFER, content=body, headers=headers).json() == in_json(fraud)


def test_nan_is_a_missing_value(fraud: httpx.Client) -> None:
    body, headers = packed(COLUMNS | {"count": ("FP32", [float("nan"), 4.0])})
    expected = in_json(fraud, COLUMNS | {"count": ("INT64", [None, 4])})
    assert fraud.post(INFER, content=body, headers=headers).json() == expected


def test_many_rows_are_answered_as_they_are_in_json(fraud: httpx.Client) -> None:
    columns = {name: (datatype, values * 100) for name, (datatype, values) in COLUMNS.items()}
    body, headers = packed(columns)
    assert fraud.post(INFER, content=body, headers=headers).json() == in_json(fraud, columns)


def test_json_alone_may_state_its_length(fraud: httpx.Client) -> None:
    body, headers = packed(COLUMNS, json=tuple(COLUMNS))
    assert fraud.post(INFER, content=body, headers=headers).json() == in_json(fraud)


def changed(
    change: dict[str, Any], tail: bytes = b"", length: int | None = None
) -> tuple[bytes, dict[str, str]]:
    """A request whose one tensor has been changed."""
    tensor = {
        "name": "amount",
        "datatype": "FP64",
        "shape": [1],
        "parameters": {"binary_data_size": 8},
    } | change
    body = orjson.dumps({"inputs": [tensor]})
    return body + tail, {"inference-header-content-length": str(len(body) if length is None else length)}


WRONG = {
    "a size beyond the end": (changed({}, bytes(7)),
        "input amount: binary_data_size must be a whole number up to 7, the bytes left"),
    "a size that is negative": (changed({"parameters": {"binary_data_size": -1}}),
        "input amount: binary_data_size must be a whole number up to 0, the bytes left"),
    "a size that is no number": (changed({"parameters": {"binary_data_size": True}}, b"1"),
        "input amount: binary_data_size must be a whole number up to 1, the bytes left"),
    "a size that does not fit": (changed({"shape": [2]}, bytes(8)),
        "input amount: 2 values of FP64 are 16 bytes, not 8"),
    "bytes left over": (changed({}, bytes(9)), "1 bytes after the JSON belong to no input"),
    "data twice": (changed({"data": [1.0]}, bytes(8)), "input amount has both data and binary_data_size"),
    "parameters that are none": (changed({"parameters": 1}), "parameters must be an object"),
    "no JSON": (changed({}, bytes(8), length=0), None),
    "a length beyond the end": (changed({}, length=10_000), None),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_told_why(
    fraud: httpx.Client, request_: tuple[bytes, dict[str, str]], said: str | None
) -> None:
    response = fraud.post(INFER, content=request_[0], headers=request_[1])
    assert response.status_code == 400
    assert said is None or response.json() == {"error": said}


@pytest.mark.parametrize("parameters", [{"binary_data_output": 1}, {"binary_data_output": "yes"}])
def test_a_flag_must_be_one(fraud: httpx.Client, parameters: dict[str, Any]) -> None:
    body, headers = packed(COLUMNS, parameters=parameters)
    response = fraud.post(INFER, content=body, headers=headers)
    assert response.json() == {"error": "parameter binary_data_output must be true or false"}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80), st.integers(-5, 200), st.integers(0, 400), st.sampled_from([1, 2, 10**9]))
def test_any_bytes_over_http_are_answered_or_refused(
    fraud: httpx.Client, noise: bytes, shift: int, at: int, rows: int
) -> None:
    body, headers = packed({n: (d, v[:1]) for n, (d, v) in COLUMNS.items()})
    spoilt = (body[:at] + noise + body[at + len(noise) :]).replace(b'"shape":[1]', b'"shape":[%d]' % rows)
    length = max(0, int(headers["inference-header-content-length"]) + shift * (shift % 3 == 0))
    response = fraud.post(INFER, content=spoilt, headers={"inference-header-content-length": str(length)})
    assert response.status_code in (200, 400)
