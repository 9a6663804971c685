"""What hostile, broken and unlucky clients send, and what they must be answered: the tables of the suite.

``test_hostile.py`` sends each case to a real server and writes ``docs/hostile-input.md`` from the outcomes.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}
GOOD = json.dumps({"rows": [ROW]}).encode()
GIBIBYTE = 2**30


@dataclass
class Target:
    """A server under test."""

    host: str
    port: int
    pid: int
    grpc: str = ""
    """``HOST:PORT`` of gRPC."""

    def raw(
        self, *packets: bytes, pause: float = 0.0, half_close: bool = False, seconds: float = 10.0
    ) -> str:
        """Send bytes as they are; what was answered until the connection ended, summarised."""
        said = b""
        with socket.create_connection((self.host, self.port), timeout=seconds) as connection:
            try:
                for packet in packets:
                    connection.sendall(packet)
                    time.sleep(pause)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it was ended while we were sending; there may be an answer all the same
            try:
                while packet := connection.recv(65536):
                    said += packet
            except TimeoutError:
                return "hangs"
            except OSError:
                pass
        return summary(said)

    def send(self, body: bytes, path: str = "/predict", *headers: str, method: str = "POST") -> str:
        """One well-formed request."""
        lines = [f"{method} {path} HTTP/1.1", "host: x", "connection: close", f"content-length: {len(body)}"]
        return self.raw("\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body)

    def memory(self) -> int:
        """Resident bytes of the server."""
        return int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]) * 4096


def summary(said: bytes) -> str:
    """The statuses in some bytes of HTTP.

    >>> summary(b"HTTP/1.1 200 OK\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\n"), summary(b"")
    ('200 × 2', 'closed')
    """
    statuses = [found.decode() for found in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", said)]
    if not statuses:
        return "closed"
    if len(set(statuses)) == 1:
        return statuses[0] if len(statuses) == 1 else f"{statuses[0]} × {len(statuses)}"
    return ", ".join(statuses)


@dataclass(frozen=True)
class Case:
    """One thing that is sent, and what may be answered."""

    group: str
    name: str
    send: Callable[[Target], str] = field(repr=False)
    answers: tuple[str, ...]
    log: str = ""
    """What the server's log may say about it, as a pattern."""
    server: str = "plain"
    ends: bool = False
    """Whether the process ends, and is started again as its supervisor would."""

    @property
    def id(self) -> str:
        """Group and name."""
        return f"{self.group}: {self.name}"


# --------------------------------------------------------------------------------------------------- values


def with_value(name: str, value: bytes) -> bytes:
    """A request of one row, with these bytes as one value."""
    fields = [
        b'"%s":%s' % (key.encode(), value if key == name else json.dumps(given).encode())
        for key, given in ROW.items()
    ]
    return b'{"rows":[{' + b",".join(fields) + b"}]}"


