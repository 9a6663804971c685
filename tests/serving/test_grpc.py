"""The protocol over gRPC: answers, statuses, health, reflection, and what other ways in share with it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import orjson
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.errors import ServiceError
from fairlead.schema import Output, Schema, SeriesShape
from fairlead.serve.app import App
from fairlead.serve.guards.admission import INLINE_BYTES
from fairlead.serve.http import Limits, Refused, Request
from fairlead.serve.loading import LoadedModel, Manifest, load
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.v2 import ModelProtocol
from fairlead.serve.v2.binary import written
from fairlead.serve.v2.grpc import start
from fairlead.serve.v2.messages import CONTENTS, Inference
from fairlead.serve.v2.proto import envelope_pb2
from fairlead.serve.v2.proto import open_inference_pb2 as pb

SERVICE = "inference.GRPCInferenceService"
COLUMNS: dict[str, tuple[str, list[Any]]] = {
    "amount": ("FP64", [12.5, 0.5]),
    "count": ("INT64", [3, 4]),
    "abroad": ("BOOL", [False, True]),
    "country": ("BYTES", ["DE", "XX"]),
    "channel": ("BYTES", ["app", "shop"]),
    "at": ("BYTES", ["2024-05-01T10:30:00", "2024-05-02"]),
}
METHODS = {
    "ServerLive": (pb.ServerLiveRequest, pb.ServerLiveResponse),
    "ServerReady": (pb.ServerReadyRequest, pb.ServerReadyResponse),
    "ServerMetadata": (pb.ServerMetadataRequest, pb.ServerMetadataResponse),
    "ModelReady": (pb.ModelReadyRequest, pb.ModelReadyResponse),
    "ModelMetadata": (pb.ModelMetadataRequest, pb.ModelMetadataResponse),
    "ModelInfer": (pb.ModelInferRequest, pb.ModelInferResponse),
}


class Client:
    """Calls by name."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)

    def __call__(self, method: str, request: Any = None, **metadata: str) -> Any:
        return self.with_call(method, request, **metadata)[0]

    def with_call(self, method: str, request: Any = None, **metadata: str) -> tuple[Any, Any]:
        kind, answer = METHODS[method]
        call = self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=lambda sent: sent if isinstance(sent, bytes) else sent.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        pairs = [(key.replace("_", "-"), value) for key, value in metadata.items()]
        return call.with_call(kind() if request is None else request, metadata=pairs, timeout=10)

    def refusal(self, request: Any, method: str = "ModelInfer", **metadata: str) -> tuple[str, str]:
        with pytest.raises(grpc.RpcError) as caught:
            self(method, request, **metadata)
        return caught.value.code().name, caught.value.details()


@pytest.fixture(scope="module")
def client(both: Any) -> Iterator[Client]:
    made = Client(both.grpc)
    yield made
    made.channel.close()


def raw(columns: dict[str, tuple[str, list[Any]]] = COLUMNS, **more: Any) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(**{"model_name": "fraud"} | more)
    for name, (datatype, values) in columns.items():
        request.inputs.add(name=name, datatype=datatype, shape=[len(values)])
        request.raw_input_contents.append(written(datatype, values))
    return request


def typed(columns: dict[str, tuple[str, list[Any]]] = COLUMNS, **more: Any) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(**{"model_name": "fraud"} | more)
    for name, (datatype, values) in columns.items():
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[len(values)])
        plain = [value.encode() if isinstance(value, str) else value for value in values]
        getattr(tensor.contents, CONTENTS[datatype]).extend(plain)
    return request


def first_row(columns: dict[str, tuple[str, list[Any]]] = COLUMNS) -> dict[str, tuple[str, list[Any]]]:
    return {name: (datatype, values[:1]) for name, (datatype, values) in columns.items()}


def over_http(both: Any, columns: dict[str, tuple[str, list[Any]]] = COLUMNS) -> dict[str, Any]:
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(values)], "data": values}
        for name, (datatype, values) in columns.items()
    ]
    return httpx.post(f"http://{both.http}/v2/models/fraud/infer", json={"inputs": inputs}).json()


