"""The protocol with a client that others wrote: tritonclient, over HTTP (JSON and binary) and over gRPC."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

COLUMNS: dict[str, tuple[str, Any]] = {
    "amount": ("FP64", np.array([12.5, 0.5])),
    "count": ("INT64", np.array([3, 4])),
    "abroad": ("BOOL", np.array([False, True])),
    "country": ("BYTES", np.array(["DE", "XX"], object)),
    "channel": ("BYTES", np.array(["app", "shop"], object)),
    "at": ("BYTES", np.array(["2024-05-01T10:30:00", "2024-05-02"], object)),
}
WAYS: dict[str, tuple[ModuleType, dict[str, bool]]] = {
    "JSON": (tritonclient.http, {"binary_data": False}),
    "binary": (tritonclient.http, {"binary_data": True}),
    "gRPC": (tritonclient.grpc, {}),
}


@pytest.fixture(scope="module")
def clients(both: Any) -> Iterator[dict[ModuleType, Any]]:
    made = {
        tritonclient.http: tritonclient.http.InferenceServerClient(both.http),
        tritonclient.grpc: tritonclient.grpc.InferenceServerClient(both.grpc),
    }
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[ModuleType, dict[str, bool]]:
    return request.param


def inputs(
    way: tuple[ModuleType, dict[str, bool]], columns: dict[str, tuple[str, Any]] = COLUMNS
) -> list[Any]:
    module, options = way
    made = []
    for name, (datatype, values) in columns.items():
        tensor = module.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, **options)
        made.append(tensor)
    return made


def texts(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else value for value in values.tolist()]


@pytest.mark.parametrize("module", [tritonclient.http, tritonclient.grpc], ids=["HTTP", "gRPC"])
def test_it_finds_the_server_live_and_ready(clients: dict[ModuleType, Any], module: ModuleType) -> None:
    client = clients[module]
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("fraud")


def test_both_ways_tell_the_same_metadata(clients: dict[ModuleType, Any]) -> None:
    over_http = clients[tritonclient.http].get_model_metadata("fraud")
    over_grpc = clients[tritonclient.grpc].get_model_metadata("fraud", as_json=True)
    for tensor in (*over_grpc["inputs"], *over_grpc["outputs"]):
        tensor["shape"] = [int(size) for size in tensor["shape"]]  # JSON of protobuf has int64 as text
    assert {key: over_http[key] for key in over_grpc} == over_grpc
    assert clients[tritonclient.http].get_server_metadata() == clients[tritonclient.grpc].get_server_metadata(
        as_json=True
    )


def test_it_knows_the_version(clients: dict[ModuleType, Any]) -> None:
    for client in clients.values():
        version = clients[tritonclient.http].get_model_metadata("fraud")["versions"][0]
        assert client.is_model_ready("fraud", version)


def test_every_way_has_the_same_answer(
    clients: dict[ModuleType, Any], way: tuple[ModuleType, dict[str, bool]]
) -> None:
    expected = clients[tritonclient.http].infer("fraud", inputs(WAYS["JSON"]))
    answer = clients[way[0]].infer("fraud", inputs(way), request_id="7")
    assert texts(answer.as_numpy("label")) == texts(expected.as_numpy("label"))
    assert answer.as_numpy("probability").tolist() == expected.as_numpy("probability").tolist()
    assert answer.as_numpy("probability").shape == (2, 2)


@pytest.mark.parametrize("binary", [False, True], ids=["JSON", "binary"])
def test_an_output_comes_as_it_was_asked_for(clients: dict[ModuleType, Any], binary: bool) -> None:
    asked = [tritonclient.http.InferRequestedOutput("probability", binary_data=binary)]
    answer = clients[tritonclient.http].infer("fraud", inputs(WAYS["binary"]), outputs=asked, request_id="7")
    content = answer.get_response()
    assert content["id"] == "7"
    assert [("data" in output, "parameters" in output) for output in content["outputs"]] == [
        (not binary, binary)
    ]
    assert answer.as_numpy("probability").shape == (2, 2)


def test_a_thousand_rows_are_answered(
    clients: dict[ModuleType, Any], way: tuple[ModuleType, dict[str, bool]]
) -> None:
    columns = {name: (datatype, np.tile(values, 500)) for name, (datatype, values) in COLUMNS.items()}
    answer = clients[way[0]].infer("fraud", inputs(way, columns))
    assert answer.as_numpy("probability").shape == (1000, 2)
    assert len(np.unique(answer.as_numpy("probability"), axis=0)) <= 2


def test_half_precision_is_answered(clients: dict[ModuleType, Any]) -> None:
    columns = COLUMNS | {"amount": ("FP16", np.array([12.5, 0.5], np.float16))}
    for name in ("binary", "gRPC"):
        assert (
            clients[WAYS[name][0]].infer("fraud", inputs(WAYS[name], columns)).as_numpy("label") is not None
        )


def test_a_wrong_value_is_told_in_words(
    clients: dict[ModuleType, Any], way: tuple[ModuleType, dict[str, bool]]
) -> None:
    columns = COLUMNS | {"amount": ("FP64", np.array([12.5, -1.0]))}
    with pytest.raises(InferenceServerException, match=r"row 1, field amount = -1\.0: must be at least 0"):
        clients[way[0]].infer("fraud", inputs(way, columns))


def test_another_model_is_not_found(
    clients: dict[ModuleType, Any], way: tuple[ModuleType, dict[str, bool]]
) -> None:
    with pytest.raises(InferenceServerException, match="this is fraud"):
        clients[way[0]].infer("spam", inputs(way))
