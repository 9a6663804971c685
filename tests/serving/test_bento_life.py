"""The life of a real Bento: drained under load, killed under load, one worker of several killed, and idle."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.serving.hostile_cases import GOOD, SERVICE, message
from tests.serving.servers import Bento, Server, free_port, wait_for

from fairlead.monitor.segments import Seen, read_lines

pytestmark = pytest.mark.slow

DRAIN, GRACE = 2.0, 5.0
Start = Callable[..., Bento]


@pytest.fixture
def bento(fraud_folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a Bento with some settings; all are gone at the end."""
    started: list[Bento] = []

    def start(**settings: str) -> Bento:
        folder = tmp_path / f"bento-{len(started)}"
        folder.mkdir()
        started.append(Bento(fraud_folder, folder, settings))
        return started[-1]

    yield start
    for one in started:
        one.kill()


class Clients:
    """Keep-alive clients that each send a request after the other, at an even pace, to whom a balancer says."""

    def __init__(self, target: Callable[[], int], count: int = 8, rate: float = 0.0) -> None:
        """*count* of them send *rate* requests a second together (0: as many as they can); *target* is a port."""
        self.seen: Counter[str] = Counter()
        self.answered: dict[str, int] = {}
        """Ids of the requests that were answered, and by which port."""
        self._target = target
        self._interval = count / rate if rate else 0.0
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(one,)) for one in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self, name: int) -> None:
        connections: dict[int, HTTPConnection] = {}
        number, due = 0, time.monotonic() + self._interval * name / max(1, len(self._threads))
        while not self._end.is_set():
            port = self._target()
            connection = connections.setdefault(port, HTTPConnection("127.0.0.1", port, timeout=10))
            number += 1
            identity = f"c{name}-{number}"
            try:
                connection.request("POST", "/predict", GOOD, {"x-request-id": identity})
                answer = connection.getresponse()
                answer.read()
                said = str(answer.status)
                self.answered |= {identity: port} if answer.status == 200 else {}
            except (HTTPException, OSError) as error:
                del connections[port]
                said = type(error).__name__
            self.seen[said] += 1
            due += self._interval
            time.sleep(max(0.0, due - time.monotonic()))
        for connection in connections.values():
            connection.close()

    def end(self) -> Counter[str]:
        """Stop, and say how often each answer was seen."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        return self.seen


class Balancer:
    """Sends to the first of some ports whose ``/readyz`` says so, which it asks every tenth of a second."""

    def __init__(self, *ports: int) -> None:
        self.chosen = ports[0]
        self.left_at = 0.0
        """When it left the first."""
        self._ports = ports
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.1):
            chosen = next((port for port in self._ports if _ready(port)), self.chosen)
            if chosen != self.chosen:
                self.chosen, self.left_at = chosen, time.monotonic()

    def end(self) -> None:
        """Look no more."""
        self._end.set()
        self._thread.join()


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def records_of(folder: Path) -> tuple[list[Mapping[str, Any]], Seen, int]:
    """What a log's finished segments hold: records, numbers seen, torn lines."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().split(b"\n")]
    reading, seen = read_lines(lines), Seen()
    for record in reading.records:
        if record["kind"] == "worker":
            seen.event(record["pod"], record["epoch"], record["event"], record["seq"])
        else:
            seen.add(record["pod"], record["epoch"], record["seq"])
    return list(reading.records), seen, reading.torn


# -------------------------------------------------------------------------------------------------- the drain


