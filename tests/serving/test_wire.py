"""The HTTP protocol's bounds, byte by byte, under uvicorn with an application that says what it got.

The protocol is the one that is served: what comes whole in one packet is answered at once, the rest by ASGI.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import uvicorn

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.guards.wire import WireLimits, protocol_of
from fairlead.serve.inline import inline_protocol

LIMITS = WireLimits(header_bytes=4096, headers=20, header_seconds=0.5, message_seconds=1.0)


class Echo:
    """Answers with method, path and body; ``/slow`` after a while, ``/early`` without a look at the body.

    At once, where it is asked to, unless the path is one of these two or begins with ``/asgi``.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.at_once: list[str] = []
        self.received: list[float] = []

    def inline(
        self, method: bytes, url: bytes, headers: Any, body: bytes, received: float, write: Any
    ) -> bool:
        path = url.decode()
        if path.startswith(("/slow", "/early", "/asgi")):
            return False
        self.seen.append(path)
        self.at_once.append(path)
        self.received.append(time.perf_counter() - received)
        if path == "/busy":
            time.sleep(0.1)
        said = b"%b %b %b" % (method, url, body)
        write(
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nx-headers: %d\r\n\r\n%b"
            % (len(said), len(headers), said)
        )
        return True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope["path"])
        self.received.append(time.perf_counter() - scope["received"])
        body, more = b"", scope["path"] != "/early"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.seen.append("disconnected")
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if scope["path"] == "/slow":
            await asyncio.sleep(0.2)
        said = f"{scope['method']} {scope['path']} {body.decode('latin-1')}".encode()
        headers = [(b"content-length", b"%d" % len(said)), (b"x-headers", b"%d" % len(scope["headers"]))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})


class Server:
    def __init__(self) -> None:
        self.app = Echo()
        self.refused: Counter[int] = Counter()
        protocol = protocol_of(
            LIMITS,
            ((b"x-one", b"two"),),
            lambda status: self.refused.update([status]),
            inline_protocol(self.app),
        )
        config = uvicorn.Config(
            self.app, http=protocol, ws="none", lifespan="off", access_log=False, log_config=None,
            timeout_keep_alive=2, loop="uvloop",
        )  # fmt: skip
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.server = uvicorn.Server(config)
        self.server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],), daemon=True)
        self.thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.socket.getsockname(), timeout=5)

    def talk(self, *packets: bytes, half_close: bool = False, pause: float = 0.05) -> bytes:
        """Send packet by packet, and read to the connection's end."""
        with closing(self.connect()) as connection:
            for packet in packets:
                try:
                    connection.sendall(packet)
                except OSError:
                    break
                time.sleep(pause)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    said = b""
    try:
        while packet := connection.recv(65536):
            said += packet
    except OSError:
        pass
    return said


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    server = Server()
    yield server
    server.server.should_exit = True
    server.thread.join(5)


@pytest.fixture
def server(_server: Server) -> Iterator[Server]:
    _server.app.seen.clear()
    _server.app.at_once.clear()
    _server.app.received.clear()
    _server.refused.clear()
    yield _server
    assert b"GET /after " in _server.talk(CLOSING % b"/after"), "the next request must be answered"


CLOSING = b"GET %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
GET = b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST %s HTTP/1.1\r\nhost: x\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


# ------------------------------------------------------------------------------------------------- refused