VALUES: dict[str, tuple[str, bytes, str]] = {
    # name: field, value, answer
    "NaN": ("amount", b"NaN", "400"),
    "Infinity": ("amount", b"Infinity", "400"),
    "-Infinity": ("amount", b"-Infinity", "400"),
    "NaN as text": ("amount", b'"NaN"', "422"),
    "1e400": ("amount", b"1e400", "400"),
    "1e-400, which is 0": ("amount", b"1e-400", "200"),
    "-0": ("amount", b"-0", "200"),
    "-0.0": ("amount", b"-0.0", "200"),
    "an integer of 400 digits": ("amount", b"1" + b"0" * 400, "400"),
    "a fraction of 50,000 digits": ("amount", b"0." + b"1" * 50_000, "200"),
    "an integer beyond 64 bits": ("count", b"18446744073709551616", "200"),
    "the largest 64-bit integer": ("count", b"9223372036854775807", "200"),
    "a fraction for an integer": ("count", b"1.5", "422"),
    "a number beyond its maximum": ("amount", b"1e300", "422"),
    "hexadecimal": ("amount", b"0x10", "400"),
    "a leading zero": ("amount", b"01", "400"),
    "a plus sign": ("amount", b"+1", "400"),
    "text for a number": ("amount", b'"12.5"', "422"),
    "true for a number": ("amount", b"true", "422"),
    "1 for a boolean": ("abroad", b"1", "422"),
    "a list for a number": ("amount", b"[1]", "422"),
    "an object for a number": ("amount", b'{"a":1}', "422"),
    "a number for a category": ("country", b"7", "422"),
    "a category nobody knows, where that is allowed": ("country", b'"XX"', "200"),
    "a category nobody knows, where it is not": ("channel", b'"fax"', "422"),
    "a category of a megabyte": ("channel", b'"' + b"a" * 2**20 + b'"', "422"),
    "half a surrogate pair": ("channel", rb'"\ud800"', "400"),
    "half a surrogate pair in UTF-8": ("channel", b'"\xed\xa0\x80"', "400"),
    "an overlong NUL": ("channel", b'"\xc0\x80"', "400"),
    "Latin-1": ("channel", b'"\xe9"', "400"),
    "NUL": ("channel", rb'"\u0000app"', "422"),
    "a NUL byte": ("channel", b'"app\x00"', "400"),
    "right-to-left text": ("channel", '"\u202eppa"'.encode(), "422"),
    "emoji and combining marks": ("channel", ('"' + "\U0001f469" * 100 + "e\u0301" * 1000 + '"').encode(), "422"),
    "a terminal's escape sequence": ("channel", rb'"\u001b[31mapp"', "422"),
    "a script": ("channel", b'"<script>alert(1)</script>"', "422"),
    "SQL": ("channel", b"\"app'; DROP TABLE x; --\"", "422"),
    "a format string": ("channel", b'"%s%n{0.__class__}${jndi:ldap://x}"', "422"),
    "30 February": ("at", b'"2024-02-30T00:00:00"', "422"),
    "the year 0": ("at", b'"0000-01-01T00:00:00"', "422"),
    "the year 10,000": ("at", b'"10000-01-01T00:00:00"', "422"),
    "a time with 50,000 digits after the second": ("at", b'"2024-05-01T10:30:00.' + b"1" * 50_000 + b'"', "422"),
    "a time as a number": ("at", b"1714559400", "422"),
    "null where a value is required": ("amount", b"null", "422"),
}  # fmt: skip

BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "400"),
    "white space": (b" \n\t ", "400"),
    "null": (b"null", "422"),
    "a list": (b"[]", "422"),
    "no rows": (b'{"rows":[]}', "422"),
    "rows that are no list": (b'{"rows":{"a":1}}', "422"),
    "a row that is null": (b'{"rows":[null]}', "422"),
    "a row that is a list": (b'{"rows":[[1,2]]}', "422"),
    "an empty row": (b'{"rows":[{}]}', "422"),
    "10,001 rows": (b'{"rows":[' + b",".join([b"{}"] * 10_001) + b"]}", "413"),
    "a million empty rows": (b'{"rows":[' + b",".join([b"{}"] * 1_000_000) + b"]}", "413"),
    "3 million empty lists": (b'{"rows":[' + b",".join([b"[]"] * 3_000_000) + b"]}", "413"),
    "10,000 wrong rows": (b'{"rows":[' + b",".join([b'{"amount":"x"}'] * 10_000) + b"]}", "422"),
    "a row of 10,000 unknown fields": (
        json.dumps({"rows": [ROW | {f"f{number}": 1 for number in range(10_000)}]}).encode(), "422"),
    "a field name of a megabyte": (json.dumps({"rows": [ROW | {"a" * 2**20: 1}]}).encode(), "422"),
    "field names of Python": (json.dumps({"rows": [ROW | {"__class__": 1, "__dict__": {}}]}).encode(), "422"),
    "the same field twice: the last counts": (
        b'{"rows":[{"amount":"x",' + json.dumps(ROW).encode()[1:] + b"]}", "200"),
    "rows twice: the last count": (b'{"rows":7,' + GOOD[1:], "200"),
    "an unknown key beside rows": (GOOD[:-1] + b',"other":1}', "422"),
    "nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "400"),
    "nested 100,000 deep and not closed": (b'{"a":' * 100_000, "400"),
    "nested 1,000 deep in a value": (with_value("amount", b"[" * 1000 + b"]" * 1000), "400"),
    "nested 1,000 deep in a list, which is no object": (b"[" * 1000 + b"]" * 1000, "422"),
    "nested 1,000 deep in a value, hidden by brackets in strings": (
        with_value("amount", b'["]",' * 1000 + b"1" + b"]" * 1000), "400"),
    "nested 30 deep in a value": (with_value("amount", b"[" * 25 + b"]" * 25), "422"),
    "cut off": (GOOD[:-10], "400"),
    "two documents": (GOOD + GOOD, "400"),
    "a trailing comma": (GOOD[:-1] + b",}", "400"),
    "a comment": (b"/* */" + GOOD, "400"),
    "single quotes": (GOOD.replace(b'"', b"'"), "400"),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, "400"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "400"),
    "random bytes": (bytes(range(256)) * 64, "400"),
    "a pickle": (b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.", "400"),
    "XML with an entity": (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "400"),
}  # fmt: skip


