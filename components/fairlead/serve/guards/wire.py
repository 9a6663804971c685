"""uvicorn's HTTP protocol, bounded: what a connection may send before a request is complete, and for how long.

uvicorn's fast parser (httptools, which is llhttp) is strict about what a message is, and has no limits of its
own. Without those here one connection could fill the memory with headers or trailers, thousands of connections
could each send a byte a minute, and every one that speaks no HTTP would write a line into the log.

Three cases are answered otherwise than by uvicorn:

- ``Upgrade``: the parser takes what follows such a request for another protocol and skips its body, and uvicorn
  would take the body, if it comes in a packet of its own, for the next request. So the connection ends with it.
- HTTP/0.9, which the parser lets through, is refused.
- A client that closed its sending half after a complete request is still answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead.serve.environment import Environment
from fairlead.serve.http import STATUS_LINE, Header


@dataclass(frozen=True)
class WireLimits:
    """What a connection may do before there is a request."""

    header_bytes: int = 65_536
    """Request line and headers together; also trailers, and what else comes without a byte of a body."""
    headers: int = 100
    header_seconds: float = 10.0
    """For the request line and all headers, from the first byte, or from the connection's begin."""
    message_seconds: float = 60.0
    """For all of a request. The application gives a body less; this one holds where nobody reads it."""

    @classmethod
    def from_environment(cls, env: Environment) -> Self:
        """Read ``FAIRLEAD_LIMIT_HEADER_BYTES``, ``_HEADERS``, ``_HEADER_SECONDS``, ``_MESSAGE_SECONDS``."""
        return cls(
            header_bytes=env.whole("FAIRLEAD_LIMIT_HEADER_BYTES", cls.header_bytes, low=1024),
            headers=env.whole("FAIRLEAD_LIMIT_HEADERS", cls.headers, low=1),
            header_seconds=env.number("FAIRLEAD_LIMIT_HEADER_SECONDS", cls.header_seconds, low=0.1),
            message_seconds=env.number("FAIRLEAD_LIMIT_MESSAGE_SECONDS", cls.message_seconds, low=0.1),
        )


def protocol_of(
    limits: WireLimits,
    headers: Sequence[Header] = (),
    count: Callable[[int], None] = lambda _status: None,
    protocol: type[BoundedProtocol] | None = None,
) -> type[HttpToolsProtocol]:
    """What to give to ``uvicorn.Config(http=…)``.

    Args:
        limits: The bounds.
        headers: Of every refusal made here.
        count: Told the status of each refusal, since the application never sees these requests.
        protocol: A kind of :class:`BoundedProtocol` that does more than bound.
    """
    refusals = {status: _refusal(status, error, headers) for status, error in _ERRORS.items()}
    settings = {"limits": limits, "refusals": refusals, "count": staticmethod(count)}
    return type("Protocol", (protocol or BoundedProtocol,), settings)


_ERRORS = {
    400: "this is not a valid HTTP request",
    408: "the request did not come in time",
    431: "the headers are too many or too large",
    505: "versions 1.0 and 1.1 of HTTP are spoken here, without an upgrade",
}


def _refusal(status: int, error: str, headers: Sequence[Header]) -> bytes:
    body = b'{"error":"%s"}' % error.encode()
    all_headers = (
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *headers,
    )
    lines = [b"%b: %b\r\n" % header for header in all_headers]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", body])


