"""The little HTTP the app needs: answers, refusals, and a request's body read within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json"


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


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and what the counters are to know about it."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()
    rows: int = 0
    """Rows that were scored."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Validation failures by field."""


Handler = Callable[[bytes], Answer]
"""A request's body to an answer. Raises :class:`Refused`."""


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


def json_answer(content: Any, *, status: int = 200, rows: int = 0) -> Answer:
    """An answer in JSON; numpy arrays are lists."""
    return Answer(status, orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), rows=rows)


def parse_json(body: bytes) -> Any:
    """Strict JSON: no NaN or Infinity, no invalid UTF-8, bounded depth. Raises Refused (400)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as cause:
        raise Refused(400, f"the body is not valid JSON: {cause}") from None


def header(headers: Iterable[Header], name: bytes) -> bytes | None:
    """The first header of this (lower-case) name."""
    for key, value in headers:
        if key == name:
            return value
    return None


def check_is_json(headers: Iterable[Header]) -> None:
    """Refuse (415) a body that says it is not plain JSON. Saying nothing is fine."""
    content_type = header(headers, b"content-type")
    if content_type is not None and content_type.split(b";")[0].strip().lower() != JSON:
        raise Refused(415, f"content type is {content_type.decode('latin-1')!r}, must be 'application/json'")
    encoding = header(headers, b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        raise Refused(
            415, f"content encoding {encoding.decode('latin-1')!r} is not accepted; send plain JSON"
        )


async def read_body(headers: Iterable[Header], receive: Receive, limits: Limits) -> bytes:
    """All of the body, read only as far as the limit.

    Raises:
        Refused: 413 too large, known from the header or found while reading; 408 too slow.
        Disconnected: The client went away.
    """
    stated = header(headers, b"content-length")
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