# ------------------------------------------------------------------------------------------------- answers


def test_the_messages_are_those_of_other_makers() -> None:
    theirs = pytest.importorskip("tritonclient.grpc.service_pb2").DESCRIPTOR.message_types_by_name

    def numbers(message: Any, prefix: str = "") -> dict[str, tuple[int, int]]:
        found = {f"{prefix}.{field.name}": (field.number, field.type) for field in message.fields}
        for inner in message.nested_types:
            found |= numbers(inner, f"{prefix}.{inner.name}")
        return found

    for name, message in pb.DESCRIPTOR.message_types_by_name.items():
        assert numbers(message).items() <= numbers(theirs[name]).items(), name


def test_an_envelope_is_a_request_with_its_tensors_folded() -> None:
    folded = envelope_pb2.InferEnvelope.DESCRIPTOR.fields_by_name
    whole = pb.ModelInferRequest.DESCRIPTOR.fields_by_name
    assert {name: field.number for name, field in folded.items()} == {
        name: whole[name].number for name in folded
    }


def test_a_live_server_says_so(client: Client) -> None:
    assert client("ServerLive").live
    assert client("ServerReady").ready
    assert client("ModelReady", pb.ModelReadyRequest(name="fraud")).ready


def test_metadata_is_that_of_http(client: Client, both: Any) -> None:
    server = httpx.get(f"http://{both.http}/v2").json()
    model = httpx.get(f"http://{both.http}/v2/models/fraud").json()
    said = client("ServerMetadata")
    told = client("ModelMetadata", pb.ModelMetadataRequest(name="fraud", version=model["versions"][0]))
    assert {"name": said.name, "version": said.version, "extensions": [*said.extensions]} == server
    assert told == pb.ModelMetadataResponse(**{key: model[key] for key in model if key != "parameters"})


@pytest.mark.parametrize("columns", [COLUMNS, first_row()], ids=["two rows", "one row"])
def test_raw_contents_are_answered_with_raw_contents(
    client: Client, both: Any, columns: dict[str, tuple[str, list[Any]]]
) -> None:
    expected = over_http(both, columns)
    answer = client("ModelInfer", raw(columns))
    assert (answer.model_name, answer.model_version) == ("fraud", expected["model_version"])
    assert [(o.name, o.datatype, [*o.shape]) for o in answer.outputs] == [
        (o["name"], o["datatype"], o["shape"]) for o in expected["outputs"]
    ]
    label, probability = answer.raw_output_contents
    assert label == written("BYTES", expected["outputs"][0]["data"])
    assert np.frombuffer(probability).tolist() == expected["outputs"][1]["data"]


def test_typed_contents_are_answered_with_typed_contents(client: Client, both: Any) -> None:
    expected = over_http(both)["outputs"]
    answer = client("ModelInfer", typed())
    assert not answer.raw_output_contents
    assert [value.decode() for value in answer.outputs[0].contents.bytes_contents] == expected[0]["data"]
    assert [*answer.outputs[1].contents.fp64_contents] == expected[1]["data"]


def test_many_rows_are_answered_in_a_thread(client: Client, both: Any) -> None:
    columns = {name: (datatype, values * 1600) for name, (datatype, values) in COLUMNS.items()}
    request = raw(columns)
    assert request.ByteSize() > INLINE_BYTES
    probability = client("ModelInfer", request).raw_output_contents[1]
    assert np.frombuffer(probability).tolist() == over_http(both, columns)["outputs"][1]["data"]


@pytest.mark.parametrize("make", [raw, typed])
def test_an_id_is_returned(client: Client, make: Callable[..., Any]) -> None:
    assert client("ModelInfer", make(id="42")).id == "42"
    assert client("ModelInfer", make()).id == ""


@pytest.mark.parametrize("make", [raw, typed])
def test_outputs_can_be_chosen(client: Client, make: Callable[..., Any]) -> None:
    request = make()
    request.outputs.add(name="probability")
    assert [output.name for output in client("ModelInfer", request).outputs] == ["probability"]