class _Refused(Exception):
    """Raised in a callback of the parser, to end the connection with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class BoundedProtocol(HttpToolsProtocol):
    """One connection. See the module's docstring; :func:`protocol_of` sets the class's attributes."""

    limits: WireLimits
    refusals: dict[int, bytes]
    count: Callable[[int], None]

    _in_message = False
    """Whether a request has begun and is not complete."""
    _in_head = False
    """Whether its headers are not complete either."""
    _ended = False
    """Whether what still comes is thrown away."""
    _version = ""
    _idle_bytes = 0
    """Bytes that came since a message began or a part of its body did."""
    _deadline: asyncio.TimerHandle | None = None
    """When the connection ends, unless it gets on."""
    _deadline_is_of_head = True
    _idle_since = 0.0
    """When the last answer was sent, on the loop's clock."""

    # ------------------------------------------------------------------------------------ the connection

    def connection_made(self, transport: Any) -> None:
        """Called by the event loop."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.limits.header_seconds, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._set_no_deadline()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Called when the client will send no more. True keeps the connection for the answer."""
        self._ended = True
        cycle: Any = self.cycle
        return not self._in_message and cycle is not None and not cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._ended:
            return
        self._idle_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            self._ended = True
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.status if isinstance(cause, _Refused) else 400)
            return
        if self._idle_bytes > self.limits.header_bytes:
            self._refuse(431)
        elif self._in_message:
            self._set_deadline()
        elif self._deadline is not None:
            self._set_no_deadline()
            if self._is_idle():  # else the answer that is being made sets the timer
                self._end_when_idle(self.timeout_keep_alive)

    # ---------------------------------------------------------------------------------------- the parser

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._in_head = self._in_message = True
        self._begin_request()

    def on_headers_complete(self) -> None:
        """Called by the parser; starts the application."""
        self._in_head = False
        limits = self.limits
        if len(self.headers) > limits.headers:
            raise _Refused(431)
        if self._idle_bytes > limits.header_bytes and self._head_size() > limits.header_bytes:
            raise _Refused(431)
        if self.parser.should_upgrade() and self._has_body():
            raise _Refused(505)
        self._version = self.parser.get_http_version()
        if self._version not in _VERSIONS:
            raise _Refused(505)
        self._start_application()

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._idle_bytes = 0
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called when an answer was sent."""
        self._idle_since = self.loop.time()
        super().on_response_complete()
        if self._ended and not self.pipeline and self.cycle.response_complete:
            self.transport.close()

    # ------------------------------------------------------------------------------- the three steps of a request

    def _feed(self, data: bytes) -> None:
        """Have a packet parsed; raises what the parser does."""
        self.parser.feed_data(data)

    def _begin_request(self) -> None:
        """A request has begun."""
        super().on_message_begin()
        self.scope["received"] = time.perf_counter()  # type: ignore[typeddict-unknown-key]

    def _start_application(self) -> None:
        """A request's headers are complete and within the bounds."""
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _has_body(self) -> bool:
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        )

    # ------------------------------------------------------------------------------------------- the end

    def _set_deadline(self) -> None:
        """Wait for the rest of a message, as of when its head or its body began."""
        if self._deadline is not None and self._deadline_is_of_head == self._in_head:
            return
        self._set_no_deadline()
        limits = self.limits
        seconds = limits.header_seconds if self._in_head else limits.message_seconds
        self._deadline = self.loop.call_later(seconds, self._late)
        self._deadline_is_of_head = self._in_head

    def _set_no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def timeout_keep_alive_handler(self) -> None:
        """Called when a connection may have been idle for long enough.

        The timer is not set anew with each request, which would cost more than to look here whether one came meanwhile.
        """
        self.timeout_keep_alive_task = None
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._end_when_idle(left)
        elif self._is_idle():
            self.transport.close()  # else the next answer sets the timer

    def _is_idle(self) -> bool:
        cycle: Any = self.cycle
        return not self._in_message and (cycle is None or cycle.response_complete)

    def _end_when_idle(self, seconds: float) -> None:
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _late(self) -> None:
        self._deadline = None
        if self._in_message:
            self._refuse(408)
        else:
            self.transport.close()  # it never said a word: there is nothing to answer

    def _refuse(self, status: int) -> None:
        """End the connection; a refusal is not sent where the answer to an earlier request is waited for."""
        self._ended = True
        self._set_no_deadline()
        self.count(status)
        cycle: Any = self.cycle
        if (
            cycle is not None and cycle.more_body and self.pipeline
        ):  # the bad request is the last in the queue
            self.pipeline.popleft()
            cycle.response_complete = True
        elif cycle is None or cycle.response_complete or (cycle.more_body and not cycle.response_started):
            self.transport.write(self.refusals[status])
            self.transport.close()
        elif cycle.more_body:
            self.transport.close()


_VERSIONS = frozenset({"1.0", "1.1"})
