"""Requests that are answered where they are read: in the parser's callback, without a task and without ASGI's messages.

Most requests come whole in one packet and are scored in microseconds. For them a task, its scope and its messages
cost more than the prediction: 16 µs of 47, by the benchmark of serving. So a request is first held back until its
packet is read. If it is complete, and the application can answer it without waiting, the answer is written there and
then. In every other case (its body is still coming, answers before it are not sent yet, it asks for the end of the
connection, the answer has to be waited for) it goes to uvicorn, as if nothing had happened.

One thing a task did beside: while it waited for its turn, its age told that there is too much work. Here a request
waits in the socket instead, and counts as received when the event loop woke up for all that had come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from fairlead.serve.guards.wire import BoundedProtocol
from fairlead.serve.http import Header, Write


class Application(Protocol):
    """What answers without waiting; the ASGI application is asked for the rest."""

    def inline(
        self, method: bytes, url: bytes, headers: list[Header], body: bytes, received: float, write: Write
    ) -> bool:
        """Write the whole response and give True; or do nothing and give False."""


class Turn:
    """One turn of the event loop: all that had come when it woke up."""

    def __init__(self) -> None:
        self._began = 0.0

    def began(self, loop: asyncio.AbstractEventLoop) -> float:
        """When this turn began, in seconds of ``time.perf_counter()``; the first to ask in a turn says so."""
        if not self._began:
            self._began = time.perf_counter()
            loop.call_soon(self._end)
        return self._began

    def _end(self) -> None:
        self._began = 0.0


def inline_protocol(application: Application) -> type[BoundedProtocol]:
    """A protocol to give to :func:`fairlead.serve.guards.wire.protocol_of`."""
    return type("InlineProtocol", (_Inline,), {"answer": staticmethod(application.inline), "turn": Turn()})


class _Inline(BoundedProtocol):
    """One connection. :func:`inline_protocol` sets the class's attributes."""

    answer: Callable[..., bool]
    turn: Turn

    _held = False
    """Whether the request that is being read is held back from uvicorn."""
    _body = b""
    _received = 0.0

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        if self._held:
            self._idle_bytes = 0
            self._body = self._body + body if self._body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._held and self._answer():
            self._held = False
            self._idle_bytes = 0
            self._in_message = False
            return
        self._let_go()
        super().on_message_complete()

    # -------------------------------------------------------------------------------- the three steps of a request

    def _feed(self, data: bytes) -> None:
        super()._feed(data)
        self._let_go()  # its body is still to come

    def _begin_request(self) -> None:
        # The scope is made when uvicorn gets the request.
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._received = self.turn.began(self.loop)

    def _start_application(self) -> None:
        self._held, self._body = True, b""
        if not self._may_answer():
            self._let_go()

    # ------------------------------------------------------------------------------------------------- the answer

    def _may_answer(self) -> bool:
        cycle: Any = self.cycle
        return (
            (cycle is None or cycle.response_complete)
            and self._version == "1.1"
            and not self.expect_100_continue
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.flow.write_paused
            and (self.limit_concurrency is None or len(self.connections) < self.limit_concurrency)
        )

    def _answer(self) -> bool:
        method = self.parser.get_method()
        if not self.answer(method, self.url, self.headers, self._body, self._received, self.transport.write):
            return False
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._end_when_idle(self.timeout_keep_alive)
        return True

    def _let_go(self) -> None:
        """Give the request to uvicorn, as far as it was read."""
        if not self._held:
            return
        self._held = False
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super()._begin_request()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the scope has this list
        self.scope["received"] = self._received  # type: ignore[typeddict-unknown-key]
        super()._start_application()
        if self._body:
            super().on_body(self._body)