def test_told_to_end_under_load_it_loses_no_request_and_no_record(
    bento: Start, fraud_folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "predictions"
    first = bento(
        FAIRLEAD_DRAIN_SECONDS=str(DRAIN), FAIRLEAD_GRACE_SECONDS=str(GRACE), FAIRLEAD_LOG_FOLDER=str(log)
    )
    second = Server(fraud_folder, tmp_path / "second")
    most = _borne(first.port)
    balancer = Balancer(first.port, second.target.port)
    clients = Clients(lambda: balancer.chosen, rate=0.8 * most)
    try:
        time.sleep(1.5)
        told = time.monotonic()
        first.process.send_signal(signal.SIGTERM)
        wait_for(lambda: balancer.left_at, seconds=DRAIN, says=first.log)
        code = first.process.wait(timeout=DRAIN + GRACE + 10)
        took = time.monotonic() - told
        time.sleep(0.3)
    finally:
        seen = clients.end()
        balancer.end()
        second.stop()
    assert set(seen) == {"200"}, seen
    assert balancer.left_at - told < 1.0
    assert DRAIN <= took < DRAIN + GRACE + 3
    assert code in (0, -signal.SIGTERM)
    records, numbers, torn = records_of(log)
    logged = Counter(record["id"] for record in records if record["kind"] == "prediction")
    by_first = {identity for identity, port in clients.answered.items() if port == first.port}
    assert by_first <= set(logged)
    assert (numbers.gaps(), numbers.unfinished(), torn) == ([], [], 0)
    assert len(by_first) > most / 2


def _borne(port: int) -> float:
    """Requests a second that the server and these clients bear together."""
    clients = Clients(lambda: port)
    time.sleep(1)
    return float(clients.end()["200"])


def test_calls_of_grpc_in_flight_are_finished_and_health_says_not_serving(bento: Start) -> None:
    port = free_port()
    served = bento(FAIRLEAD_DRAIN_SECONDS="1.5", FAIRLEAD_GRPC_PORT=str(port))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        statuses = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(statuses).status == health_pb2.HealthCheckResponse.SERVING
        calls, told = Counter[str](), threading.Event()
        threads = [threading.Thread(target=_call_until, args=(channel, told, calls)) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        served.process.send_signal(signal.SIGTERM)
        assert next(statuses).status == health_pb2.HealthCheckResponse.NOT_SERVING
        time.sleep(0.5)  # calls that still come are answered
        told.set()
        for thread in threads:
            thread.join()
    served.process.wait(timeout=20)
    assert set(calls) == {"OK"}
    assert calls["OK"] > 50


def _call_until(channel: grpc.Channel, told: threading.Event, calls: Counter[str]) -> None:
    infer: Any = channel.unary_unary(f"/{SERVICE}/ModelInfer")
    while not told.is_set():
        try:
            infer(message(), timeout=10)
            calls["OK"] += 1
        except grpc.RpcError as error:
            calls[error.code().name] += 1


# -------------------------------------------------------------------------------------------- several workers


def test_a_killed_worker_is_replaced_and_no_counter_falls(bento: Start) -> None:
    served = bento(FAIRLEAD_WORKERS="3")
    before = set(wait_for(lambda: _all(served, 3), says=served.log))
    clients = Clients(lambda: served.port, count=6)
    try:
        scrapes = [_scrape(served)]
        victim = min(before)
        while len(scrapes) < 100:
            if len(scrapes) == 30:
                os.kill(victim, signal.SIGKILL)
            if found := _scrape(served):
                scrapes.append(found)
        after = set(wait_for(lambda: _all(served, 3), says=served.log))
    finally:
        seen = clients.end()
    assert len(after - before) == 1
    assert victim not in after
    fallen = [
        (number, name)
        for number, (one, other) in enumerate(itertools.pairwise(scrapes))
        for name in one
        if other.get(name, 0.0) < one[name]
    ]
    assert fallen == []
    counted = sum(value for name, value in _scrape(served).items() if _is_prediction(name))
    # Each worker's answer is counted after it was sent, so a kill may take the last ones with it.
    assert seen["200"] - 6 <= counted <= sum(seen.values())
    assert seen["200"] > 500


def _all(served: Bento, count: int) -> list[int]:
    found = served.workers()
    return found if len(found) == count and served.ready() else []


def _scrape(served: Bento) -> dict[str, float]:
    """Counters by series, over a new connection, so of any of the workers; empty if that one was killed."""
    try:
        text = httpx.get(f"{served.url}/metrics", timeout=10).text
    except httpx.TransportError:
        return {}
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {
        name: float(value)
        for name, _, value in lines
        if "_total" in name or "_count" in name or "_bucket" in name
    }


def _is_prediction(name: str) -> bool:
    return (
        name.startswith("fairlead_requests_total") and 'endpoint="/predict"' in name and 'code="200"' in name
    )


# --------------------------------------------------------------------------------------------------- the kill


def test_killed_under_load_its_log_lacks_only_what_was_in_flight(bento: Start, tmp_path: Path) -> None:
    log = tmp_path / "predictions"
    served = bento(FAIRLEAD_LOG_FOLDER=str(log))
    clients = Clients(lambda: served.port, count=4, rate=400)
    time.sleep(1.5)
    answered = set(clients.answered)
    time.sleep(0.2)
    served.kill()
    clients.end()
    served.start()
    served.stop()
    records, numbers, torn = records_of(log)
    logged = {record["id"] for record in records if record["kind"] == "prediction"}
    lost = sum(gap.records for gap in numbers.gaps())
    assert answered <= logged, "what was answered 0.2 s before is on the disk"
    assert set(clients.answered) - logged <= set(clients.answered) - answered
    assert len(set(clients.answered) - logged) <= lost
    assert numbers.unfinished() == []
    assert torn <= 1


# ---------------------------------------------------------------------------------------------- idle connections


def test_an_idle_connection_is_kept_as_long_as_the_setting_says(bento: Start) -> None:
    served = bento(FAIRLEAD_KEEP_ALIVE_SECONDS="3")
    asked = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        for pause in (2, 0):  # a gateway with a shorter time of its own asks again
            connection.sendall(asked)
            answered = b""
            while not answered.endswith(b'{"live":true}'):  # head and body may come apart
                answered += connection.recv(1000)
            assert answered.startswith(b"HTTP/1.1 200")
            time.sleep(pause)
        begun = time.monotonic()
        assert connection.recv(1000) == b""
        assert 2.5 < time.monotonic() - begun < 5