# ------------------------------------------------------------------------------------------------ tensors


def tensor(**changes: Any) -> bytes:
    """A request of the Open Inference Protocol, with its first tensor changed; None leaves a key out."""
    kinds = {"amount": "FP64", "count": "INT64", "abroad": "BOOL"}
    inputs: list[dict[str, Any]] = [
        {"name": name, "shape": [1], "datatype": kinds.get(name, "BYTES"), "data": [value]}
        for name, value in ROW.items()
    ]
    inputs[0] = {key: value for key, value in (inputs[0] | changes).items() if value is not None}
    return json.dumps({"inputs": inputs}).encode()


TENSORS: dict[str, tuple[bytes, str]] = {
    "no tensors": (b'{"inputs":[]}', "400"),
    "an unknown datatype": (tensor(datatype="FP128"), "400"),
    "FP16, which JSON cannot carry": (tensor(datatype="FP16"), "400"),
    "text as a number": (tensor(datatype="BYTES", data=["x"]), "400"),
    "300 as an INT8": (tensor(datatype="INT8", data=[300]), "400"),
    "-1 as a UINT64": (tensor(datatype="UINT64", data=[-1]), "400"),
    "an integer of 300 digits": (tensor(datatype="INT64", data=[10**299]), "400"),
    "a negative shape": (tensor(shape=[-1]), "400"),
    "a shape of two thousand million": (tensor(shape=[2**31]), "400"),
    "a shape that overflows when multiplied": (tensor(shape=[2**31, 2**31, 2**31]), "400"),
    "a shape of fractions": (tensor(shape=[1.0]), "400"),
    "a shape of 10,000 ones": (tensor(shape=[1] * 10_000), "400"),
    "a shape that is no list": (tensor(shape=7), "400"),
    "rows of different lengths": (tensor(shape=[2, 1], data=[[1], [1, 2]]), "400"),
    "more data than its shape": (tensor(data=[1, 2, 3]), "400"),
    "data that is text": (tensor(data="1"), "400"),
    "a name nobody knows": (tensor(name="other"), "400"),
    "a name that is a list": (tensor(name=["amount"]), "400"),
    "the same tensor twice": (tensor(name="count", datatype="INT64", data=[1]), "400"),
    "100,000 tensors": (json.dumps({"inputs": [{"name": "x"}] * 100_000}).encode(), "400"),
    "an output nobody knows": (tensor()[:-1] + b',"outputs":[{"name":"x"}]}', "400"),
    "an id that is a number": (tensor()[:-1] + b',"id":7}', "400"),
    "an id of a megabyte, which is returned": (tensor()[:-1] + b',"id":"' + b"a" * 2**20 + b'"}', "200"),
}

INFER = "/v2/models/fraud/infer"


def sized(size: Any) -> bytes:
    """A header that says the first tensor's data follow it in binary."""
    return tensor(data=None, parameters={"binary_data_size": size})


