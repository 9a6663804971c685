"""The router before two slots: shares, keys, what is passed on, and what it does about processes that are gone."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.bentos import free_port
from fairlead.adapters.local_router import SLOT, Routes, point_of

WEIGHTS = st.floats(0.5, 99.5)


@given(st.floats(0, 0.999999), WEIGHTS, WEIGHTS)
def test_a_point_changes_its_slot_at_most_once_while_a_weight_rises(
    point: float, one: float, other: float
) -> None:
    pods = {"blue": [1], "green": [2]}
    low, high = sorted((one, other))
    before = Routes({"blue": 100 - low, "green": low}, pods).slots(point)[0]
    after = Routes({"blue": 100 - high, "green": high}, pods).slots(point)[0]
    assert (before, after) != ("green", "blue")


def test_keys_are_shared_as_the_weights_say() -> None:
    routes = Routes({"blue": 90.0, "green": 10.0}, {"blue": [1], "green": [2]})
    seen = Counter(routes.slots(point_of(f"customer-{number}"))[0] for number in range(5000))
    assert 0.08 < seen["green"] / 5000 < 0.12


SLOTS = {
    "the other one where the chosen has none": (
        {"blue": 90.0, "green": 10.0},
        {"blue": [], "green": [2]},
        ["green"],
    ),
    "nobody": ({"blue": 100.0}, {"blue": []}, []),
    "before anything is written": ({}, {}, []),
    "all of it to one": ({"green": 100.0}, {"blue": [1], "green": [2]}, ["green"]),
}


@pytest.mark.parametrize(("weights", "pods", "expected"), SLOTS.values(), ids=SLOTS)
def test_which_slots_can_answer(weights: dict, pods: dict, expected: list[str]) -> None:
    assert Routes(weights, pods).slots(0.5) == expected


class Model(BaseHTTPRequestHandler):
    """Says what it was asked; ``/redirect`` and ``/break`` do what they are called."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/break":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        said = json.dumps({"path": self.path, "body": body.decode(), "headers": dict(self.headers)}).encode()
        self.send_response(302 if self.path == "/redirect" else 422)
        self.send_header("X-Request-ID", "r-1")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def models() -> Iterator[dict[str, int]]:
    """Two processes' ports by slot."""
    servers = {slot: ThreadingHTTPServer(("127.0.0.1", 0), Model) for slot in ("blue", "green")}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {slot: server.server_address[1] for slot, server in servers.items()}
    for server in servers.values():
        server.shutdown()
        server.server_close()


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    return tmp_path / "routes.json"


def write(routes: Path, weights: dict[str, float], pods: dict[str, list[int]]) -> None:
    unfinished = routes.with_suffix(".new")
    unfinished.write_text(json.dumps({"weights": weights, "pods": pods}))
    unfinished.replace(routes)


@pytest.fixture
def client(routes: Path) -> Iterator[httpx.Client]:
    """A client of a running router."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "fairlead.adapters.local_router", str(routes), "--port", str(port)]
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                client.get("/")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield client
    process.terminate()
    process.wait(15)


def eventually(client: httpx.Client, slot: str) -> float:
    """Seconds until *slot* answers."""
    began = time.monotonic()
    while client.post("/predict").headers.get(SLOT) != slot:
        assert time.monotonic() - began < 5
    return time.monotonic() - began


def test_a_request_and_its_answer_are_passed_on(
    client: httpx.Client, routes: Path, models: dict[str, int]
) -> None:
    write(routes, {"green": 100.0}, {"green": [models["green"]]})
    eventually(client, "green")
    answer = client.post(
        "/v2/models/m/infer?x=%2F1", content=b"abc", headers={"x-api-key": "k", "te": "trailers"}
    )
    assert (answer.status_code, answer.headers["x-request-id"], answer.headers[SLOT]) == (422, "r-1", "green")
    said = answer.json()
    assert (said["path"], said["body"]) == ("/v2/models/m/infer?x=%2F1", "abc")
    headers = {name.lower() for name in said["headers"]}
    assert "x-api-key" in headers
    assert "te" not in headers


def test_a_redirect_is_the_callers_to_follow(
    client: httpx.Client, routes: Path, models: dict[str, int]
) -> None:
    write(routes, {"green": 100.0}, {"green": [models["green"]]})
    eventually(client, "green")
    assert client.post("/redirect").status_code == 302


def test_a_change_of_weights_takes_effect_within_two_seconds(
    client: httpx.Client, routes: Path, models: dict[str, int]
) -> None:
    pods = {slot: [port] for slot, port in models.items()}
    for slot in ("green", "blue", "green"):
        write(routes, {slot: 100.0}, pods)
        assert eventually(client, slot) < 2.0


def test_requests_are_shared_by_weight(client: httpx.Client, routes: Path, models: dict[str, int]) -> None:
    write(routes, {"blue": 75.0, "green": 25.0}, {slot: [port] for slot, port in models.items()})
    eventually(client, "green")
    seen = Counter(client.post("/predict").headers[SLOT] for _ in range(800))
    assert 0.18 < seen["green"] / 800 < 0.32


def test_a_request_that_could_not_be_sent_goes_to_another_process(
    client: httpx.Client, routes: Path, models: dict[str, int]
) -> None:
    write(routes, {"blue": 100.0}, {"blue": [free_port(), models["blue"]], "green": []})
    eventually(client, "blue")
    assert {client.post("/predict").status_code for _ in range(20)} == {422}


def test_a_request_that_was_sent_is_not_sent_again(
    client: httpx.Client, routes: Path, models: dict[str, int]
) -> None:
    write(routes, {"blue": 100.0}, {slot: [port] for slot, port in models.items()})
    eventually(client, "blue")
    answer = client.post("/break")
    assert (answer.status_code, answer.headers[SLOT]) == (502, "blue")


def test_without_a_model_the_caller_is_told_to_come_again(client: httpx.Client) -> None:
    answer = client.post("/predict")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
