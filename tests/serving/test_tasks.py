"""What each task answers, by ``/predict`` and by the Open Inference Protocol, from one server a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from fairlead.schema import Field, Output, Schema, SeriesShape

FIELDS = (Field("a", "number"), Field("b", "number"))
SHAPE = SeriesShape(keys=("tea",), every="day", window=4, horizon=3, season=2)
SCHEMAS = {
    "regression": Schema("price", FIELDS, Output("regression", unit="EUR")),
    "clustering": Schema("segments", FIELDS, Output("clustering", clusters=3)),
    "forecast": Schema("demand", (), Output("forecast"), series=SHAPE),
    "three": Schema("kinds", FIELDS, Output("classification", classes=("x", "y", "z"))),
}
ASKED = {"key": "tea", "at": "2024-05-01", "history": [1, 2, 3, 4], "step": 1}


def linear_onnx(schema: Schema) -> bytes:
    """A graph that multiplies by a fixed matrix: (rows, columns) to (rows, answers)."""
    from onnx import TensorProto, helper

    width = len(schema.columns)
    answers = {"clustering": 3, "classification": 3}.get(schema.output.task, 1)
    weights = np.eye(width, answers, dtype=np.float32) + np.eye(width, answers, k=1, dtype=np.float32) * 2
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["numbers", "weights"], ["answers"])],
        "g",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, [None, answers])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def clients(
    serve: Callable[..., Any], write: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, httpx.Client]]:
    folder = tmp_path_factory.mktemp("tasks")
    clients = {
        task: httpx.Client(
            base_url=serve(write(folder / task, schema, linear_onnx(schema), "onnx")).url, timeout=10
        )
        for task, schema in SCHEMAS.items()
    }
    yield clients
    for client in clients.values():
        client.close()


PREDICTED = {
    "regression": ({"a": 1, "b": 5}, {"value": 1.0}),
    "clustering": ({"a": 1, "b": 5}, {"cluster": 2, "scores": [1.0, 7.0, 10.0]}),
    "forecast": (ASKED, {"value": 0.0}),
    "three": (
        {"a": 0.5, "b": 0.25},
        {"label": "y", "probability": 1.25, "probabilities": {"x": 0.5, "y": 1.25, "z": 0.5}},
    ),
}


@pytest.mark.parametrize(
    ("task", "row", "prediction"), [(t, *case) for t, case in PREDICTED.items()], ids=PREDICTED
)
def test_a_prediction_of_each_task(
    clients: dict[str, httpx.Client], task: str, row: dict[str, Any], prediction: dict[str, Any]
) -> None:
    content = clients[task].post("/predict", json={"rows": [row, row]}).json()
    assert content["predictions"] == [prediction, prediction]


TWO_ROWS = [{"name": "a", "shape": [2], "datatype": "FP64", "data": [1, 0.5]},
            {"name": "b", "shape": [2], "datatype": "FP64", "data": [5, 0.25]}]  # fmt: skip
FORECAST = [
    {"name": "key", "shape": [2], "datatype": "BYTES", "data": ["tea", "milk"]},
    {"name": "at", "shape": [2], "datatype": "BYTES", "data": ["2024-05-01", "2024-05-01"]},
    {"name": "history", "shape": [2, 4], "datatype": "FP64", "data": [1, 2, 3, 4, 5, 6, 7, 8]},
    {"name": "step", "shape": [2], "datatype": "INT64", "data": [1, 2]},
]
INFERRED = {
    "regression": (TWO_ROWS, [{"name": "value", "shape": [2], "datatype": "FP64", "data": [1.0, 0.5]}]),
    "clustering": (TWO_ROWS, [
        {"name": "cluster", "shape": [2], "datatype": "INT64", "data": [2, 1]},
        {"name": "score", "shape": [2, 3], "datatype": "FP64", "data": [1.0, 7.0, 10.0, 0.5, 1.25, 0.5]}]),
    "forecast": (FORECAST, [{"name": "value", "shape": [2], "datatype": "FP64", "data": [0.0, -1.0]}]),
    "three": (TWO_ROWS, [
        {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["z", "y"]},
        {"name": "probability", "shape": [2, 3], "datatype": "FP64",
         "data": [1.0, 7.0, 10.0, 0.5, 1.25, 0.5]}]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("task", "inputs", "outputs"), [(t, *case) for t, case in INFERRED.items()], ids=INFERRED
)
def test_an_inference_of_each_task(
    clients: dict[str, httpx.Client], task: str, inputs: list[Any], outputs: list[Any]
) -> None:
    path = f"/v2/models/{SCHEMAS[task].name}"
    assert clients[task].post(f"{path}/infer", json={"inputs": inputs}).json()["outputs"] == outputs
    described = clients[task].get(path).json()["outputs"]
    assert [(o["name"], o["datatype"], o["shape"][1:]) for o in described] == [
        (o["name"], o["datatype"], o["shape"][1:]) for o in outputs
    ]


def test_a_forecast_takes_nested_history(clients: dict[str, httpx.Client]) -> None:
    nested = [tensor | {"data": [[1, 2, 3, 4], [5, 6, 7, 8]]} if tensor["name"] == "history" else tensor
              for tensor in FORECAST]  # fmt: skip
    path = "/v2/models/demand/infer"
    answers = [
        clients["forecast"].post(path, json={"inputs": inputs}).json() for inputs in (FORECAST, nested)
    ]
    assert answers[0] == answers[1]


def test_a_forecast_describes_its_four_inputs(clients: dict[str, httpx.Client]) -> None:
    described = clients["forecast"].get("/v2/models/demand").json()["inputs"]
    assert [(t["name"], t["datatype"], t["shape"]) for t in described] == [
        ("key", "BYTES", [-1]), ("at", "BYTES", [-1]), ("history", "FP64", [-1, 4]), ("step", "INT64", [-1]),
    ]  # fmt: skip


def test_a_history_of_the_wrong_length_is_refused(clients: dict[str, httpx.Client]) -> None:
    wrong = [tensor | {"shape": [2, 3]} if tensor["name"] == "history" else tensor for tensor in FORECAST]
    response = clients["forecast"].post("/v2/models/demand/infer", json={"inputs": wrong})
    assert (response.status_code, response.json()["error"]) == (
        400, "input history: shape is [2, 3], must be [rows, 4]",
    )  # fmt: skip


def test_a_row_without_a_finite_answer_is_refused_by_name(clients: dict[str, httpx.Client]) -> None:
    rows = [{"a": 1, "b": 1}, {"a": 3e38, "b": 3e38}]  # 2a + b is beyond float32
    response = clients["clustering"].post("/predict", json={"rows": rows})
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"row": 1, "field": "", "value": "", "rule": "the model has no finite answer for this row"}
    ]