BINARY: dict[str, tuple[str, bytes, bytes]] = {
    # name: the length of the header as stated (*: as it is), header, data
    "a header longer than the body": ("99999", tensor(), b""),
    "a negative header length": ("-1", tensor(), b""),
    "a header length that is no number": ("ten", tensor(), b""),
    "a header length of 100 digits": ("9" * 100, tensor(), b""),
    "no header": ("0", b"", b"\x00" * 8),
    "fewer bytes than stated": ("*", sized(8), b"\x00" * 7),
    "more bytes than stated": ("*", sized(8), b"\x00" * 9),
    "a negative size": ("*", sized(-8), b"\x00" * 8),
    "a size of 2 to the power of 63": ("*", sized(2**63), b"\x00" * 8),
    "a size that is text": ("*", sized("8"), b"\x00" * 8),
    "NaN in binary": ("*", sized(8), struct.pack("<d", float("nan"))),
    "Infinity in binary": ("*", sized(8), struct.pack("<d", float("inf"))),
}


def send_binary(stated: str, head: bytes, data: bytes) -> Callable[[Target], str]:
    """A request with the binary tensor extension."""
    length = str(len(head)) if stated == "*" else stated
    headers = (f"inference-header-content-length: {length}", "content-type: application/octet-stream")
    return lambda target: target.send(head + data, INFER, *headers)


# ----------------------------------------------------------------------------------------- GraphQL and gRPC


def query(text: str, **more: Any) -> bytes:
    """A GraphQL request."""
    return json.dumps({"query": text} | more).encode()


LIVE_FIELD = "health { live }"
ALIVE = "{ health { live } }"
QUERIES: dict[str, tuple[bytes, str]] = {
    "no query": (b"{}", "400"),
    "a query that is a number": (b'{"query":7}', "400"),
    "a query that is not closed": (query("{ health { live }"), "400"),
    "an unknown key": (query(ALIVE, other=1), "400"),
    "variables that are a list": (query(ALIVE, variables=[]), "400"),
    "a field nobody knows": (query("{ password }"), "400"),
    "braces 100,000 deep": (query("{" * 100_000), "400"),
    "a list 5,000 deep in an argument": (
        query("{ predict(rows: " + "[" * 5000 + "]" * 5000 + ") { version } }"), "400"),
    "levels without end": (query("{ __schema { types " + "{ ofType " * 60 + "{ name }" + "}" * 60 + " } }"), "400"),
    "1,000 aliases": (query("{ " + " ".join(f"a{i}: {LIVE_FIELD}" for i in range(1000)) + " }"), "400"),
    "two predictions": (query("query($r: [Row!]!) { a: predict(rows: $r) { version } b: predict(rows: $r) { version } }",
                              variables={"r": [ROW]}), "400"),
    "a fragment of itself": (query("{ ...a } fragment a on Query { ...a }"), "400"),
    "fragments that multiply to 2 to the power of 30": (
        query("{ ...f0 } " + " ".join(f"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}" for i in range(30))
              + f" fragment f30 on Query {ALIVE}"), "400"),
    "100,000 words": (query("{ " + "live " * 100_000 + "}"), "400"),
    "a subscription: an error in the answer": (query("subscription { health { live } }"), "200"),
    "a variable that is not given": (query("query($r: [Row!]!) { predict(rows: $r) { version } }"), "200"),
    "a wrong row: an error in the answer": (
        query("query($r: [Row!]!) { predict(rows: $r) { version } }", variables={"r": [ROW | {"amount": "x"}]}), "200"),
    "two megabytes": (query(ALIVE, variables={"x": "a" * 2**21}), "413"),
}  # fmt: skip

SERVICE = "inference.GRPCInferenceService"


