"""The load that e2e tests lean on: it sees every request, every error, and its own end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.e2e.traffic import Load


class Handler(BaseHTTPRequestHandler):
    """Answers `v1`; with 503 under /down; not at all under /gone."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self) -> None:
        if self.path == "/gone":
            self.close_connection = True
            return
        self.send_response(503 if self.path == "/down" else 200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"v1\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_makes_exactly_as_many_requests_as_asked(address: str) -> None:
    with Load(address, threads=3, most=100, pause=0) as traffic:
        traffic.join()
    assert traffic.require_no_errors() == 100
    assert traffic.versions() == {"v1": 100}


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [("/down", 503, "503 Service Unavailable: v1"), ("/gone", 0, "RemoteDisconnected")],
)
def test_every_failed_request_is_an_error_and_is_listed(
    address: str, path: str, status: int, error: str
) -> None:
    with Load(address, path, threads=2, most=10, pause=0) as traffic:
        traffic.join()
    assert {each.status for each in traffic.requests} == {status}
    with pytest.raises(AssertionError, match=f"10 of 10 requests failed: 10 × {error}"):
        traffic.require_no_errors()


def test_a_server_that_is_not_there_is_an_error() -> None:
    with Load("127.0.0.1:1", threads=1, most=2) as traffic:
        traffic.join()
    assert len(traffic.errors()) == 2


def test_traffic_that_ends_before_its_block_fails_the_test(address: str) -> None:
    with pytest.raises(AssertionError, match="ended before its block"), Load(address, most=5):
        time.sleep(0.5)


def test_no_request_at_all_is_not_a_success(address: str) -> None:
    with pytest.raises(AssertionError, match="no request at all"):
        Load(address).require_no_errors()


def test_versions_are_told_apart_by_time(address: str) -> None:
    with Load(address, threads=1) as traffic:
        traffic.wait(5)
        middle = time.time()
        traffic.wait(5)
    before, after = traffic.versions(to=middle)["v1"], traffic.versions(since=middle)["v1"]
    assert before >= 5
    assert after >= 5
    assert before + after == len(traffic.requests)
    assert traffic.first("v1") < middle < traffic.last("v1")
    assert 0 < traffic.quantile(0.5) <= traffic.quantile(1.0)
