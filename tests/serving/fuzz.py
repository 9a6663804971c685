"""Random and mutated requests against a running server, for as long as wished::

    python -m tests.serving.fuzz --minutes 10 --seed 1

A server with every way in switched on is started, and a few threads send it JSON, binary tensors, GraphQL, raw
HTTP and gRPC: good requests with parts exchanged, repeated, cut out, nested and spoilt, and noise. What must not
happen is a finding, is written with the request that did it, and makes the exit code 1:

* a status of 500 and more that is not the server's own word: 503 and 504 with ``Retry-After``, 505 for a version
  of HTTP that is not spoken; or INTERNAL and UNKNOWN of gRPC, or an "internal error" within GraphQL;
* no answer within ten seconds;
* the end of the process, anything in its log, or an ordinary request that is not answered.

The requests are the same for the same seed; which of the threads' requests meet in the server is not.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import re
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import grpc
from tests.serving.hostile_cases import GOOD, INFER, ROW, tensor
from tests.serving.servers import Server

from fairlead.serve.v2.binary import written
from fairlead.serve.v2.proto import open_inference_pb2 as pb

SECONDS = 10.0
"""Without an answer for so long, it hangs."""
SETTINGS = {
    "FAIRLEAD_APIS": "graphql",
    "FAIRLEAD_KEEP_ALIVE_SECONDS": "2",
    "FAIRLEAD_LIMIT_HEADER_SECONDS": "1",
    "FAIRLEAD_LIMIT_MESSAGE_SECONDS": "2",
    "FAIRLEAD_LIMIT_BODY_SECONDS": "1",
}
"""Of the server: short times, because half a request is waited for."""
OWN_WORD = {503, 504, 505}
LONGEST = 200_000
"""Bytes of a request. What larger ones do is known: ``test_hostile.py``."""

# ------------------------------------------------------------------------------------------------ mutations

NASTY: Sequence[Any] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**40, 0.5, -0.0, 1e308, 5e-324,
    "", "a", "NaN", "\x00", "é\U0001f469", "__class__", "${x}", "a" * 5000, [], {}, [None], {"": None}, [[[[]]]],
)  # fmt: skip
SNIPPETS = (
    b"\x00", b"\xff", b"\xed\xa0\x80", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"[" * 40, b"\r\n", b"\r\n\r\n",
    b"null", b"NaN", b"1e999", b"-", b"0x", b"9" * 30, b"\\u0000", b"\\ud800", b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n", b"...", b"fragment a on Query{...a}", b"@include(if:true)", b"$a", b"\x08" * 11,
)  # fmt: skip


def spoilt(chance: random.Random, content: bytes) -> bytes:
    """Some bytes changed."""
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        at = chance.randrange(len(content) + 1)
        until = min(len(content), at + chance.choice((0, 1, 1, 4, 64)))
        new = chance.choice((
            b"", chance.choice(SNIPPETS), chance.randbytes(chance.randint(1, 8)), content[at:until] * 3,
            content[: chance.randint(0, 100)],
        ))  # fmt: skip
        content = content[:at] + new + content[until:]
    return content[:LONGEST]


def twisted(chance: random.Random, value: Any) -> Any:
    """A JSON value with some of its parts exchanged, repeated or cut out."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2, 4))):
        places = list(_places(value))
        if not places:
            return chance.choice(NASTY)
        parent, key = chance.choice(places)
        match chance.randrange(5):
            case 0 if isinstance(parent, dict):
                del parent[key]
            case 1 if isinstance(parent, list):
                parent.extend([parent[key]] * chance.choice((1, 2, 50)))
            case 2:
                other, name = chance.choice(places)
                parent[key] = copy.deepcopy(other[name])
            case 3 if isinstance(parent, dict):
                name = chance.choice(("", "other", "x" * 1000, "rows", "data", "name"))
                parent[name] = copy.deepcopy(chance.choice(NASTY))
            case _:
                parent[key] = copy.deepcopy(chance.choice(NASTY))
    return value


def _places(value: Any) -> Any:
    """Each part of a JSON value: what holds it, and where."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


# ------------------------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, as it goes out."""

    kind: str
    body: bytes
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()


