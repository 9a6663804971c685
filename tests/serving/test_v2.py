"""The Open Inference Protocol, version 2: metadata, inference, and its errors."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

INFER = "/v2/models/fraud/infer"
ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}
TYPES = {
    "amount": "FP64",
    "count": "INT64",
    "abroad": "BOOL",
    "country": "BYTES",
    "channel": "BYTES",
    "at": "BYTES",
}


def tensors(*rows: dict[str, Any], **changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows as one tensor a field; *changes* are made to the tensor of that name."""
    return [
        {"name": name, "shape": [len(rows)], "datatype": TYPES[name], "data": [row[name] for row in rows]}
        | changes.get(name, {})
        for name in ROW
    ]


def test_metadata_names_every_field_and_output(fraud: httpx.Client) -> None:
    content = fraud.get("/v2/models/fraud").json()
    version = content.pop("versions")
    assert len(version[0]) == 16
    assert content == {
        "name": "fraud",
        "platform": "onnx_onnxv1",
        "inputs": [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in TYPES.items()],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probability", "datatype": "FP64", "shape": [-1, 2]},
        ],
    }


def test_metadata_of_a_version_is_that_of_the_model(fraud: httpx.Client) -> None:
    content = fraud.get("/v2/models/fraud").json()
    assert fraud.get(f"/v2/models/fraud/versions/{content['versions'][0]}").json() == content


def test_a_model_and_its_version_are_ready(fraud: httpx.Client) -> None:
    version = fraud.get("/v2/models/fraud").json()["versions"][0]
    for path in ("/v2/models/fraud/ready", f"/v2/models/fraud/versions/{version}/ready"):
        response = fraud.get(path)
        assert (response.status_code, response.json()) == (200, {"name": "fraud", "ready": True})


@pytest.mark.parametrize(
    "path", ["/v2/models/spam", "/v2/models/fraud/versions/9", "/v2/models/fraud/versions/9/ready"]
)
def test_another_model_or_version_is_not_found(fraud: httpx.Client, path: str) -> None:
    assert fraud.get(path).status_code == 404


def test_the_server_tells_its_name_and_extensions(fraud: httpx.Client) -> None:
    content = fraud.get("/v2").json()
    assert (content["name"], content["extensions"]) == ("fairlead", ["binary_tensor_data"])


def test_parameters_that_nobody_knows_are_ignored(fraud: httpx.Client) -> None:
    plain = fraud.post(INFER, json={"inputs": tensors(ROW)})
    given = fraud.post(INFER, json={"inputs": tensors(ROW), "parameters": {"priority": 1, "timeout": "x"}})
    assert given.json() == plain.json()


def test_many_rows_are_answered_as_each_of_them_is(fraud: httpx.Client) -> None:
    rows = [ROW | {"amount": float(amount), "abroad": amount % 2 == 0} for amount in range(50)]
    together = fraud.post(INFER, json={"inputs": tensors(*rows)}).json()["outputs"][1]["data"]
    singly = [fraud.post(INFER, json={"inputs": tensors(row)}).json()["outputs"][1]["data"] for row in rows]
    assert together == [value for row in singly for value in row]


def test_inference_agrees_with_predict(fraud: httpx.Client) -> None:
    rows = [ROW, ROW | {"amount": 0.5, "country": "XX"}]
    predictions = fraud.post("/predict", json={"rows": rows}).json()
    answer = fraud.post(INFER, json={"inputs": tensors(*rows)}).json()
    label, probability = answer["outputs"]
    assert (answer["model_name"], answer["model_version"]) == ("fraud", predictions["version"])
    assert label == {
        "name": "label", "datatype": "BYTES", "shape": [2], "data": [p["label"] for p in predictions["predictions"]],
    }  # fmt: skip
    assert probability == {
        "name": "probability", "datatype": "FP64", "shape": [2, 2],
        "data": [p["probabilities"][c] for p in predictions["predictions"] for c in ("no", "yes")],
    }  # fmt: skip


def test_a_version_answers_like_its_model(fraud: httpx.Client) -> None:
    request = {"inputs": tensors(ROW)}
    answer = fraud.post(INFER, json=request).json()
    assert (
        fraud.post(f"/v2/models/fraud/versions/{answer['model_version']}/infer", json=request).json()
        == answer
    )


def test_an_id_is_returned(fraud: httpx.Client) -> None:
    assert fraud.post(INFER, json={"id": "42", "inputs": tensors(ROW)}).json()["id"] == "42"


def test_without_an_id_none_is_returned(fraud: httpx.Client) -> None:
    assert "id" not in fraud.post(INFER, json={"inputs": tensors(ROW)}).json()


def test_outputs_can_be_chosen(fraud: httpx.Client) -> None:
    request = {"inputs": tensors(ROW), "outputs": [{"name": "probability", "parameters": {}}]}
    assert [output["name"] for output in fraud.post(INFER, json=request).json()["outputs"]] == ["probability"]


