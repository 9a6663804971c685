"""Whatever a client sends, it is the client's mistake: never a 5xx, and the server goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.serving.fuzz import SETTINGS, fuzz, report
from tests.serving.servers import Server

ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=10)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
names = st.sampled_from([*ROW, "other"])
rows = st.dictionaries(names, values) | names.flatmap(
    lambda name: values.map(lambda value: ROW | {name: value})
)
tensors = st.fixed_dictionaries(
    {},
    optional={
        "name": names | values,
        "shape": st.just([1]) | st.just([1, 1]) | values,
        "datatype": st.sampled_from(["FP64", "INT64", "BOOL", "BYTES", "FP16"]) | values,
        "data": st.lists(scalars, max_size=2) | values,
    },
)
fast = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def send(client: httpx.Client, path: str, content: Any) -> httpx.Response:
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return client.post(path, content=body, headers={"content-type": "application/json"})


@fast
@given(values | st.fixed_dictionaries({"rows": values | st.lists(rows | values, max_size=3)}))
def test_any_json_to_predict_is_answered_or_refused(fraud: httpx.Client, content: Any) -> None:
    response = send(fraud, "/predict", content)
    assert response.status_code in (200, 413, 422)
    assert ("error" in response.json()) == (response.status_code != 200)


@fast
@given(
    values
    | st.fixed_dictionaries(
        {"inputs": st.lists(tensors, max_size=7)}, optional={"outputs": values, "id": values}
    )
)
def test_any_json_to_infer_is_answered_or_refused(fraud: httpx.Client, content: Any) -> None:
    response = send(fraud, "/v2/models/fraud/infer", content)
    assert response.status_code in (200, 400, 413)
    assert response.status_code == 200 or list(response.json()) == ["error"]


@fast
@given(st.binary(max_size=200))
@pytest.mark.parametrize("path", ["/predict", "/v2/models/fraud/infer"])
def test_any_bytes_are_refused(fraud: httpx.Client, path: str, body: bytes) -> None:
    assert send(fraud, path, body).status_code in (400, 422)


DEEP = b"[" * 900 + b"]" * 900
WHERE = [
    b'{"inputs": [{"name": %s, "shape": [1], "datatype": "FP64", "data": [1]}]}',
    b'{"inputs": [{"name": "amount", "shape": %s, "datatype": "FP64", "data": [1]}]}',
    b'{"inputs": [{"name": "amount", "shape": [1], "datatype": %s, "data": [1]}]}',
    b'{"inputs": [{"name": "amount", "shape": [1], "datatype": "INT64", "data": [%s]}]}',
    b'{"inputs": [{"name": "amount", "shape": [1], "datatype": "FP64", "data": [%s]}]}',
    b'{"outputs": [{"name": %s}], "inputs": []}',
    b'{"inputs": %s}',
    b'{"id": %s}',
]


@pytest.mark.parametrize("template", WHERE, ids=range(len(WHERE)))
def test_deeply_nested_values_are_refused_anywhere(fraud: httpx.Client, template: bytes) -> None:
    assert send(fraud, "/v2/models/fraud/infer", template % DEEP).status_code == 400


def test_after_all_that_the_server_answers(fraud: httpx.Client) -> None:
    assert send(fraud, "/predict", {"rows": [ROW]}).status_code == 200


def test_five_seconds_of_requests_by_every_way_in_find_nothing(fraud_folder: Path, tmp_path: Path) -> None:
    server = Server(fraud_folder, tmp_path / "log", SETTINGS, "--grpc-port", "0")
    try:
        findings = fuzz(server, seconds=5, seed=1)
    finally:
        server.stop()
    assert findings.found == [], report(findings)
    assert {kind for kind, _ in findings.statuses} == {
        "predict", "explain", "feedback", "infer", "binary", "graphql", "raw", "grpc", "grpc frames",
    }  # fmt: skip