PLAIN = (("content-type", "application/json"),)
EXAMPLES: dict[str, tuple[str, Any]] = {
    "predict": ("/predict", {"rows": [ROW, ROW | {"amount": 1, "count": None}]}),
    "explain": ("/explain", {"rows": [ROW]}),
    "feedback": ("/feedback", {"feedback": [{"id": "a", "row": 0, "label": "yes", "at": "2026-03-01T12:00:00Z"}]}),
    "infer": (INFER, json.loads(tensor()) | {"id": "7", "outputs": [{"name": "label"}], "parameters": {}}),
}  # fmt: skip
PREDICT = "query q($rows: [Row!]!) { predict(rows: $rows) { model predictions { label probability } } }"
QUERIES = (
    PREDICT,
    "query($rows: [Row!]!) { explain(rows: $rows) { explanations { base contributions { field contribution } } } }",
    "mutation { feedback(feedback: [{id: \"a\", label: \"yes\"}]) { accepted } }",
    "{ model { name version digest format } schema { __typename } health { live ready } }",
    "{ __schema { types { name fields { name type { name ofType { name } } } } } }",
    '{ predict(rows: [{amount: 1.5, abroad: true, country: "DE", channel: "app", at: "2024-05-01"}]) { version } }',
    "query a { ...b } fragment b on Query { health { ...c } } fragment c on Health { live }",
)  # fmt: skip
WORDS = re.compile(r"\w+|[^\w\s]")


def of_json(chance: random.Random) -> Sent:
    """A request in JSON, its value twisted or its bytes spoilt."""
    kind = chance.choice(tuple(EXAMPLES))
    path, example = EXAMPLES[kind]
    body = json.dumps(twisted(chance, example)).encode()
    if chance.random() < 0.3:
        body = spoilt(chance, body)
    return Sent(kind, body, path, PLAIN)


def of_binary_tensors(chance: random.Random) -> Sent:
    """A request of the binary tensor extension."""
    inputs, data = [], b""
    for one in json.loads(tensor())["inputs"]:
        if chance.random() < 0.7:
            raw = written(one["datatype"], one.pop("data"))
            one["parameters"] = {"binary_data_size": len(raw)}
            data += raw
        inputs.append(one)
    content = {"inputs": inputs, "parameters": {"binary_data_output": chance.random() < 0.5}}
    if chance.random() < 0.5:
        content = twisted(chance, content)
    head = json.dumps(content).encode()
    if chance.random() < 0.5:
        data = spoilt(chance, data)
    length = len(head) + (chance.choice((-1, 1, 7, 10**6, -(10**6))) if chance.random() < 0.2 else 0)
    return Sent("binary", head + data, INFER, (
        ("inference-header-content-length", str(length)), ("content-type", "application/octet-stream"),
    ))  # fmt: skip


def of_graphql(chance: random.Random) -> Sent:
    """A query with words exchanged and repeated, and twisted variables."""
    words = WORDS.findall(chance.choice(QUERIES))
    known = WORDS.findall(" ".join(QUERIES))
    for _ in range(chance.choice((0, 0, 1, 2, 5, 20))):
        at = chance.randrange(len(words) + 1)
        new = chance.choice(
            ([], [chance.choice(known)], words[at : at + 8] * 2, ["{"] * chance.choice((1, 300)))
        )
        words[at : at + chance.choice((0, 0, 1, 3))] = new
    rows = [ROW] if chance.random() < 0.5 else twisted(chance, [ROW])
    content: Any = {"query": " ".join(words), "variables": {"rows": rows}}
    if chance.random() < 0.1:
        content = twisted(chance, content)
    body = json.dumps(content).encode()
    return Sent("graphql", spoilt(chance, body) if chance.random() < 0.1 else body, "/graphql", PLAIN)