SAME = {
    "shape [n, 1], flat": {"shape": [1, 1]},
    "shape [n, 1], nested": {"shape": [1, 1], "data": [[12.5]]},
    "FP32": {"datatype": "FP32"},
    "parameters": {"parameters": {"anything": 1}},
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_a_tensor_can_be_written_in_several_ways(fraud: httpx.Client, change: dict[str, Any]) -> None:
    expected = fraud.post(INFER, json={"inputs": tensors(ROW)}).json()
    assert fraud.post(INFER, json={"inputs": tensors(ROW, amount=change)}).json() == expected


def test_whole_numbers_are_taken_for_a_number(fraud: httpx.Client) -> None:
    request = {"inputs": tensors(ROW, amount={"datatype": "UINT8", "data": [255]})}
    assert fraud.post(INFER, json=request).status_code == 200


def test_an_input_that_is_left_out_is_missing(fraud: httpx.Client) -> None:
    without = [tensor for tensor in tensors(ROW) if tensor["name"] != "count"]
    null = tensors(ROW, count={"data": [None]})
    assert (
        fraud.post(INFER, json={"inputs": without}).json() == fraud.post(INFER, json={"inputs": null}).json()
    )


def with_tensor(**change: Any) -> dict[str, Any]:
    return {"inputs": tensors(ROW, amount=change)}


WRONG = {
    "no object": ([], "the body must be an object"),
    "no inputs": ({}, "inputs must be a list of tensors"),
    "empty inputs": ({"inputs": []}, "inputs must be a list of tensors"),
    "an input that is no object": ({"inputs": [1]}, "an input must be an object with name, shape, datatype and data"),
    "parameters that are no object": ({"inputs": tensors(ROW), "parameters": []}, "parameters must be an object"),
    "no data": ({"inputs": [{"name": "amount", "shape": [1], "datatype": "FP64"}]}, 'input "amount" has no \'data\''),
    "an unknown input": (with_tensor(name="amout"),
        'there is no input "amout"; the model has amount, count, abroad, country, channel, at'),
    "an input twice": ({"inputs": tensors(ROW) + tensors(ROW)[:1]}, "input amount is given twice"),
    "inputs of different length": (with_tensor(shape=[2], data=[1, 2]), "inputs have different numbers of rows: 1, 2"),
    "bytes for a number": (with_tensor(datatype="BYTES"), 'input amount: datatype "BYTES" does not fit, use FP64'),
    "half precision": (with_tensor(datatype="FP16"), 'input amount: datatype "FP16" does not fit, use FP64'),
    "a datatype that is none": (with_tensor(datatype=["FP64"]),
        "input amount: datatype a list of 1 does not fit, use FP64"),
    "a shape that is none": (with_tensor(shape=1), "input amount: shape must be a list of whole numbers"),
    "a negative shape": (with_tensor(shape=[-1]), "input amount: shape must be a list of whole numbers"),
    "an empty shape": (with_tensor(shape=[]), "input amount: shape is [], must start with 1 to 10000 rows"),
    "too many rows": (with_tensor(shape=[10001]), "input amount: shape is [10001], must start with 1 to 10000 rows"),
    "two columns for a field": (with_tensor(shape=[1, 2]), "input amount: shape is [1, 2], must be [rows]"),
    "too little data": (with_tensor(shape=[2]), "input amount: data must have 2 values, flat or in shape [2]"),
    "ragged data": (with_tensor(shape=[1, 1], data=[[1, 2]]),
        "input amount: data must have 1 values, flat or in shape [1, 1]"),
    "data that is no list": (with_tensor(data=1), "input amount: data must have 1 values, flat or in shape [1]"),
    "a number out of its datatype": (with_tensor(datatype="INT8", data=[128]),
        "input amount, value 0: 128 is not INT8"),
    "a fraction as a whole number": (with_tensor(datatype="INT64", data=[0.5]),
        "input amount, value 0: 0.5 is not INT64"),
    "an id that is a number": ({"id": 1, "inputs": tensors(ROW)}, "id must be a string"),
    "an unknown output": ({"inputs": tensors(ROW), "outputs": [{"name": "p"}]},
        'there is no output "p"; the model has label, probability'),
    "outputs that are no list": ({"inputs": tensors(ROW), "outputs": 1}, "outputs must be a list of objects with a name"),
    "values that break the schema": ({"inputs": tensors(ROW, ROW | {"amount": -1, "channel": "fax"})},
        'row 1, field amount = -1: must be at least 0; row 1, field channel = "fax": must be one of app, shop'),
    "no rows": ({"inputs": [{"name": "amount", "shape": [0], "datatype": "FP64", "data": []}]}, "there are no rows"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_is_told_why(fraud: httpx.Client, request_: Any, said: str) -> None:
    response = fraud.post(INFER, json=request_)
    assert (response.status_code, response.json()) == (400, {"error": said})


def test_many_errors_are_said_in_short(fraud: httpx.Client) -> None:
    rows = [ROW | {"amount": -1}] * 12
    said = fraud.post(INFER, json={"inputs": tensors(*rows)}).json()["error"]
    assert said.count("must be at least 0") == 10
    assert said.endswith("; and 2 more")


def test_no_json_is_an_error_of_the_protocol(fraud: httpx.Client) -> None:
    response = fraud.post(INFER, content=b"{")
    assert response.status_code == 400
    assert list(response.json()) == ["error"]


def test_the_answer_is_json_that_python_reads(fraud: httpx.Client) -> None:
    assert json.loads(fraud.post(INFER, json={"inputs": tensors(ROW)}).content)["model_name"] == "fraud"
