"""Every route, and every way to ask wrongly, over HTTP against a real server."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}
VERSION = "/v2/models/fraud/versions/{version}"


@pytest.fixture(scope="module")
def version(fraud: httpx.Client) -> str:
    return str(fraud.post("/predict", json={"rows": [ROW]}).json()["version"])


GETS = {
    "/livez": {"live": True},
    "/readyz": {"ready": True},
    "/v2": {"name": "fairlead", "version": "2", "extensions": ["binary_tensor_data"]},
    "/v2/": {"name": "fairlead", "version": "2", "extensions": ["binary_tensor_data"]},
    "/v2/health/live": {"live": True},
    "/v2/health/ready": {"ready": True},
    "/v2/models/fraud/ready": {"name": "fraud", "ready": True},
    VERSION + "/ready": {"name": "fraud", "ready": True},
}


@pytest.mark.parametrize(("path", "content"), GETS.items(), ids=GETS)
def test_a_path_answers(fraud: httpx.Client, version: str, path: str, content: Any) -> None:
    response = fraud.get(path.format(version=version))
    assert (response.status_code, response.json()) == (200, content)


PATHS = [*GETS, "/metrics", "/v2/models/fraud", VERSION]


@pytest.mark.parametrize("path", PATHS)
def test_head_answers_like_get_without_a_body(fraud: httpx.Client, version: str, path: str) -> None:
    response = fraud.head(path.format(version=version))
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_path_to_read_allows_reading_only(
    fraud: httpx.Client, version: str, path: str, method: str
) -> None:
    response = fraud.request(method, path.format(version=version))
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    assert response.json() == {"error": f"{method} is not allowed here, only GET, HEAD"}


@pytest.mark.parametrize("path", ["/predict", "/v2/models/fraud/infer", VERSION + "/infer"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_a_path_to_ask_allows_posts_only(fraud: httpx.Client, version: str, path: str, method: str) -> None:
    response = fraud.request(method, path.format(version=version))
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_an_unknown_path_is_told_the_routes(fraud: httpx.Client) -> None:
    response = fraud.get("/perdict")
    assert response.status_code == 404
    assert response.json()["error"] == "there is nothing at /perdict"
    assert {"/predict", "/livez", "/readyz", "/metrics", "/v2/models/fraud/infer"} <= set(
        response.json()["routes"]
    )


@pytest.mark.parametrize(
    "path", ["/v2/models/other", "/v2/models/fraud/versions/7", "/v2/models/fraud/versions/7/infer"]
)
def test_an_unknown_model_or_version_is_told_which_there_is(
    fraud: httpx.Client, version: str, path: str
) -> None:
    response = fraud.get(path)
    assert response.status_code == 404
    assert response.json() == {"error": f"no model answers at {path}; this is fraud {version}"}


# ----------------------------------------------------------------------------------------------- predictions


def test_a_prediction_has_a_label_and_the_probability_of_each_class(fraud: httpx.Client) -> None:
    response = fraud.post("/predict", json={"rows": [ROW, ROW | {"amount": 0}]})
    content = response.json()
    assert (response.status_code, content["model"], len(content["version"])) == (200, "fraud", 16)
    first, second = content["predictions"]
    assert first["probability"] == first["probabilities"]["yes"]
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert first["label"] == ("yes" if first["probability"] >= 0.3 else "no")
    assert second["probability"] < first["probability"]


def test_a_value_that_may_be_missing_may_be_left_out(fraud: httpx.Client) -> None:
    row = {name: value for name, value in ROW.items() if name != "count"}
    response = fraud.post("/predict", json={"rows": [row, row | {"count": None}]})
    left_out, null = response.json()["predictions"]
    assert left_out == null


REFUSED_ROWS = {
    "several fields": ({"amount": -1, "channel": "fax", "abroad": "no"}, [
        {"row": 0, "field": "amount", "value": "-1", "rule": "must be at least 0"},
        {"row": 0, "field": "abroad", "value": '"no"', "rule": "must be true or false"},
        {"row": 0, "field": "channel", "value": '"fax"', "rule": "must be one of app, shop"},
    ]),
    "a missing field": ({"at": None}, [{"row": 0, "field": "at", "value": "null", "rule": "a value is required"}]),
    "a misspelt field": ({"amout": 1}, [{"row": 0, "field": "amout", "value": "1", "rule": "there is no such field"}]),
}  # fmt: skip


@pytest.mark.parametrize(("change", "errors"), REFUSED_ROWS.values(), ids=REFUSED_ROWS)
def test_a_row_is_refused_field_by_field(
    fraud: httpx.Client, change: dict[str, Any], errors: list[Any]
) -> None:
    response = fraud.post("/predict", json={"rows": [ROW | change]})
    assert (response.status_code, response.json()["errors"]) == (422, errors)


def test_the_number_of_errors_is_said(fraud: httpx.Client) -> None:
    response = fraud.post("/predict", json={"rows": [ROW | {"amount": -1, "count": 0.5}]})
    assert response.json()["error"] == "2 values break the model's schema"


def test_errors_are_capped_and_the_answer_says_so(fraud: httpx.Client) -> None:
    response = fraud.post("/predict", json={"rows": [{}] * 500})
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 100
    assert response.json()["error"] == (
        "100 values break the model's schema; there may be more: checking stops at 100"
    )


DEEP = b"[" * 1000 + b"]" * 1000
BODIES = {
    "no JSON": (b"{", 400, "the body is not valid JSON"),
    "nothing": (b"", 400, "the body is not valid JSON"),
    "NaN": (b'{"rows": [{"amount": NaN}]}', 400, "the body is not valid JSON"),
    "Infinity": (b'{"rows": [{"amount": -Infinity}]}', 400, "the body is not valid JSON"),
    "invalid UTF-8": (b'{"rows": [{"country": "\xff"}]}', 400, "the body is not valid JSON"),
    "half a surrogate": (b'{"rows": [{"country": "\\ud800"}]}', 400, "the body is not valid JSON"),
    "too deep to parse": (b"[" * 100_000, 400, "the body is not valid JSON"),
    "a value that is nested deeply": (
        b'{"rows": [{"amount": ' + DEEP + b"}]}",
        400,
        "the body is nested more than 32 deep",
    ),
    "a list": (b"[]", 422, "the body must be an object with a list of rows"),
    "no rows": (b"{}", 422, "the body must be an object with a list of rows"),
    "rows that are no list": (b'{"rows": {}}', 422, "the body must be an object with a list of rows"),
    "an empty list of rows": (b'{"rows": []}', 422, "there are no rows"),
    "another key": (b'{"rows": [], "threshold": 1}', 422, "there is no such key: 'threshold'"),
    "too many rows": (
        b'{"rows": [' + b",".join([b"0"] * 10_001) + b"]}",
        413,
        "10001 rows are more than 10000",
    ),
}


@pytest.mark.parametrize(("body", "status", "said"), BODIES.values(), ids=BODIES)
def test_a_body_is_refused(fraud: httpx.Client, body: bytes, status: int, said: str) -> None:
    response = fraud.post("/predict", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert response.json()["error"].startswith(said)


@pytest.mark.parametrize("path", ["/predict", "/v2/models/fraud/infer"])
@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"content-type": "text/csv"}, "content type is 'text/csv', must be 'application/json'"),
        ({"content-encoding": "gzip"}, "content encoding 'gzip' is not accepted; send plain JSON"),
    ],
    ids=["content type", "content encoding"],
)
def test_what_is_not_plain_json_is_refused(
    fraud: httpx.Client, path: str, headers: dict[str, str], said: str
) -> None:
    response = fraud.post(path, content=b"{}", headers=headers)
    assert response.status_code == 415
    assert response.json()["error"].startswith(said)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_known_by_any_spelling(fraud: httpx.Client, content_type: str) -> None:
    body = json.dumps({"rows": [ROW]})
    assert fraud.post("/predict", content=body, headers={"content-type": content_type}).status_code == 200


def test_json_needs_not_to_be_announced(fraud: httpx.Client) -> None:
    assert fraud.post("/predict", content=json.dumps({"rows": [ROW]})).status_code == 200


# --------------------------------------------------------------------------------------------------- limits


def exchange(server: httpx.Client, head: bytes, *chunks: bytes) -> tuple[bytes, int]:
    """Send *head* and then *chunks* for as long as there is no answer; the answer, and how many chunks were sent."""
    address = urlsplit(str(server.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(head)
        sent = 0
        connection.settimeout(0.05)
        for chunk in chunks:
            try:
                connection.settimeout(10)
                connection.sendall(chunk)
                sent += 1
                connection.settimeout(0.001)
                return connection.recv(65536), sent
            except TimeoutError:
                continue
            except OSError:
                break
        connection.settimeout(10)
        return connection.recv(65536), sent


def test_a_body_that_is_announced_as_too_large_is_refused_unread(fraud: httpx.Client) -> None:
    answer, _ = exchange(fraud, b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


def test_a_body_that_turns_out_to_be_too_large_is_not_read_to_its_end(fraud: httpx.Client) -> None:
    megabyte = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    answer, sent = exchange(fraud, head, *[megabyte] * 100)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 30


def test_a_body_in_pieces_is_put_together(fraud: httpx.Client) -> None:
    body = json.dumps({"rows": [ROW]}).encode()
    pieces = (body[start : start + 7] for start in range(0, len(body), 7))
    assert fraud.post("/predict", content=pieces).status_code == 200


def test_a_large_batch_is_answered_row_by_row(fraud: httpx.Client) -> None:
    rows = [ROW | {"amount": position % 100} for position in range(3000)]
    predictions = fraud.post("/predict", json={"rows": rows}).json()["predictions"]
    alone = fraud.post("/predict", json={"rows": rows[77:78]}).json()["predictions"]
    assert len(predictions) == 3000
    assert predictions[77:78] == alone


# ------------------------------------------------------------------------------------------------ request ids


def test_a_request_id_is_returned(fraud: httpx.Client) -> None:
    assert fraud.get("/livez", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"


def test_requests_without_an_id_get_different_ones(fraud: httpx.Client) -> None:
    first, second = (fraud.get("/livez").headers["x-request-id"] for _ in range(2))
    assert first
    assert first != second


@pytest.mark.parametrize("given", ["a b", "x" * 129, "é"], ids=["space", "too long", "not ASCII"])
def test_a_request_id_that_could_spoil_a_log_is_replaced(fraud: httpx.Client, given: str) -> None:
    returned = fraud.get("/livez", headers={b"x-request-id": given.encode()}).headers["x-request-id"]
    assert returned != given
    assert returned.isascii()


@pytest.mark.parametrize("path", ["/nope", "/predict"])
def test_a_refusal_carries_the_request_id_too(fraud: httpx.Client, path: str) -> None:
    assert fraud.put(path, headers={"x-request-id": "r7"}).headers["x-request-id"] == "r7"


# --------------------------------------------------------------------------------------- other kinds of answer


def test_an_onnx_model_is_served_without_the_training_stack(fraud_folder: Path) -> None:
    import subprocess
    import sys

    program = (
        "import asyncio, sys; from pathlib import Path; import fairlead.serve.run\n"
        "from fairlead.serve.assembly import Assembly\n"
        "from fairlead.serve.loading import load\n"
        "asyncio.run(Assembly({}).attach(load(Path(sys.argv[1]))))\n"
        "heavy = {'pandas', 'sklearn', 'scipy', 'mlflow', 'pyarrow', 'kfp', 'pydantic', 'bentoml', 'onnx', 'treelite',"
        " 'grpc', 'graphene', 'opentelemetry', 'aiohttp', 'jwt'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(fraud_folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