@pytest.mark.parametrize("make", [raw, typed])
def test_parameters_that_nobody_knows_are_ignored(client: Client, make: Callable[..., Any]) -> None:
    request = make()
    request.parameters["priority"].int64_param = 1
    request.inputs[0].parameters["anything"].string_param = "x"
    assert client("ModelInfer", request) == client("ModelInfer", make())


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "INT8", "UINT64"])
def test_any_number_will_do(client: Client, datatype: str) -> None:
    columns = COLUMNS | {"amount": (datatype, [12, 1])}
    assert client("ModelInfer", raw(columns)) == client(
        "ModelInfer", raw(COLUMNS | {"amount": ("FP64", [12, 1])})
    )


def test_a_layout_is_not_taken_for_another(client: Client) -> None:
    plain = client("ModelInfer", raw(first_row()))
    with_outputs = raw(first_row())
    with_outputs.outputs.add(name="label")
    assert len(client("ModelInfer", with_outputs).outputs) == 1
    assert client("ModelInfer", raw(first_row())) == plain
    assert len(client("ModelInfer", raw()).raw_output_contents[1]) == 32


# ------------------------------------------------------------------------------------------------ statuses


def with_tensor(make: Callable[..., Any], **change: Any) -> Any:
    request = make(first_row())
    for key, value in change.items():
        if key == "shape":
            request.inputs[0].shape[:] = value
        else:
            setattr(request.inputs[0], key, value)
    return request


def short_of_contents() -> Any:
    request = raw()
    del request.raw_input_contents[-1]
    return request


def both_contents() -> Any:
    request = raw()
    request.inputs[0].contents.fp64_contents.append(1.0)
    return request


