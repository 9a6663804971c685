"""The little HTTP the app needs: answers, refusals, and a request's body read within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from fairlead.serve.guards.depth import too_deep

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]
Write = Callable[[bytes], None]
"""Sends bytes to the client, in its order and without waiting."""

DEPTH = 32
"""Levels of nested JSON. No request of a model needs more than five; the parser itself follows 1,024."""
STATUS_LINE = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus
}
JSON = b"application/json"
PLAIN = (JSON,)
"""Content types of most routes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for. Beyond it a request is refused with 413, or 408 for the time."""

    body_bytes: int = 10 * 1024 * 1024
    """10 MiB: some 20,000 rows of 30 fields."""
    rows: int = 10_000
    """Scored at once; about 0.3 s of one core for a forest of 100 trees."""
    errors: int = 100
    """Reported in one answer; checking stops there, so that a wrong request is not dearer than a right
    one."""
    body_seconds: float = 30.0
    """For all of the body to come in."""


# The three records below are made for every request, so they are not frozen: freezing costs a microsecond.


@dataclass(slots=True)
class Request:
    """What a handler is given."""

    body: bytes
    headers: list[Header]
    identity: str = ""
    """``X-Request-ID``: the client's own, or a new one."""
    path: str = ""
    route: str = "live"
    """``live``; ``shadow`` or ``preview`` for calls with the internal credential, which are no traffic."""
    caller: str = ""
    """The name of the API key or the subject of the token; empty where callers are not told apart."""


@dataclass(slots=True)
class Scored:
    """What was asked and what was answered, for those who keep or compare it."""

    rows: Sequence[Mapping[str, Any]]
    """Valid rows, as the client sent them."""
    answers: NDArray[np.float64]
    """Shape (rows, k), see :mod:`fairlead.schema.answers`."""
    body: bytes = b""
    """``{"rows": [...]}`` as it came, where the rows came like that."""


_NO_FAILURES: Mapping[str, int] = {}


@dataclass(slots=True)
class Answer:
    """A response, and what the counters are to know about it."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()
    scored: Scored | None = None
    failures: Mapping[str, int] = field(default_factory=lambda: _NO_FAILURES)
    """Validation failures by field."""


Handler = Callable[[Request], Answer | Awaitable[Answer]]
"""A request to an answer. Raises :class:`Refused`."""

Observer = Callable[[Request, str, Answer, float, float], None]
"""Told of every scored answer after it was sent: request, endpoint, answer, Unix time of its begin, seconds.
It neither waits nor raises."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path: its name in the metrics, and who answers which method."""

    name: str
    """The path with its variable parts in braces."""
    get: Handler | None = None
    post: Handler | None = None
    types: tuple[bytes, ...] = PLAIN
    """Content types that a body may have."""
    waits: bool = False
    """Whether a handler's answer may have to be awaited."""

    @property
    def allow(self) -> bytes:
        """The value of an Allow header."""
        return b"GET, HEAD" if self.post is None else b"POST" if self.get is None else b"GET, HEAD, POST"


class Refused(Exception):
    """The request is not served; the status says whose fault it is."""

    def __init__(self, status: int, error: str, *, headers: tuple[Header, ...] = (), **more: Any) -> None:
        """Answer *status* with ``{"error": error, **more}``."""
        super().__init__(error)
        self.status = status
        self.content = {"error": error, **more}
        self.headers = headers
        self.failures: Mapping[str, int] = {}

    def answer(self) -> Answer:
        """The response."""
        return Answer(self.status, orjson.dumps(self.content), headers=self.headers, failures=self.failures)


class Disconnected(Exception):
    """The client went away before its request was complete."""


def json_answer(content: Any, *, status: int = 200, scored: Scored | None = None) -> Answer:
    """An answer in JSON; numpy arrays are lists."""
    return Answer(status, orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), scored=scored)


def headers_of(answer: Answer, identity: bytes, common: Sequence[Header]) -> list[Header]:
    """All headers of a response."""
    return [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", identity),
        *common,
        *answer.headers,
    ]


def response_of(answer: Answer, identity: bytes, common: Sequence[Header]) -> bytes:
    """A whole response of HTTP/1.1.

    >>> response_of(Answer(200, b"{}"), b"a-1", ()).splitlines()
    [b'HTTP/1.1 200 OK', b'content-type: application/json', b'content-length: 2', b'x-request-id: a-1', b'', b'{}']
    """
    lines = [STATUS_LINE[answer.status]]
    lines += [b"%b: %b\r\n" % header for header in headers_of(answer, identity, common)]
    return b"".join([*lines, b"\r\n", answer.body])


def parse_json(body: bytes) -> Any:
    """Strict JSON: no NaN or Infinity, no invalid UTF-8, bounded depth. Raises Refused (400)."""
    check_depth(body)
    return parse_flat_json(body)


def check_depth(body: bytes) -> None:
    """Refuse (400) what is nested more than :data:`DEPTH` deep."""
    if too_deep(body, DEPTH):
        raise Refused(400, f"the body is nested more than {DEPTH} deep")


def parse_flat_json(body: bytes) -> Any:
    """:func:`parse_json` for callers who take flat rows only, or else call :func:`check_depth`."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as cause:
        raise Refused(400, f"the body is not valid JSON: {cause}") from None


def check_content(known: Mapping[bytes, bytes], types: Sequence[bytes]) -> None:
    """Refuse (415) a body that says it is of another type, or packed. Saying nothing is fine."""
    stated = known.get(b"content-type")
    if stated is not None and stated not in types and stated.split(b";")[0].strip().lower() not in types:
        wanted = " or ".join(f"'{kind.decode()}'" for kind in types)
        raise Refused(415, f"content type is {stated.decode('latin-1')!r}, must be {wanted}")
    encoding = known.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        raise Refused(
            415, f"content encoding {encoding.decode('latin-1')!r} is not accepted; send plain JSON"
        )


async def read_body(known: Mapping[bytes, bytes], receive: Receive, limits: Limits) -> bytes:
    """All of the body, read only as far as the limit.

    Raises:
        Refused: 413 too large, known from the header or found while reading; 408 too slow.
        Disconnected: The client went away.
    """
    stated = known.get(b"content-length")
    if stated is not None and stated.isdigit() and int(stated) > limits.body_bytes:
        raise _too_large(limits)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")  # nearly always
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
        return body
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _read_on(message, receive, limits)
    except TimeoutError:
        raise Refused(
            408, f"the body did not come within {limits.body_seconds:g} s", headers=_CLOSE
        ) from None


async def _read_on(message: Message, receive: Receive, limits: Limits) -> bytes:
    body = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += message.get("body", b"")
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return bytes(body)
        message = await receive()


# The rest of the body is not read, so the connection cannot carry another request.
_CLOSE: tuple[Header, ...] = ((b"connection", b"close"),)


def _too_large(limits: Limits) -> Refused:
    return Refused(413, f"the body is larger than {limits.body_bytes} bytes; send fewer rows", headers=_CLOSE)