REFUSED = {
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "an unknown method": (b"FROBNICATE / HTTP/1.1\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n\r\n", 400),
    "the begin of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "CONNECT": (b"CONNECT evil:443 HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "a path that is not ASCII": (b"GET /\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "a space in the path": (b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "line ends without CR": (b"GET / HTTP/1.1\nhost: x\n\n", 400),
    "a CR within a header": (b"GET / HTTP/1.1\r\nhost: x\ry: z\r\n\r\n", 400),
    "a NUL in a header": (b"GET / HTTP/1.1\r\na: b\x00c\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n", 400),
    "length and chunked": (POST % b"/" + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked and length": (POST % b"/" + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST % b"/" + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabc", 400),
    "a length with a sign": (POST % b"/" + b"content-length: +3\r\n\r\nabc", 400),
    "a negative length": (POST % b"/" + b"content-length: -3\r\n\r\nabc", 400),
    "a length beyond 64 bits": (POST % b"/" + b"content-length: 99999999999999999999999\r\n\r\n", 400),
    "an unknown transfer encoding": (POST % b"/" + b"transfer-encoding: xchunked\r\n\r\n", 400),
    "a space before the colon": (POST % b"/" + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "a chunk size with a sign": (POST % b"/" + b"transfer-encoding: chunked\r\n\r\n-1\r\n", 400),
    "a chunk size in C": (POST % b"/" + b"transfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n", 400),
    "a chunk beyond 64 bits": (POST % b"/" + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400),
    "an upgrade with a body": (
        POST % b"/" + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nabc", 505),
    "too many headers": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 21 + b"\r\n", 431),
    "headers that are too large": (b"GET / HTTP/1.1\r\na: " + b"b" * 5000 + b"\r\n\r\n", 431),
    "a path that is too long": (b"GET /" + b"b" * 5000 + b" HTTP/1.1\r\n\r\n", 431),
}  # fmt: skip


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the server or its event loop wrote about a connection."""
    return [
        record.getMessage() for record in caplog.records if record.name.startswith(("uvicorn", "asyncio"))
    ]


@pytest.mark.parametrize(("packet", "status"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_request_is_refused_and_the_connection_ends(
    server: Server, packet: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = server.talk(packet)
    assert (status_of(answer), answer.count(b"HTTP/1.1 ")) == (status, 1)
    assert b"connection: close\r\nx-one: two\r\n\r\n" in answer
    assert answer.endswith(b'"}')
    assert server.refused == {status: 1}
    assert complaints(caplog) == []


ENDLESS = {
    "headers": (b"GET / HTTP/1.1\r\n", b"a: bbbbbbbb\r\n" * 10),
    "one header": (b"GET / HTTP/1.1\r\na: ", b"b" * 120),
    "a path": (b"GET /", b"b" * 120),
    "trailers": (POST % b"/" + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"a: bbbbbbbb\r\n" * 10),
    "one trailer": (POST % b"/" + b"transfer-encoding: chunked\r\n\r\n0\r\na: ", b"b" * 120),
    "a chunk's extension": (POST % b"/" + b"transfer-encoding: chunked\r\n\r\n3;", b"b" * 120),
    "empty lines": (b"", b"\r\n" * 60),
}


@pytest.mark.parametrize(("begin", "more"), ENDLESS.values(), ids=ENDLESS)
def test_what_never_ends_is_refused_after_so_many_bytes(server: Server, begin: bytes, more: bytes) -> None:
    with closing(server.connect()) as connection:
        connection.sendall(begin)
        sent = 0
        try:
            while sent < 200_000:
                connection.sendall(more)
                sent += len(more)
                time.sleep(0.0002)
        except OSError:
            pass
    assert sent < 100_000
    assert sum(server.refused.values()) == 1


SLOW = {
    "nothing": ([], 0),
    "a request line": ([b"GET / HT"], 408),
    "headers": ([b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 15], 408),
    "a body that never begins": ([POST % b"/" + b"content-length: 10\r\n\r\n"], 408),
    "a body in drops": ([POST % b"/" + b"content-length: 1000\r\n\r\n", *[b"x"] * 40], 408),
    "a body after its answer": ([POST % b"/early" + b"content-length: 1000\r\n\r\n", *[b"x"] * 40], 200),
}


@pytest.mark.parametrize(("packets", "status"), SLOW.values(), ids=SLOW)
def test_what_comes_too_slowly_is_ended(server: Server, packets: list[bytes], status: int) -> None:
    started = time.monotonic()
    answer = server.talk(*packets, pause=0.07)
    assert time.monotonic() - started < 4
    assert status_of(answer) == status


def test_an_idle_connection_is_kept_for_its_time(server: Server) -> None:
    with closing(server.connect()) as connection:
        connection.sendall(GET % b"/one")
        assert b"GET /one " in connection.recv(65536)
        time.sleep(1.2)  # longer than anything but keep-alive
        connection.sendall(GET % b"/two")
        assert b"GET /two " in connection.recv(65536)
        started = time.monotonic()
        assert read_all(connection) == b""
        assert 1 < time.monotonic() - started < 4


def test_a_slow_body_after_a_quick_head_has_its_own_time(server: Server) -> None:
    packets = [b"x"] * 10
    answer = server.talk(
        POST % b"/" + b"connection: close\r\ncontent-length: 10\r\n\r\n", *packets, pause=0.07
    )
    assert answer.endswith(b"POST / xxxxxxxxxx")


# --------------------------------------------------------------------------------------------- taken


def test_a_request_in_single_bytes_is_taken(server: Server) -> None:
    request = POST % b"/" + b"content-length: 3\r\nconnection: close\r\n\r\nabc"
    packets = [request[position : position + 1] for position in range(len(request))]
    assert server.talk(*packets, pause=0.001).endswith(b"POST / abc")


def test_a_large_body_in_chunks_is_taken(server: Server) -> None:
    chunks = [b"1000\r\n" + b"x" * 4096 + b"\r\n"] * 50
    head = POST % b"/" + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    answer = server.talk(head, *chunks, b"0\r\n\r\n", pause=0.001)
    assert answer.endswith(b"POST / " + b"x" * 4096 * 50)


def test_a_large_body_in_one_packet_is_taken(server: Server) -> None:
    body = b"x" * 200_000
    answer = server.talk(POST % b"/" + b"content-length: 200000\r\nconnection: close\r\n\r\n" + body)
    assert answer.endswith(b"POST / " + body)


def test_requests_in_one_packet_are_answered_in_order(server: Server) -> None:
    answer = server.talk(GET % b"/slow" + GET % b"/b" + CLOSING % b"/c")
    assert [answer.find(b"GET %s " % path) for path in (b"/slow", b"/b", b"/c")] == sorted(
        answer.find(b"GET %s " % path) for path in (b"/slow", b"/b", b"/c")
    )
    assert server.app.seen == ["/slow", "/b", "/c"]


def test_a_thousand_requests_in_one_packet_are_all_answered(server: Server) -> None:
    answer = server.talk(GET % b"/a" * 999 + CLOSING % b"/a")
    assert answer.count(b"HTTP/1.1 200 ") == 1000


@pytest.mark.parametrize("before", [b"", GET % b"/b"], ids=["alone", "in a queue"])
def test_nonsense_after_a_request_does_not_take_the_place_of_its_answer(
    server: Server, before: bytes
) -> None:
    answer = server.talk(before + GET % b"/slow" + b"\x00nonsense\r\n\r\n")
    assert status_of(answer) == 200
    assert answer.endswith(b"GET /slow ")
    assert b" 400 " not in answer


def test_a_bad_body_in_a_queue_ends_the_connection_after_the_answers_before_it(server: Server) -> None:
    bad = POST % b"/bad" + b"transfer-encoding: chunked\r\n\r\nnonsense\r\n"
    answer = server.talk(GET % b"/slow" + bad)
    assert answer.endswith(b"GET /slow ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert "/bad" not in server.app.seen


@pytest.mark.parametrize(
    "request_", [GET % b"/slow", GET % b"/a" * 3 + GET % b"/slow"], ids=["one request", "several"]
)
def test_a_client_that_closed_its_sending_half_is_answered(server: Server, request_: bytes) -> None:
    assert server.talk(request_, half_close=True, pause=0).endswith(b"GET /slow ")


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HT", POST % b"/half" + b"content-length: 10\r\n\r\nabc"],
    ids=["nothing", "head", "body"],
)
def test_a_client_that_closed_in_the_middle_is_let_go(server: Server, begun: bytes) -> None:
    started = time.monotonic()
    assert server.talk(begun, half_close=True) == b""
    assert time.monotonic() - started < 0.4


@pytest.mark.parametrize("upgrade", [b"websocket", b"h2c", b"nonsense"])
def test_an_upgrade_is_not_made_and_nothing_after_it_is_taken_for_a_request(
    server: Server, upgrade: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"GET /up HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: " + upgrade + b"\r\n\r\n"
    answer = server.talk(head + GET % b"/smuggled", GET % b"/smuggled")
    assert answer.endswith(b"GET /up ")
    assert "/smuggled" not in server.app.seen
    assert complaints(caplog) == []


def test_a_body_after_an_upgrade_is_not_taken_for_a_request(server: Server) -> None:
    head = b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: %d\r\n\r\n"
    smuggled = GET % b"/smuggled"
    answer = server.talk(POST % b"/up" + head % len(smuggled), smuggled)
    assert (status_of(answer), server.app.seen) == (505, [])


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    answer = server.talk(b"GET /old HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"GET /old ")


def test_an_application_is_told_when_a_request_came_in(server: Server) -> None:
    server.talk(b"GET /a HTTP/1.1\r\n", b"host: x\r\nconnection: close\r\n\r\n", pause=0.1)
    assert 0.09 <= server.app.received[0] < 3


# ------------------------------------------------------------------------------------------- answered at once

LENGTH = b"content-length: 3\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
AT_ONCE = {
    "without a body": ([GET % b"/a"], True),
    "with its body": ([POST % b"/a" + LENGTH + b"\r\nabc"], True),
    "in chunks of one packet": ([POST % b"/a" + CHUNKED], True),
    "with a head in two packets": ([b"GET /a HTTP/1.1\r\n", b"host: x\r\n\r\n"], True),
    "with its body in a packet of its own": ([POST % b"/a" + LENGTH + b"\r\n", b"abc"], False),
    "with its body in two packets": ([POST % b"/a" + LENGTH + b"\r\nab", b"c"], False),
    "to a path that waits": ([POST % b"/asgi" + LENGTH + b"\r\nabc"], False),
    "as the last of its connection": ([CLOSING % b"/a"], False),
    "of HTTP/1.0": ([b"GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"], False),
    "with a wish to be told to go on": ([POST % b"/a" + LENGTH + b"expect: 100-continue\r\n\r\nabc"], False),
    "with an upgrade": ([b"GET /a HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"], False),
}


@pytest.mark.parametrize(("packets", "at_once"), AT_ONCE.values(), ids=AT_ONCE)
def test_a_request_is_answered_at_once_or_by_asgi_and_alike(
    server: Server, packets: list[bytes], at_once: bool
) -> None:
    answer = server.talk(*packets, half_close=True)
    head, _, said = answer.rpartition(b"\r\n\r\n")
    with_body = any(LENGTH in packet or CHUNKED in packet for packet in packets)
    assert said.split(b" ", 2)[2] == (b"abc" if with_body else b"")
    sent = b"".join(packets).partition(b"\r\n\r\n")[0].count(b"\r\n")
    assert b"x-headers: %d" % sent in head
    assert bool(server.app.at_once) is at_once
    assert len(server.app.seen) == 1


def test_answers_at_once_wait_for_those_before_them(server: Server) -> None:
    answer = server.talk(GET % b"/a" + GET % b"/slow" + GET % b"/b" + CLOSING % b"/c")
    paths = (b"/a", b"/slow", b"/b", b"/c")
    assert sorted(paths, key=lambda path: answer.find(b"GET %b " % path)) == list(paths)
    assert server.app.at_once == ["/a"]


def test_requests_that_came_together_count_as_received_together(server: Server) -> None:
    """The second is read after the first is answered, and has waited all the same."""
    connections = [server.connect() for _ in range(3)]
    time.sleep(0.2)  # until they are taken
    for connection in connections:
        connection.sendall(GET % b"/busy")
    for connection in connections:
        assert connection.recv(65536)
        connection.close()
    waited = sorted(server.app.received)
    assert waited[0] < 0.1 <= waited[2]


def test_a_reader_that_does_not_read_is_not_answered_without_end(server: Server) -> None:
    request = POST % b"/a" + b"content-length: 50000\r\n\r\n" + b"x" * 50_000
    with closing(server.connect()) as connection:
        connection.setblocking(False)
        sent = 0
        until = time.monotonic() + 2
        while time.monotonic() < until and sent < 100_000_000:
            try:
                sent += connection.send(request[sent % len(request) :])
            except BlockingIOError:
                time.sleep(0.01)
    assert sent < 50_000_000


def test_settings_come_from_the_environment() -> None:
    env = Environment({"FAIRLEAD_LIMIT_HEADERS": "50", "FAIRLEAD_LIMIT_HEADER_SECONDS": "3"})
    assert WireLimits.from_environment(env) == WireLimits(headers=50, header_seconds=3.0)
    with pytest.raises(ProjectError, match="FAIRLEAD_LIMIT_HEADER_BYTES is '10'"):
        WireLimits.from_environment(Environment({"FAIRLEAD_LIMIT_HEADER_BYTES": "10"}))