REFUSED = {
    "no message": (lambda: b"\xff\xff", "INVALID_ARGUMENT", "the message is not a ModelInferRequest"),
    "a tensor that is none": (lambda: pb.ModelInferRequest(model_name="fraud").SerializeToString() + b"\x2a\x01\xff",
        "INVALID_ARGUMENT", "the message is not a ModelInferRequest"),
    "no inputs": (lambda: pb.ModelInferRequest(model_name="fraud"), "INVALID_ARGUMENT",
        "inputs must be a list of tensors"),
    "another model": (lambda: raw(model_name="spam"), "NOT_FOUND", "there is no model 'spam'; this is fraud"),
    "another version": (lambda: raw(model_version="9"), "NOT_FOUND", "there is no model 'fraud 9'; this is fraud"),
    "an unknown input": (lambda: with_tensor(raw, name="x"), "INVALID_ARGUMENT", 'there is no input "x"; the model has'),
    "an unknown input, typed": (lambda: with_tensor(typed, name="x"), "INVALID_ARGUMENT", 'there is no input "x"'),
    "another datatype": (lambda: with_tensor(raw, datatype="BYTES"), "INVALID_ARGUMENT",
        'input amount: datatype "BYTES" does not fit, use FP64'),
    "typed half precision": (lambda: with_tensor(typed, datatype="FP16"), "INVALID_ARGUMENT",
        'input amount: datatype "FP16" does not fit, use FP64'),
    "the field of another datatype": (lambda: with_tensor(typed, datatype="FP32"), "INVALID_ARGUMENT",
        "input amount: fp32_contents must have 1 values, has 0"),
    "a shape of another size": (lambda: with_tensor(raw, shape=[1, 2]), "INVALID_ARGUMENT",
        "input amount: shape is [1, 2], must be [rows]"),
    "a negative shape": (lambda: with_tensor(raw, shape=[-1]), "INVALID_ARGUMENT",
        "input amount: shape is [-1], must start with 1 to 5000 rows"),
    "too many rows": (lambda: with_tensor(raw, shape=[5001]), "INVALID_ARGUMENT",
        "input amount: shape is [5001], must start with 1 to 5000 rows"),
    "different numbers of rows": (lambda: with_tensor(raw, shape=[2]), "INVALID_ARGUMENT",
        "inputs have different numbers of rows: 1, 2"),
    "too few bytes": (lambda: raw(first_row() | {"amount": ("FP64", [])}), "INVALID_ARGUMENT",
        "inputs have different numbers of rows: 0, 1"),
    "too few contents": (short_of_contents, "INVALID_ARGUMENT", "there are 6 inputs, but 5 raw_input_contents"),
    "both kinds of contents": (both_contents, "INVALID_ARGUMENT",
        "a request has either contents or raw_input_contents, not both"),
    "a number out of its datatype": (lambda: typed(first_row() | {"amount": ("INT8", [300])}), "INVALID_ARGUMENT",
        "input amount, value 0: 300 is not INT8"),
    "a value that breaks the schema": (lambda: raw(first_row() | {"amount": ("FP64", [-1.0])}), "INVALID_ARGUMENT",
        "row 0, field amount = -1.0: must be at least 0"),
    "a value that breaks the schema, typed": (lambda: typed(first_row() | {"channel": ("BYTES", ["fax"])}),
        "INVALID_ARGUMENT", 'row 0, field channel = "fax": must be one of app, shop'),
    "a missing input": (lambda: raw({"amount": ("FP64", [1.0])}), "INVALID_ARGUMENT", "field abroad = null: a value is"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "code", "said"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_request_is_told_why(client: Client, make: Callable[[], Any], code: str, said: str) -> None:
    found, details = client.refusal(make())
    assert (found, said in details) == (code, True), details


def test_bytes_of_the_wrong_length_are_told_why(client: Client) -> None:
    request = raw(first_row())
    request.raw_input_contents[0] = bytes(7)
    assert client.refusal(request) == (
        "INVALID_ARGUMENT",
        "input amount: 1 values of FP64 are 8 bytes, not 7",
    )


def test_a_message_above_the_limit_is_not_read(client: Client) -> None:
    code, _ = client.refusal(raw(id="x" * 1_000_001))
    assert code == "RESOURCE_EXHAUSTED"


def test_whoever_is_not_admitted_is_told(client: Client) -> None:
    assert client.refusal(raw(), x_api_key="wrong") == ("UNAUTHENTICATED", "the key is not known")
    assert client("ModelInfer", raw(), x_api_key="secret").model_name == "fraud"


def test_a_method_that_there_is_not_is_unimplemented(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client.channel.unary_unary(f"/{SERVICE}/ModelStream")(b"", timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


# ------------------------------------------------------------------------------ what all ways in have in common


@pytest.mark.parametrize("given", ["my-id", ""], ids=["the client's", "a new one"])
def test_the_name_of_a_request_is_returned(client: Client, given: str) -> None:
    _, call = client.with_call("ServerLive", **({"x_request_id": given} if given else {}))
    found = dict(call.trailing_metadata())["x-request-id"]
    assert found == given if given else len(found) > 10


def test_a_refusal_has_the_name_of_its_request(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client("ModelInfer", raw(model_name="x"), x_request_id="named")
    assert dict(caught.value.trailing_metadata())["x-request-id"] == "named"


def test_calls_are_counted_by_method_and_status(client: Client, both: Any) -> None:
    def count(code: str) -> float:
        lines = httpx.get(f"http://{both.http}/metrics").text.splitlines()
        found = [line for line in lines if line.startswith("fairlead_requests_total{")]
        wanted = [line for line in found if 'endpoint="grpc ModelInfer"' in line and f'code="{code}"' in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)

    before = count("200"), count("400")
    client("ModelInfer", raw())
    client.refusal(raw({"amount": ("FP64", [1.0])}))
    assert (count("200"), count("400")) == (before[0] + 1, before[1] + 1)


def test_observers_are_told_of_rows_and_caller(speak: Callable[..., Any], fraud_folder: Path) -> None:
    server = speak(fraud_folder)
    Client(server.grpc)("ModelInfer", raw(), x_request_id="print-1", x_api_key="secret")
    assert server.process.stdout.readline().split(" {")[0] == "grpc ModelInfer tester 2"


# ----------------------------------------------------------------------------------------- life, health, reflection


def health(channel: grpc.Channel, service: str = "") -> str:
    answer = health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=service), timeout=5
    )
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


@pytest.mark.parametrize("service", ["", SERVICE])
def test_health_is_serving(client: Client, service: str) -> None:
    assert health(client.channel, service) == "SERVING"


def test_health_of_an_unknown_service_is_not_found(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        health(client.channel, "other")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_without_a_model_calls_are_unavailable(speak: Callable[..., Any]) -> None:
    client = Client(speak().grpc)
    assert client("ServerLive").live
    assert not client("ServerReady").ready
    assert not client("ModelReady", pb.ModelReadyRequest(name="fraud")).ready
    assert health(client.channel) == "NOT_SERVING"
    assert client.refusal(raw()) == ("UNAVAILABLE", "the model is loading")
    assert client.refusal(None, "ModelMetadata") == ("UNAVAILABLE", "the model is loading")


def test_a_draining_server_is_not_serving_but_answers(speak: Callable[..., Any], fraud_folder: Path) -> None:
    server = speak(fraud_folder)
    client = Client(server.grpc)
    watched = health_pb2_grpc.HealthStub(client.channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    server.process.send_signal(signal.SIGUSR1)
    assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert health(client.channel) == "NOT_SERVING"
    assert not client("ServerReady").ready
    assert client("ModelInfer", raw()).model_name == "fraud"


def test_a_stopped_server_ends_at_once_though_someone_watches(
    speak: Callable[..., Any], fraud_folder: Path
) -> None:
    server = speak(fraud_folder)
    client = Client(server.grpc)
    watched = health_pb2_grpc.HealthStub(client.channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)
    next(watched)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=4) == 0
    assert client.refusal(raw())[0] == "UNAVAILABLE"


def test_reflection_describes_every_service(client: Client) -> None:
    database = ProtoReflectionDescriptorDatabase(client.channel)
    assert set(database.get_services()) == {
        SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection",
    }  # fmt: skip
    pool = DescriptorPool(database)
    infer = pool.FindServiceByName(SERVICE).FindMethodByName("ModelInfer")
    assert infer.input_type.fields_by_name["raw_input_contents"].number == 7
    assert pool.FindServiceByName("grpc.health.v1.Health").FindMethodByName("Watch").server_streaming


def test_a_failure_of_ours_is_told_without_its_details(fraud_folder: Path) -> None:
    async def failing() -> tuple[str, str]:
        model = load(fraud_folder)
        model.answers = lambda _: 1 / 0  # type: ignore[assignment,return-value]
        app = App(Metrics())
        app.attach("fraud", {})
        server = await start(app, 0)
        server.attach(model)
        try:
            async with grpc.aio.insecure_channel(server.address) as channel:
                await channel.unary_unary(f"/{SERVICE}/ModelInfer")(raw().SerializeToString(), timeout=5)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        finally:
            await server.stop(1.0)
        return "OK", ""

    code, details = asyncio.run(failing())
    assert code == "INTERNAL"
    assert details.startswith("internal error; the request is ")
    assert "Zero" not in details


def test_a_port_that_is_taken_is_told(both: Any) -> None:
    with pytest.raises(ServiceError, match="cannot listen for gRPC on 127"):
        asyncio.run(start(App(Metrics()), int(both.grpc.rsplit(":", 1)[1])))


def test_http_alone_loads_no_grpc() -> None:
    program = "import sys, fairlead.serve.v2; sys.exit(any(m.split('.')[0] in ('grpc', 'google') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_a_forecast_takes_histories_as_they_are_in_json(
    rows: int,
) -> None:
    shape = SeriesShape(("a", "b"), "day", window=3, horizon=2, season=1)
    model = LoadedModel(
        Manifest("demand", "0" * 64, "onnx", "model.onnx", (), {}),
        Schema("demand", (), Output("forecast"), series=shape),
        lambda batch: batch.numbers.sum(axis=1, dtype=np.float64, keepdims=True),
    )
    history = [float(value) for value in range(3 * rows)]
    columns = {
        "key": ("BYTES", ["a"] * rows), "at": ("BYTES", ["2024-01-01"] * rows),
        "history": ("FP64", history), "step": ("INT64", [1] * rows),
    }  # fmt: skip
    inputs = [
        {
            "name": name, "datatype": datatype,
            "shape": [rows, 3] if name == "history" else [rows], "data": values,
        }
        for name, (datatype, values) in columns.items()
    ]  # fmt: skip
    request = raw(columns, model_name="demand")
    request.inputs[2].shape[:] = [rows, 3]
    expected = ModelProtocol(model, Limits()).infer(Request(orjson.dumps({"inputs": inputs}), []))
    answer = pb.ModelInferResponse.FromString(Inference(model, Limits())(request.SerializeToString())[0])
    assert (
        np.frombuffer(answer.raw_output_contents[0]).tolist()
        == orjson.loads(expected.body)["outputs"][0]["data"]
    )


# --------------------------------------------------------------------------------------------------- fuzz


@pytest.fixture(scope="module")
def inference(fraud_folder: Path) -> Inference:
    return Inference(load(fraud_folder), Limits())


numbers = st.integers(-(2**63), 2**63 - 1)
tensors = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=st.sampled_from([*COLUMNS, "other", ""]),
    datatype=st.sampled_from(["FP64", "INT64", "BOOL", "BYTES", "FP16", "UINT8", "", "x"]),
    shape=st.just([1]) | st.just([1, 1]) | st.lists(numbers, max_size=3),
    contents=st.none()
    | st.builds(
        pb.InferTensorContents,
        fp64_contents=st.lists(st.floats(), max_size=2),
        int64_contents=st.lists(numbers, max_size=2),
        bool_contents=st.lists(st.booleans(), max_size=1),
        bytes_contents=st.lists(st.binary(max_size=4), max_size=2),
    ),
)
requests = st.builds(
    pb.ModelInferRequest,
    model_name=st.just("fraud"),
    id=st.text(st.characters(codec="utf-8"), max_size=3),
    inputs=st.lists(tensors, max_size=6),
    outputs=st.lists(
        st.builds(
            pb.ModelInferRequest.InferRequestedOutputTensor,
            name=st.sampled_from(["label", "probability", "x"]),
        ),
        max_size=3,
    ),
    raw_input_contents=st.lists(st.binary(max_size=12), max_size=6),
)
fast = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(inference: Inference, body: bytes) -> None:
    """The body is answered, or refused as the client's mistake."""
    try:
        answer, scored = inference(body)
    except Refused as refusal:
        assert refusal.status in (400, 404, 413), refusal.content  # noqa: PT017
    else:
        assert len(scored.answers) == pb.ModelInferResponse.FromString(answer).outputs[0].shape[0]


@fast
@given(requests)
def test_any_request_is_answered_or_refused(inference: Inference, request_: Any) -> None:
    check(inference, request_.SerializeToString())


@fast
@given(st.binary(max_size=60), st.integers(0, 300), st.sampled_from([raw, typed]))
def test_any_spoilt_bytes_are_answered_or_refused(
    inference: Inference, noise: bytes, at: int, make: Callable[..., Any]
) -> None:
    body = make(first_row()).SerializeToString()
    check(inference, body[:at] + noise + body[at + len(noise) :])
    check(inference, noise)


def test_layouts_are_not_kept_without_bound(inference: Inference) -> None:
    for number in range(300):
        request = raw(first_row())
        request.inputs[0].parameters["n"].int64_param = number
        inference(request.SerializeToString())
    large = raw(first_row())
    large.inputs[0].parameters["n"].string_param = "x" * 20_000
    inference(large.SerializeToString())
    assert len(inference._layouts) <= 256
    assert max(sum(map(len, key)) for key in inference._layouts) <= 16_384