def of_raw_bytes(chance: random.Random) -> Sent:
    """HTTP itself, spoilt; or noise."""
    if chance.random() < 0.05:
        return Sent("raw", chance.randbytes(chance.randint(1, 300)))
    path = chance.choice(
        ("/predict", INFER, "/graphql", "/livez", "/metrics", "/", "/openapi.json", "/feedback")
    )
    lines = [
        f"{chance.choice(('POST', 'GET', 'HEAD', 'OPTIONS'))} {path} HTTP/1.1",
        "host: x",
        "connection: close",
    ]
    if chance.random() < 0.3:
        size, half = f"{len(GOOD):x}\r\n".encode(), b"\r\n0\r\n\r\n"
        head = "\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode()
        return Sent("raw", spoilt(chance, head + size + GOOD + half))
    lines += [
        f"content-length: {len(GOOD)}",
        "x-request-id: a",
        "traceparent: 00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    ]
    return Sent("raw", spoilt(chance, "\r\n".join([*lines, "", ""]).encode() + GOOD))


COLUMNS: dict[str, tuple[str, list[Any]]] = {
    "amount": ("FP64", [12.5]), "count": ("INT64", [3]), "abroad": ("BOOL", [False]), "country": ("BYTES", ["DE"]),
    "channel": ("BYTES", ["app"]), "at": ("BYTES", ["2024-05-01T10:30:00"]),
}  # fmt: skip


def of_grpc(chance: random.Random) -> Sent:
    """A message of gRPC, its parts exchanged or its bytes spoilt."""
    request = pb.ModelInferRequest(model_name=chance.choice(("fraud", "fraud", "fraud", "other")))
    for name, (datatype, values) in COLUMNS.items():
        given = (
            chance.choice(("FP32", "INT64", "BOOL", "BYTES", "FP16", ""))
            if chance.random() < 0.1
            else datatype
        )
        shape = [chance.choice((-1, 0, 1, 2, 2**31, 2**62))] if chance.random() < 0.1 else [1]
        request.inputs.add(name=name, datatype=given, shape=shape)
        raw = written(datatype, values)
        request.raw_input_contents.append(spoilt(chance, raw) if chance.random() < 0.2 else raw)
    if chance.random() < 0.2:
        request.inputs[0].contents.fp64_contents.append(chance.choice((1.0, float("nan"), float("inf"))))
    body = request.SerializeToString()
    method = chance.choice(("ModelInfer",) * 6 + ("ModelMetadata", "ModelReady", "ServerLive", "None"))
    return Sent(
        "grpc",
        spoilt(chance, body) if chance.random() < 0.6 else body,
        f"/inference.GRPCInferenceService/{method}",
    )


def of_grpc_frames(chance: random.Random) -> Sent:
    """HTTP/2 frames of any kind, to the port of gRPC."""
    content = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" if chance.random() < 0.9 else b""
    for _ in range(chance.randint(1, 6)):
        payload = chance.randbytes(chance.choice((0, 4, 8, 40)))
        stated = len(payload) if chance.random() < 0.8 else chance.choice((0, 1, 2**24 - 1))
        stream = struct.pack(">I", chance.choice((0, 1, 3, 2**31)))
        content += (
            struct.pack(">I", stated)[1:]
            + bytes((chance.randrange(12), chance.randrange(256)))
            + stream
            + payload
        )
    return Sent("grpc frames", content)


MAKERS: Sequence[tuple[Callable[[random.Random], Sent], int]] = (
    (of_json, 40), (of_binary_tensors, 20), (of_graphql, 15), (of_raw_bytes, 15), (of_grpc, 20), (of_grpc_frames, 2),
)  # fmt: skip

# -------------------------------------------------------------------------------------------------- sending


class Findings:
    """What was seen, and what should not have been."""

    def __init__(self) -> None:
        self.statuses: Counter[tuple[str, str]] = Counter()
        self.found: list[str] = []
        self.seconds = 0.0

    def add(self, sent: Sent, status: str, fault: str = "") -> None:
        """Count an answer; a *fault* is kept with its request."""
        self.statuses[sent.kind, status] += 1
        if fault:
            self.found.append(
                f"{sent.kind} {sent.path}: {fault}\n  headers {sent.headers}\n  body {sent.body[:2000]!r}"
            )


@dataclass
class Sender:
    """One thread's connections."""

    server: Server
    findings: Findings
    _http: HTTPConnection | None = None
    _channel: grpc.Channel | None = field(default=None)

    def send(self, sent: Sent) -> None:
        """Send it, and judge the answer."""
        if sent.kind == "grpc":
            self._call(sent)
        elif sent.kind in ("raw", "grpc frames"):
            self._raw(sent)
        else:
            self._post(sent)

    def close(self) -> None:
        """Close the connections."""
        for connection in (self._http, self._channel):
            if connection is not None:
                connection.close()

    def _post(self, sent: Sent) -> None:
        target = self.server.target
        for fresh in (False, True):
            if self._http is None or fresh:
                self._http = HTTPConnection(target.host, target.port, timeout=SECONDS)
            try:
                self._http.request("POST", sent.path, sent.body, dict(sent.headers))
                answer = self._http.getresponse()
                body = answer.read()
            except TimeoutError:
                self._http = None
                return self.findings.add(sent, "hangs", "no answer")
            except (HTTPException, OSError) as cause:  # an idle connection that was ended, the first time
                broken = cause
                continue
            fault = _fault_of(
                answer.status, retry_after=answer.getheader("retry-after") is not None, body=body
            )
            return self.findings.add(sent, str(answer.status), fault)
        self._http = None
        return self.findings.add(sent, "broken", repr(broken))

    def _raw(self, sent: Sent) -> None:
        target = self.server.target
        host, port = (target.host, target.port) if sent.kind == "raw" else target.grpc.rsplit(":", 1)
        said = exchange(host, int(port), sent.body)
        if said is None:
            self.findings.add(sent, "hangs", "neither an answer nor an end")
            return
        if sent.kind != "raw":
            self.findings.add(sent, "ended")
            return
        heads = re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z][^\r]*\r\n((?:[^\r]+\r\n)*)", said)
        if not heads:
            self.findings.add(sent, "closed")
        for status, headers in heads[:1]:
            fault = _fault_of(int(status), retry_after=b"retry-after" in headers.lower(), body=said)
            self.findings.add(sent, status.decode(), fault)

    def _call(self, sent: Sent) -> None:
        if self._channel is None:
            self._channel = grpc.insecure_channel(self.server.target.grpc)
        call: Any = self._channel.unary_unary(sent.path)
        try:
            call(sent.body, timeout=SECONDS)
            self.findings.add(sent, "OK")
        except grpc.RpcError as error:
            code = error.code().name
            wrong = code in ("INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE", "DATA_LOSS")
            self.findings.add(sent, code, str(error.details()) if wrong else "")