def call(body: bytes, method: str = "ModelInfer") -> Callable[[Target], str]:
    """One call of gRPC with these bytes as its message: the name of its status."""

    def send(target: Target) -> str:
        import grpc

        with grpc.insecure_channel(target.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
            try:
                invoke: Any = channel.unary_unary(f"/{SERVICE}/{method}")
                invoke(body, timeout=10)
            except grpc.RpcError as error:
                return str(error.code().name)
        return "OK"

    return send


def message(
    *, datatype: str = "FP64", shape: tuple[int, ...] = (1,), raw: bytes = bytes(8), name: str = "amount"
) -> bytes:
    """A request of one tensor, and others that are right."""
    from fairlead.serve.v2.binary import written
    from fairlead.serve.v2.proto import open_inference_pb2 as pb

    request = pb.ModelInferRequest(model_name="fraud")
    kinds = {"count": "INT64", "abroad": "BOOL"}
    request.inputs.add(name=name, datatype=datatype, shape=shape)
    request.raw_input_contents.append(raw)
    for field_name, value in list(ROW.items())[1:]:
        kind = kinds.get(field_name, "BYTES")
        request.inputs.add(name=field_name, datatype=kind, shape=[1])
        request.raw_input_contents.append(written(kind, [value]))
    return bytes(request.SerializeToString())


CALLS: dict[str, tuple[Callable[[Target], str], str]] = {
    "nothing": (call(b""), "NOT_FOUND"),
    "random bytes": (call(bytes(range(256))), "INVALID_ARGUMENT"),
    "a good request, cut off": (call(message()[:-3]), "INVALID_ARGUMENT"),
    "groups 10,000 deep": (call(b"\x0b" * 10_000), "INVALID_ARGUMENT"),
    "a method nobody knows": (call(b"", "ModelDelete"), "UNIMPLEMENTED"),
    "a message of 11 MiB": (call(bytes(11 * 2**20)), "RESOURCE_EXHAUSTED"),
    "fewer bytes than its shape": (call(message(raw=bytes(7))), "INVALID_ARGUMENT"),
    "a negative shape, in gRPC": (call(message(shape=(-1,))), "INVALID_ARGUMENT"),
    "a shape that overflows when multiplied, in gRPC": (call(message(shape=(2**62, 2**62))), "INVALID_ARGUMENT"),
    "NaN, in gRPC": (call(message(raw=struct.pack("<d", float("nan")))), "INVALID_ARGUMENT"),
    "an unknown datatype, in gRPC": (call(message(datatype="FP128")), "INVALID_ARGUMENT"),
    "half a character in a name": (call(message(name="amount").replace(b"amount", b"amoun\xc3")), "INVALID_ARGUMENT"),
    "HTTP/1.1 to its port": (lambda t: _to_grpc(t, GOOD), "closed"),
    "frames of HTTP/2 that are noise": (
        lambda t: _to_grpc(t, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(range(256)) * 20), "closed"),
}  # fmt: skip


def _to_grpc(target: Target, content: bytes) -> str:
    """Bytes as they are to the port of gRPC."""
    host, _, port = target.grpc.rpartition(":")
    seen = Target(host, int(port), target.pid).raw(content, half_close=True)
    return "closed" if seen == "400" else seen


# --------------------------------------------------------------------------------------------------- HTTP

GET = b"GET %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
LIVE = b"GET /livez HTTP/1.1\r\nhost: x\r\n"
POST = b"POST /predict HTTP/1.1\r\nhost: x\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"

PACKETS: dict[str, tuple[tuple[bytes, ...], str]] = {
    "a TLS handshake": ((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,), "400"),
    "HTTP/0.9": ((b"GET /livez\r\n\r\n",), "505"),
    "HTTP/1.0": ((b"GET /livez HTTP/1.0\r\n\r\n",), "200"),
    "HTTP/1.2": ((b"GET /livez HTTP/1.2\r\n\r\n",), "400"),
    "HTTP/2": ((b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",), "400"),
    "no host": ((b"GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n",), "200"),
    "a method of 10,000 letters": ((b"A" * 10_000 + b" / HTTP/1.1\r\n\r\n",), "400"),
    "a method in small letters": ((b"get /livez HTTP/1.1\r\n\r\n",), "400"),
    "CONNECT to another host": ((b"CONNECT evil:443 HTTP/1.1\r\nhost: evil\r\n\r\n",), "400"),
    "a proxy request for another host": ((GET % b"http://evil/livez",), "200"),
    "OPTIONS of the server": ((b"OPTIONS * HTTP/1.1\r\nconnection: close\r\n\r\n",), "404"),
    "NUL in the path": ((GET % b"/livez\x00",), "400"),
    "a line end in a header": ((LIVE + b"a: b\rc: d\r\n\r\n",), "400"),
    "line ends without CR": ((b"GET /livez HTTP/1.1\nhost: x\n\n",), "400"),
    "a folded header": ((LIVE + b"a: b\r\n c: d\r\n\r\n",), "400"),
    "length and chunked": ((POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",), "400"),
    "chunked and length": ((POST + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",), "400"),
    "two lengths": ((POST + b"content-length: 4\r\ncontent-length: 5\r\n\r\nnull",), "400"),
    "two lengths in one": ((POST + b"content-length: 4, 4\r\n\r\nnull",), "400"),
    "chunked, hidden by a space": ((POST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",), "400"),
    "chunked after a tab, and a length": (
        (POST + b"transfer-encoding:\tchunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",), "400"),
    "chunked, misspelt": ((POST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",), "400"),
    "a negative length": ((POST + b"content-length: -1\r\n\r\n",), "400"),
    "a length of 30 digits": ((POST + b"content-length: " + b"9" * 30 + b"\r\n\r\n",), "400"),
    "a chunk that is no number": ((CHUNKED + b"nonsense\r\n",), "400"),
    "a chunk longer than it says": ((CHUNKED + b"2\r\nnull\r\n0\r\n\r\n",), "400"),
    "a chunk beyond 64 bits": ((CHUNKED + b"fffffffffffffffff\r\n",), "400"),
    "a request hidden in the body of an upgrade": (
        (POST + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 56\r\n\r\n", GET % b"/livez"), "505"),
    "an upgrade to WebSocket, and a request after it": (
        (LIVE + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n", GET % b"/livez"), "200"),
    "101 headers": ((b"GET /livez HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n",), "431"),
    "100,000 headers": ((LIVE, *[b"a: b\r\n" * 1000] * 100), "431"),
    "a header of a megabyte": ((LIVE + b"a: ", *[b"b" * 10_000] * 100), "431"),
    "a path of 100,000 letters": ((b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",), "431"),
    "a megabyte of trailers": ((CHUNKED + b"0\r\n", *[b"a: b\r\n" * 1000] * 170), "431"),
    "1,000 requests in one packet": (((LIVE + b"\r\n") * 999 + GET % b"/livez",), "200 × 1000"),
    "nonsense after a request": ((LIVE + b"\r\n" + b"\x00\x01\r\n\r\n",), "200, 400"),
    "Expect: 100-continue, and then the body": (
        (POST + b"expect: 100-continue\r\nconnection: close\r\ncontent-length: 4\r\n\r\n", b"null"), "100, 422"),
}  # fmt: skip

PATHS = {
    "/../../etc/passwd": "404",
    "/%2e%2e/%2e%2e/etc/passwd": "404",
    "/predict/": "404",
    "//predict": "404",
    "/PREDICT": "404",
    "/predict%00": "404",
    "/%ff%fe": "404",
    "/%zz": "404",
    "/predict;a=b": "404",
    "/livez/../predict": "404",
    "/v2/models/../../../etc/passwd": "404",
    "/v2/models/" + "%F0%9F%A6%86" * 50: "404",
    "/predict?" + "a=b&" * 5000: "200",
}
METHODS = {"PUT": "405", "DELETE": "405", "PATCH": "405", "TRACE": "405", "OPTIONS": "405", "PROPFIND": "405"}
HEADERS: dict[str, tuple[tuple[str, ...], str]] = {
    "another content type": (("content-type: text/plain",), "415"),
    "a form": (("content-type: application/x-www-form-urlencoded",), "415"),
    "a content type of 60,000 letters": (("content-type: " + "a" * 60_000,), "415"),
    "a content type that is not ASCII": (("content-type: \xff\xfe",), "415"),
    "a packed body": (("content-encoding: gzip",), "415"),
    "a request id with a line end in it": (("x-request-id: a%0d%0ab: c",), "200"),
    "a request id of 60,000 letters": (("x-request-id: " + "a" * 60_000,), "200"),
    "a request id that is not ASCII": (("x-request-id: \xff",), "200"),
    "a false claim to be internal": (("x-fairlead-internal: guess", "x-fairlead-route: shadow"), "200"),
    "a trace parent of nonsense": (("traceparent: 00-zz-\xff-01",), "200"),
}


# ------------------------------------------------------------------------------------------- connections


def idle_connections(target: Target) -> str:
    """Many that say nothing, and a request beside them."""
    many = [socket.create_connection((target.host, target.port)) for _ in range(300)]
    try:
        return target.send(GOOD)
    finally:
        for one in many:
            one.close()


def reset_in_the_middle(target: Target) -> str:
    """Many that send a request and reset the connection without reading."""
    for _ in range(200):
        with socket.create_connection((target.host, target.port)) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.sendall(POST + b"content-length: %d\r\n\r\n" % len(GOOD) + GOOD)
    return "closed"


def deaf(target: Target) -> str:
    """Many requests with large answers, which are not read."""
    body = json.dumps({"rows": [ROW] * 100}).encode()
    request = POST + b"content-length: %d\r\n\r\n" % len(body) + body
    before = target.memory()
    with socket.create_connection((target.host, target.port), timeout=0.5) as one:
        with contextlib.suppress(TimeoutError):
            for _ in range(3000):
                one.sendall(request)
        assert target.memory() - before < 30e6, "answers that nobody reads fill the memory"
    return "closed"


def stream(head: bytes, packet: bytes, times: int) -> Callable[[Target], str]:
    """Send for as long as the server takes it, and look at its memory."""

    def send(target: Target) -> str:
        before, peak, sent = target.memory(), 0, 0
        said = b""
        with socket.create_connection((target.host, target.port), timeout=10) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(head)
                for _ in range(times):
                    connection.sendall(packet)
                    sent += len(packet)
                    peak = max(peak, target.memory() - before)
            with contextlib.suppress(OSError):
                said = connection.recv(65536)
        assert sent < times * len(packet), "it took all"
        assert peak < 60e6, f"it used {peak} bytes"
        return summary(said)

    return send


SOCKETS: dict[str, tuple[Callable[[Target], str], tuple[str, ...]]] = {
    "headers in drops": (lambda t: t.raw(LIVE, *[b"a: b\r\n"] * 30, pause=0.05), ("408",)),
    "a body in drops": (lambda t: t.raw(POST + b"content-length: 100\r\n\r\n", *[b"x"] * 30, pause=0.05), ("408",)),
    "a body that never begins": (lambda t: t.raw(POST + b"content-length: 100\r\n\r\n"), ("408",)),
    "a connection without a word": (lambda t: t.raw(), ("closed",)),
    "closed in the middle of the headers": (lambda t: t.raw(b"GET /li", half_close=True), ("closed",)),
    "closed in the middle of the body": (
        lambda t: t.raw(POST + b"content-length: 100\r\n\r\nabc", half_close=True), ("closed",)),
    "the sending half closed after a request": (
        lambda t: t.raw(POST + b"content-length: %d\r\n\r\n" % len(GOOD) + GOOD, half_close=True), ("200",)),
    "200 connections reset while they are answered": (reset_in_the_middle, ("closed",)),
    "300 idle connections": (idle_connections, ("200",)),
    "3,000 requests whose answers are not read": (deaf, ("closed",)),
    "a body of 1 GiB, announced": (
        stream(POST + b"content-length: %d\r\n\r\n" % GIBIBYTE, b"x" * 2**20, 1024), ("413", "closed")),
    "a body of 1 GiB in chunks": (
        stream(CHUNKED, b"100000\r\n" + b"x" * 2**20 + b"\r\n", 1024), ("413", "closed")),
    "a body of chunks of one byte without end": (
        stream(CHUNKED, b"1\r\nx\r\n" * 10_000, 50_000), ("408", "413", "closed")),
    "a chunk's extension without end": (stream(CHUNKED + b"1;", b"x" * 10_000, 50_000), ("431", "closed")),
    "empty lines without end": (stream(b"", b"\r\n" * 5_000, 50_000), ("431", "closed")),
}  # fmt: skip


# ------------------------------------------------------------------------------------------------- the model

ASKED = ("raise", "exit", "recurse", "memory", "NaN", "too few", "text", "leak", "hang", "hang in C", "crash")
"""What the model in the bundle's ``code/`` is asked for: the position, from 101, is sent as the amount."""


def ask(what: str, rows: int = 1) -> Callable[[Target], str]:
    """A good request that makes the model misbehave."""
    body = json.dumps({"rows": [ROW | {"amount": ASKED.index(what) + 101}] * rows}).encode()
    return lambda target: target.send(body)


def leak(target: Target) -> str:
    """Requests of which each keeps ten megabytes, until the server drains and ends by itself."""
    for _ in range(400):
        try:
            if ask("leak")(target) == "closed":
                break
        except OSError:
            break
        time.sleep(0.02)
    return "200"


TRACEBACK = r"request \S+ to /predict failed"
HANGS = r"Timeout \(0:00:02\)!"
MODELS: dict[str, tuple[Callable[[Target], str], tuple[str, ...], str, bool]] = {
    # name: what is sent, answers, what the log says, whether the process ends
    "raises": (ask("raise"), ("500",), TRACEBACK, False),
    "asks the interpreter to exit": (
        ask("exit"),
        ("500",),
        f"{TRACEBACK}|Exception in ASGI application",
        False,
    ),
    "recurses without end": (ask("recurse"), ("500",), TRACEBACK, False),
    "asks for a tebibyte of memory": (ask("memory"), ("500",), TRACEBACK, False),
    "answers NaN": (ask("NaN"), ("422",), "", False),
    "answers too few rows": (ask("too few", 2), ("500",), TRACEBACK, False),
    "answers text": (ask("text"), ("500",), TRACEBACK, False),
    "leaks": (leak, ("200",), "are more than .*: this process drains and ends", True),
    "hangs, in the event loop": (ask("hang"), ("closed",), HANGS, True),
    "hangs without letting go of the interpreter": (ask("hang in C"), ("closed",), HANGS, True),
    "hangs, in a thread": (ask("hang", 2000), ("504",), HANGS, True),
    "crashes the process": (ask("crash"), ("closed",), "", True),
}


def all_cases() -> list[Case]:
    """Every case that is one request or one connection, in the order of the document."""
    return [
        *(
            _sent("A value", name, with_value(key, value), answer)
            for name, (key, value, answer) in VALUES.items()
        ),
        *(_sent("A body", name, body, answer) for name, (body, answer) in BODIES.items()),
        *(_sent("A tensor", name, body, answer, INFER) for name, (body, answer) in TENSORS.items()),
        *(Case("A binary tensor", name, send_binary(*given), ("400",)) for name, given in BINARY.items()),
        *(
            _sent("A GraphQL query", name, body, answer, "/graphql")
            for name, (body, answer) in QUERIES.items()
        ),
        *(
            Case("A gRPC call", name.removesuffix(", in gRPC"), send, (answer,))
            for name, (send, answer) in CALLS.items()
        ),
        *(_sent("A path", _short(path), GOOD, answer, path) for path, answer in PATHS.items()),
        *(_sent("A method", method, b"", answer, method=method) for method, answer in METHODS.items()),
        *(
            _sent("A header", name, GOOD, answer, "/predict", *lines)
            for name, (lines, answer) in HEADERS.items()
        ),
        *(_packets(name, packets, answer) for name, (packets, answer) in PACKETS.items()),
        *(Case("A connection", name, send, answers) for name, (send, answers) in SOCKETS.items()),
        *(
            Case("The model", name, send, answers, log, "trouble", ends)
            for name, (send, answers, log, ends) in MODELS.items()
        ),
    ]


def _sent(
    group: str,
    name: str,
    body: bytes,
    answer: str,
    path: str = "/predict",
    *headers: str,
    method: str = "POST",
) -> Case:
    return Case(group, name, lambda target: target.send(body, path, *headers, method=method), (answer,))


def _packets(name: str, packets: Iterable[bytes], answer: str) -> Case:
    several = tuple(packets)
    pause = 0.02 if len(several) == 2 else 0.0
    return Case("HTTP", name, lambda target: target.raw(*several, pause=pause), (answer,))


def _short(path: str) -> str:
    return path if len(path) <= 40 else f"{path[:30]}… ({len(path)} letters)"


CASES = all_cases()
