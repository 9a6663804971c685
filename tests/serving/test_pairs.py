"""Reading another server's answer, and telling whether it decides otherwise."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.schema import Output
from fairlead.serve.shadow.pairs import (
    Reading,
    Unreadable,
    changed_rows,
    pair_record,
    read_infer,
    read_predict,
)
from fairlead.serve.v2.binary import written

TWO = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.3)
THREE = Output("classification", classes=("a", "b", "c"))
VALUE = Output("regression")
GROUPS = Output("clustering", clusters=2)


def predictions(*rows: dict[str, Any], version: str = "3f") -> bytes:
    return json.dumps({"model": "m", "version": version, "predictions": rows}).encode()


def tensors(*outputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"model_name": "m", "model_version": "3f", "outputs": outputs, **more}).encode()


def tensor(name: str, shape: list[int], datatype: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


NO = {"label": "no", "probability": 0.1, "probabilities": {"no": 0.9, "yes": 0.1}}
YES = {"label": "yes", "probability": 0.8, "probabilities": {"no": 0.2, "yes": 0.8}}


@pytest.mark.parametrize(
    ("output", "body", "answers", "labels"),
    [
        pytest.param(TWO, predictions(NO, YES), [[0.9, 0.1], [0.2, 0.8]], ["no", "yes"], id="classification"),
        pytest.param(VALUE, predictions({"value": 2.5}), [[2.5]], None, id="regression"),
        pytest.param(
            GROUPS, predictions({"cluster": 1, "scores": [-2.0, -1.0]}), [[-2.0, -1.0]], [1], id="clustering"
        ),
    ],
)
def test_predict_is_read_back(output: Output, body: bytes, answers: Any, labels: Any) -> None:
    reading = read_predict(body, None, output)
    assert reading.answers is not None
    assert (reading.bundle, reading.answers.tolist(), reading.labels) == ("3f", answers, labels)


@pytest.mark.parametrize(
    ("output", "outputs", "answers", "labels"),
    [
        pytest.param(
            TWO,
            [tensor("label", [1], "BYTES", ["no"]), tensor("probability", [1, 2], "FP64", [0.9, 0.1])],
            [[0.9, 0.1]], ["no"], id="classification",
        ),
        pytest.param(TWO, [tensor("label", [1], "BYTES", ["no"])], None, ["no"], id="labels alone"),
        pytest.param(VALUE, [tensor("value", [2], "FP64", [1.0, 2.0])], [[1.0], [2.0]], None, id="values"),
        pytest.param(
            GROUPS,
            [tensor("cluster", [1], "INT64", [0]), tensor("score", [1, 2], "FP64", [-1.0, -2.0])],
            [[-1.0, -2.0]], [0], id="clustering",
        ),
    ],
)  # fmt: skip
def test_infer_is_read_back(output: Output, outputs: Any, answers: Any, labels: Any) -> None:
    reading = read_infer(tensors(*outputs), None, output)
    read = None if reading.answers is None else reading.answers.tolist()
    assert (reading.bundle, read, reading.labels) == ("3f", answers, labels)


def test_binary_tensors_are_read_back_in_their_order() -> None:
    tails = [written("BYTES", ["no", "yes"]), written("FP64", np.array([0.9, 0.1, 0.2, 0.8]))]
    said = [
        {"name": name, "shape": shape, "datatype": kind, "parameters": {"binary_data_size": len(tail)}}
        for (name, shape, kind), tail in zip(
            [("label", [2], "BYTES"), ("probability", [2, 2], "FP64")], tails, strict=True
        )
    ]
    head = orjson.dumps({"model_version": "3f", "outputs": said})
    reading = read_infer(head + b"".join(tails), b"%d" % len(head), TWO)
    assert reading.answers is not None
    assert reading.answers.tolist() == [[0.9, 0.1], [0.2, 0.8]]
    assert reading.labels == ["no", "yes"]


NONSENSE = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"<html>", id="no JSON"),
    pytest.param(b"[]", id="no object"),
    pytest.param(b"null", id="null"),
    pytest.param(b"{}", id="no answers"),
    pytest.param(b'{"predictions": 3, "outputs": 3}', id="a number"),
    pytest.param(b'{"predictions": [{}], "outputs": [{}]}', id="empty answers"),
    pytest.param(
        b'{"predictions": [{"label": "no", "probabilities": {"no": "much"}}],'
        b' "outputs": [{"name": "probability", "shape": [1, 1], "data": ["much"]}]}',
        id="texts for numbers",
    ),
    pytest.param(
        b'{"predictions": [{"label": "no", "probabilities": {"no": null}}],'
        b' "outputs": [{"name": "probability", "shape": [1, 1], "data": [null]}]}',
        id="nulls",
    ),
    pytest.param(
        b'{"predictions": [{"label": "no", "probabilities": {"no": 1, "yes": 0}}, {"label": "no", "probabilities": {}}],'
        b' "outputs": [{"name": "probability", "shape": [2, 2], "data": [1, 2, 3]}]}',
        id="ragged rows",
    ),
]


@pytest.mark.parametrize("read", [read_predict, read_infer])
@pytest.mark.parametrize("body", NONSENSE)
def test_nonsense_is_told_as_such(read: Any, body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body, None, TWO)


@pytest.mark.parametrize("length", [b"-1", b"9999", b"x", b""], ids=["negative", "too long", "text", "empty"])
def test_a_wrong_length_of_json_is_told(length: bytes) -> None:
    with pytest.raises(Unreadable):
        read_infer(tensors(tensor("label", [1], "BYTES", ["no"])), length, TWO)


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    for read in (read_predict, read_infer):
        with pytest.raises(Unreadable):
            read(body, None, TWO)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["predictions", "outputs", "name", "shape", "data", "datatype", "label", "value",
             "parameters", "binary_data_size", "probabilities"]
        ), inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.sampled_from([TWO, VALUE, GROUPS]))
def test_any_document_is_read_or_told_as_nonsense(document: Any, output: Output) -> None:
    body = json.dumps(document).encode()
    for read in (read_predict, read_infer):
        try:
            reading = read(body, b"%d" % len(body) if read is read_infer else None, output)
            changed_rows(output, np.ones((1, 2 if output is not VALUE else 1)), reading, 0.0)
        except Unreadable:
            continue


@pytest.mark.parametrize(
    ("output", "ours", "answers", "labels", "changed"),
    [
        pytest.param(TWO, [[0.9, 0.1]], [[0.6, 0.4]], ["yes"], 1, id="another label"),
        pytest.param(TWO, [[0.9, 0.1]], [[0.6, 0.4]], ["no"], 0, id="same label by its own threshold"),
        pytest.param(TWO, [[0.9, 0.1]], [[0.6, 0.4]], None, 1, id="no label: called by our threshold"),
        pytest.param(TWO, [[0.9, 0.1], [0.1, 0.9]], None, ["yes", "yes"], 1, id="labels alone"),
        pytest.param(THREE, [[0.5, 0.3, 0.2]], [[0.3, 0.5, 0.2]], ["b"], 1, id="three classes"),
        pytest.param(VALUE, [[100.0]], [[101.0]], None, 0, id="value at the tolerance"),
        pytest.param(VALUE, [[100.0]], [[102.0]], None, 1, id="value beyond it"),
        pytest.param(VALUE, [[0.0]], [[0.0]], None, 0, id="zero and zero"),
        pytest.param(VALUE, [[0.0]], [[1e-9]], None, 1, id="zero and not zero"),
        pytest.param(GROUPS, [[-1.0, -2.0]], [[-2.0, -1.0]], [1], 1, id="another cluster"),
    ],
)
def test_rows_that_are_decided_otherwise_are_counted(
    output: Output, ours: Any, answers: Any, labels: Any, changed: int
) -> None:
    other = Reading("", None if answers is None else np.array(answers), labels)
    assert changed_rows(output, np.array(ours), other, 0.01) == changed


@pytest.mark.parametrize(
    ("output", "other"),
    [
        pytest.param(TWO, Reading("", np.ones((2, 2)), ["no", "no"]), id="more rows"),
        pytest.param(TWO, Reading("", None, None), id="nothing"),
        pytest.param(TWO, Reading("", np.ones((1, 3)), None), id="other classes and no label"),
        pytest.param(VALUE, Reading("", np.ones((1, 2)), None), id="more values"),
    ],
)
def test_answers_that_cannot_be_compared_are_told(output: Output, other: Reading) -> None:
    with pytest.raises(Unreadable):
        changed_rows(output, np.ones((1, 1 if output is VALUE else 2)), other, 0.01)


def test_a_record_of_a_refused_copy_says_that_there_was_nothing_to_compare() -> None:
    record = pair_record({"id": "1", "other_status": 422}, np.array([[0.9, 0.1]]), None, 0)
    assert (record["flipped"], record["other_answers"], record["answers"]) == (None, None, [[0.9, 0.1]])