def exchange(host: str, port: int, content: bytes) -> bytes | None:
    """Send bytes and no more; what is answered until the connection ends, None if that does not happen in time."""

    said = b""
    with socket.create_connection((host, port), timeout=SECONDS) as connection:
        try:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            while packet := connection.recv(65536):
                said += packet
        except TimeoutError:
            return None
        except OSError:
            pass  # ended by the server, which may have answered before
    return said


def _fault_of(status: int, *, retry_after: bool, body: bytes) -> str:
    """What is wrong with an HTTP answer; empty if nothing is."""
    if status >= 500 and not (status == 505 or (status in OWN_WORD and retry_after)):
        return f"status {status}: {body[:300]!r}"
    return "GraphQL had an internal error" if b'"internal error"' in body else ""


# -------------------------------------------------------------------------------------------------- the run


def fuzz(server: Server, *, seconds: float, seed: int, threads: int = 3) -> Findings:
    """Send for so long, then look at the server: what was seen."""
    findings = Findings()
    begun = len(server.log())
    started = time.monotonic()
    until = started + seconds
    workers = [
        threading.Thread(target=_send_until, args=(until, seed * 1000 + one, Sender(server, findings)))
        for one in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    findings.seconds = time.monotonic() - started
    if server.process.poll() is not None:
        findings.found.append(f"the process ended with {server.process.returncode}")
    elif not server.answers():
        findings.found.append("an ordinary request is not answered any more")
    if said := server.log()[begun:].strip():
        findings.found.append(f"the log says:\n{said[:5000]}")
    return findings


def _send_until(until: float, seed: int, sender: Sender) -> None:
    chance = random.Random(seed)
    makers, weights = zip(*MAKERS, strict=True)
    while (
        time.monotonic() < until and sender.server.process.poll() is None and len(sender.findings.found) < 20
    ):
        sent = Sent("nothing", b"")
        try:
            sent = chance.choices(makers, weights)[0](chance)
            sender.send(sent)
        except Exception as cause:  # of this program; nobody would see it, for this is a thread
            sender.findings.add(sent, "failed", repr(cause))
    sender.close()


def report(findings: Findings) -> str:
    """A table of what was answered, and the findings."""
    kinds = sorted({kind for kind, _ in findings.statuses})
    lines = []
    for kind in kinds:
        seen = sorted((status, count) for (one, status), count in findings.statuses.items() if one == kind)
        lines.append(f"{kind:12} " + "  ".join(f"{status} × {count}" for status, count in seen))
    total = sum(findings.statuses.values())
    lines.append(f"{total} requests in {findings.seconds:.0f} s, {len(findings.found)} findings")
    return "\n".join([*lines, *findings.found[:20]])


def main() -> int:
    """Start a server, fuzz it, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.serving.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="bundle to serve, of the fraud schema of the tests")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        log = {"FAIRLEAD_LOG_FOLDER": f"{scratch}/predictions"}
        folder = arguments.folder or fraud_bundle(Path(scratch))
        server = Server(folder, Path(scratch) / "log", SETTINGS | log, "--grpc-port", "0")
        try:
            before = server.target.memory()
            findings = fuzz(server, seconds=60 * arguments.minutes, seed=arguments.seed)
            alive = server.process.poll() is None
            grown = (server.target.memory() - before) / 2**20 if alive else float("nan")
        finally:
            server.stop()
    print(report(findings))
    print(f"memory of the server: {before / 2**20:.0f} MiB before, {grown:+.0f} MiB after")
    return 1 if findings.found else 0


def fraud_bundle(folder: Path) -> Path:
    """The bundle of the tests: a forest of ten trees."""
    from tests.serving.conftest import FRAUD, fitted_fraud_model, onnx_of, write_bundle

    return write_bundle(folder / "fraud", FRAUD, onnx_of(fitted_fraud_model(), FRAUD), "onnx")


if __name__ == "__main__":
    sys.exit(main())
