"""Copies of live requests to a second server that is well, other, dead, slow, or answers nonsense."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from tests.serving.conftest import FRAUD, ROW, Served

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.http import Answer, Request, Scored
from fairlead.serve.loading import LoadedModel, load
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.shadow.copies import LARGEST, Circuit, Shadow, ShadowSettings

PREDICT, INFER = "/predict", "/v2/models/{name}/infer"
RARE = ROW | {"amount": 9_000.0}


@dataclass
class Bench:
    """A shadow beside a model, with what it counted and kept."""

    shadow: Shadow
    model: LoadedModel
    metrics: Metrics
    pairs: list[Any] = field(default_factory=list)

    def ask(self, *rows: dict[str, Any], identity: str = "1", route: str = "live", **more: Any) -> None:
        """A request to ``/predict`` that was answered."""
        body = orjson.dumps({"rows": rows})
        self.observe(Request(body, more.pop("headers", []), identity, PREDICT, route), PREDICT, rows, **more)

    def observe(self, request: Request, endpoint: str, rows: Any, answers: Any = None) -> None:
        columns, errors = self.model.validate(rows, limit=10)
        assert not errors
        answers = self.model.answers(self.model.encode(columns)) if answers is None else answers
        answer = Answer(200, b"{}", scored=Scored(rows, answers))
        self.shadow.observe(request, endpoint, answer, 1_700_000_000.0, 0.002)

    def counted(self, name: str) -> int:
        """The value of a series, by its name and some of its labels."""
        lines = self.metrics.render(b"")[0].decode().splitlines()
        name, *labels = name.replace("}", "").split("{")
        found = [
            line
            for line in lines
            if line.startswith(f"fairlead_shadow_{name}") and all(x in line for x in labels)
        ]
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in found)

    def shed(self) -> dict[str, int]:
        reasons = ("queue", "rate", "size", "timeout", "error", "status", "answer", "paused")
        counted = {reason: self.counted(f'shed_total{{reason="{reason}"') for reason in reasons}
        return {reason: count for reason, count in counted.items() if count}


@asynccontextmanager
async def shadowing(folder: Path, url: str, **variables: Any) -> AsyncIterator[Bench]:
    """A running shadow that copies to *url*; at the end what waits has been sent."""
    named = {f"FAIRLEAD_SHADOW_{name.upper()}": str(value) for name, value in variables.items()}
    settings = ShadowSettings.from_environment(Environment({"FAIRLEAD_SHADOW_URL": url} | named))
    assert settings is not None
    metrics, pairs, model = Metrics(), [], load(folder)
    who = {"slot": "blue", "bundle": model.version}
    shadow = Shadow(settings, model.schema.output, who, metrics, pairs.append)
    await shadow.start()
    try:
        yield Bench(shadow, model, metrics, pairs)
    finally:
        await shadow.stop(5.0)


@asynccontextmanager
async def answering(
    say: Callable[[asyncio.StreamWriter], Awaitable[None]], heard: list[bytes] | None = None
) -> AsyncIterator[str]:
    """A server that reads one request a connection and answers what *say* writes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if heard is not None:
                heard.append(head)
            await say(writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def canned(status: str, body: bytes, *headers: str) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """An answer of these bytes."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join(lines).encode() + body)

    return say


async def silence(writer: asyncio.StreamWriter) -> None:
    """Nothing, until the other side gives up."""
    await asyncio.wait([asyncio.create_task(writer.wait_closed())], timeout=5)


@pytest.fixture(scope="module")
def other_folder(tmp_path_factory: pytest.TempPathFactory, fraud_onnx: bytes, write: Any) -> Path:
    """The same forest with a threshold that calls nobody a fraud."""
    from dataclasses import replace

    schema = replace(FRAUD, output=replace(FRAUD.output, threshold=1.1))
    folder: Path = write(tmp_path_factory.mktemp("bundles") / "other", schema, fraud_onnx, "onnx")
    return folder


@pytest.fixture(scope="module")
def same(serve: Callable[..., Served], fraud_folder: Path) -> str:
    return serve(fraud_folder).url


@pytest.fixture(scope="module")
def other(serve: Callable[..., Served], other_folder: Path) -> str:
    return serve(other_folder).url


# ------------------------------------------------------------------------------------------- a server that is well


def test_both_answers_are_kept_as_a_pair(fraud_folder: Path, other_folder: Path, other: str) -> None:
    async def go() -> Bench:
        async with shadowing(fraud_folder, other) as bench:
            bench.ask(RARE, identity="r-1")
        return bench

    bench = asyncio.run(go())
    [pair] = bench.pairs
    assert 0 < pair.pop("other_seconds") < 1
    answers = pair["answers"]
    assert pair == {
        "kind": "pair", "id": "r-1", "at": 1_700_000_000.0, "endpoint": PREDICT,
        "slot": "blue", "bundle": load(fraud_folder).version, "answers": answers, "seconds": 0.002,
        "other_bundle": load(other_folder).version, "other_answers": answers, "other_status": 200,
        "flipped": True, "flipped_rows": 1,
    }  # fmt: skip


@pytest.mark.parametrize(("target", "flips"), [("same", 0), ("other", 1)])
def test_flips_are_counted(
    fraud_folder: Path, request: pytest.FixtureRequest, target: str, flips: int
) -> None:
    async def go() -> Bench:
        async with shadowing(fraud_folder, request.getfixturevalue(target)) as bench:
            bench.ask(ROW, RARE)
        return bench

    bench = asyncio.run(go())
    assert (bench.counted("pairs_total"), bench.counted("flips_total"), bench.shed()) == (1, flips, {})


@pytest.mark.parametrize("version", ["", "/versions/0123456789abcdef"], ids=["no version", "our own version"])
def test_protocol_requests_are_copied_whatever_version_they_name(
    fraud_folder: Path, other: str, version: str
) -> None:
    inputs = [
        {"name": name, "shape": [1], "datatype": datatype, "data": [ROW[name]]}
        for name, datatype in [("amount", "FP64"), ("count", "INT64"), ("abroad", "BOOL"),
                               ("country", "BYTES"), ("channel", "BYTES"), ("at", "BYTES")]
    ]  # fmt: skip

    async def go() -> Bench:
        async with shadowing(fraud_folder, other) as bench:
            path = f"/v2/models/fraud{version}/infer"
            bench.observe(Request(orjson.dumps({"inputs": inputs}), [], "1", path), INFER, [ROW])
        return bench

    bench = asyncio.run(go())
    assert bench.shed() == {}
    assert np.allclose(bench.pairs[0]["other_answers"], bench.pairs[0]["answers"])


def test_requests_share_kept_connections(fraud_folder: Path, same: str) -> None:
    async def go() -> list[float]:
        async with shadowing(fraud_folder, same, concurrency=1) as bench:
            for number in range(30):
                bench.ask(ROW, identity=str(number))
        return [pair["other_seconds"] for pair in bench.pairs]

    assert len(asyncio.run(go())) == 30


# ------------------------------------------------------------------------------------------------ what is copied


@pytest.mark.parametrize("route", ["shadow", "preview"])
def test_a_request_that_is_no_traffic_is_never_copied(fraud_folder: Path, route: str) -> None:
    heard: list[bytes] = []

    async def go() -> Bench:
        async with (
            answering(canned("200 OK", b"{}"), heard) as url,
            shadowing(fraud_folder, url) as bench,
        ):
            bench.ask(ROW, route=route)
        return bench

    bench = asyncio.run(go())
    assert (heard, bench.shed(), bench.counted("pairs_total")) == ([], {}, 0)


@pytest.mark.parametrize("endpoint", ["/explain", "/feedback", "/graphql", "/v2/models/{name}"])
def test_other_endpoints_are_never_copied(fraud_folder: Path, endpoint: str) -> None:
    heard: list[bytes] = []

    async def go() -> None:
        async with (
            answering(canned("200 OK", b"{}"), heard) as url,
            shadowing(fraud_folder, url) as bench,
        ):
            bench.observe(Request(b"{}", [], "1", endpoint), endpoint, [ROW])

    asyncio.run(go())
    assert heard == []


def test_a_copy_carries_the_credential_the_route_the_id_and_the_trace(
    fraud_folder: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef-secret\n")
    heard: list[bytes] = []
    theirs = [
        (b"host", b"fraud"), (b"authorization", b"Bearer key-of-the-caller"), (b"x-api-key", b"key"),
        (b"content-type", b"application/json"), (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        (b"tracestate", b"a=b"),
    ]  # fmt: skip

    async def go() -> None:
        async with answering(canned("200 OK", b"{}"), heard) as url:
            variables = {
                "FAIRLEAD_SHADOW_URL": url,
                "FAIRLEAD_INTERNAL_TOKEN_FILE": str(token),
            }
            settings = ShadowSettings.from_environment(Environment(variables))
            assert settings is not None
            shadow = Shadow(settings, FRAUD.output, {}, Metrics())
            await shadow.start()
            answer = Answer(200, b"{}", scored=Scored([ROW], np.array([[0.9, 0.1]])))
            shadow.observe(Request(b"{}", theirs, "r-1", PREDICT), PREDICT, answer, 0.0, 0.0)
            await shadow.stop()

    asyncio.run(go())
    lines = heard[0].decode().lower().split("\r\n")
    assert lines[0] == "post /predict http/1.1"
    for expected in (
        "x-fairlead-internal: 0123456789abcdef-secret",
        "x-fairlead-route: shadow",
        "x-request-id: r-1",
        "content-type: application/json",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate: a=b",
    ):
        assert expected in lines
    assert not [line for line in lines if line.startswith(("authorization", "x-api-key"))]


def test_the_sample_is_that_share_of_requests(fraud_folder: Path, same: str) -> None:
    async def go() -> Bench:
        async with shadowing(fraud_folder, same, sample=0.25, queue=1000, rate=0) as bench:
            for number in range(400):
                bench.ask(ROW, identity=str(number))
        return bench

    copied = asyncio.run(go()).counted("pairs_total")
    assert 60 < copied < 145  # five standard deviations of 100


# ------------------------------------------------------------------------------------- a server that is not well


def outcome(folder: Path, say: Any, requests: int = 1, **settings: Any) -> Bench:
    """What becomes of copies to a server that answers by *say*."""

    async def go() -> Bench:
        async with answering(say) as url, shadowing(folder, url, **settings) as bench:
            for number in range(requests):
                bench.ask(ROW, identity=str(number))
        return bench

    return asyncio.run(go())


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(3 * LARGEST // 65_536):
        writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        await writer.drain()


async def drips(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def breaks_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"predic')


async def no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x15\x03\x01\x00\x02\x02\x50" * 20)


ILL = [
    pytest.param(silence, "timeout", id="silent"),
    pytest.param(drips, "timeout", id="a byte at a time"),
    pytest.param(breaks_off, "error", id="breaks off"),
    pytest.param(no_http, "error", id="no HTTP"),
    pytest.param(endless, "size", id="huge"),
    pytest.param(canned("200 OK", b"<html>hello"), "answer", id="nonsense"),
    pytest.param(canned("200 OK", b"\x1f\x8b" * 50, "content-encoding: gzip"), "answer", id="packed"),
    pytest.param(canned("302 Found", b"", "location: http://127.0.0.1:9/predict"), "status", id="redirects"),
    pytest.param(canned("422 Unprocessable", b'{"error": "no"}'), "status", id="refuses"),
    pytest.param(canned("503 Service Unavailable", b""), "status", id="overloaded"),
]


@pytest.mark.parametrize(("say", "reason"), ILL)
def test_what_gave_no_pair_is_counted_by_its_reason(fraud_folder: Path, say: Any, reason: str) -> None:
    bench = outcome(fraud_folder, say, seconds=0.3)
    assert (bench.shed(), bench.counted("pairs_total")) == ({reason: 1}, 0)


def test_a_dead_server_is_counted_as_an_error(fraud_folder: Path) -> None:
    async def go() -> Bench:
        async with answering(silence) as url:
            pass
        async with shadowing(fraud_folder, url) as bench:
            bench.ask(ROW)
        return bench

    assert asyncio.run(go()).shed() == {"error": 1}


def test_a_refusal_of_what_we_answered_is_kept(fraud_folder: Path) -> None:
    bench = outcome(fraud_folder, canned("422 Unprocessable", b"{}"))
    assert [(pair["other_status"], pair["flipped"]) for pair in bench.pairs] == [(422, None)]


def test_after_five_failures_nothing_is_sent_for_a_while(fraud_folder: Path) -> None:
    bench = outcome(fraud_folder, canned("503 Service Unavailable", b""), requests=20, concurrency=1)
    assert bench.shed() == {"status": 5, "paused": 15}


def test_refusals_do_not_stop_the_copies(fraud_folder: Path) -> None:
    bench = outcome(fraud_folder, canned("422 Unprocessable", b""), requests=20)
    assert bench.shed() == {"status": 20}


def test_every_copy_beyond_the_queue_is_counted(fraud_folder: Path) -> None:
    async def go() -> Bench:
        async with answering(silence) as url, shadowing(fraud_folder, url, queue=3, seconds=0.2) as bench:
            for number in range(10):  # nobody takes from the queue in between: nothing is awaited
                bench.ask(ROW, identity=str(number))
        return bench

    shed = asyncio.run(go()).shed()
    assert shed["queue"] == 7
    assert sum(shed.values()) == 10


def test_every_copy_beyond_the_rate_is_counted(fraud_folder: Path, same: str) -> None:
    async def go() -> Bench:
        async with shadowing(fraud_folder, same, rate=5) as bench:
            for number in range(12):
                bench.ask(ROW, identity=str(number))
        return bench

    bench = asyncio.run(go())
    assert (bench.counted("pairs_total"), bench.shed()) == (5, {"rate": 7})


def test_large_requests_cannot_fill_the_memory(fraud_folder: Path) -> None:
    async def go() -> Bench:
        async with answering(silence) as url, shadowing(fraud_folder, url, queue=1000, seconds=0.2) as bench:
            row = np.array([[0.9, 0.1]])
            for size in (LARGEST, *[LARGEST - 100] * 20):
                bench.observe(Request(b" " * size, [], "1", PREDICT), PREDICT, [ROW], row)
            shed = bench.shed()
            assert shed == {"size": 1, "queue": 4}  # 16 MiB may wait
        return bench

    asyncio.run(go())


def test_what_is_left_at_the_end_is_counted(fraud_folder: Path) -> None:
    async def go() -> Bench:
        async with (
            answering(silence) as url,
            shadowing(fraud_folder, url, concurrency=2, seconds=30) as bench,
        ):
            for number in range(5):
                bench.ask(ROW, identity=str(number))
            await asyncio.sleep(0.1)
            started = time.monotonic()
            await bench.shadow.stop(0.2)
            assert time.monotonic() - started < 1.0
        return bench

    assert asyncio.run(go()).shed() == {"queue": 5}


def test_observing_never_waits_for_a_hung_server(fraud_folder: Path) -> None:
    async def go() -> float:
        async with (
            answering(silence) as url,
            shadowing(fraud_folder, url, seconds=0.5, queue=50, rate=0) as bench,
        ):
            started = time.perf_counter()
            answer = Answer(200, b"{}", scored=Scored([ROW], np.array([[0.9, 0.1]])))
            for number in range(2000):
                bench.shadow.observe(Request(b"{}", [], str(number), PREDICT), PREDICT, answer, 0.0, 0.0)
                if number % 50 == 0:
                    await asyncio.sleep(0)
            return (time.perf_counter() - started) / 2000

    assert asyncio.run(go()) < 0.0005


# ------------------------------------------------------------------------------------------------------ circuit


def test_the_pause_doubles_up_to_half_a_minute_and_ends_with_an_answer() -> None:
    now = [0.0]
    circuit, pauses = Circuit(lambda: now[0]), []
    for _ in range(Circuit.FAILURES - 1):
        circuit.failed()
    for _ in range(7):
        circuit.failed()
        began = now[0]
        circuit.failed()  # one that was under way does not prolong the pause
        while circuit.paused:
            now[0] += 0.5
        pauses.append(now[0] - began)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    circuit.worked()
    circuit.failed()
    assert not circuit.paused


# ----------------------------------------------------------------------------------------------------- settings


def test_without_a_url_there_is_no_shadow() -> None:
    assert ShadowSettings.from_environment(Environment({"FAIRLEAD_SHADOW_SAMPLE": "1"})) is None


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"FAIRLEAD_SHADOW_URL": "fraud:8080"}, "FAIRLEAD_SHADOW_URL"),
        ({"FAIRLEAD_SHADOW_URL": "http://fraud/predict"}, "FAIRLEAD_SHADOW_URL"),
        ({"FAIRLEAD_SHADOW_URL": "http://fraud", "FAIRLEAD_SHADOW_SAMPLE": "1.5"}, "FAIRLEAD_SHADOW_SAMPLE"),
        ({"FAIRLEAD_SHADOW_URL": "http://fraud", "FAIRLEAD_SHADOW_QUEUE": "0"}, "FAIRLEAD_SHADOW_QUEUE"),
        (
            {"FAIRLEAD_SHADOW_URL": "http://fraud", "FAIRLEAD_SHADOW_SECONDS": "soon"},
            "FAIRLEAD_SHADOW_SECONDS",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_setting_is_named(variables: dict[str, str], names: str) -> None:
    with pytest.raises(ProjectError, match=names):
        ShadowSettings.from_environment(Environment(variables))
