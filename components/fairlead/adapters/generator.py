"""An open-loop HTTP/1.1 generator: ``python -m fairlead.adapters.generator PLAN.json``, a process of its own.

One thread, keep-alive connections, one request at a time on each. A request costs some 12 µs where there is always one to send
(some 30 µs at 5,000 a second, with the sleeping between), so a core sends tens of thousands a second. There is no event loop
and no client library because their timers have a resolution of a millisecond, and requests that are due within the same
millisecond would leave as one burst. ``select`` on the selector itself takes microseconds (Linux adds 50 µs of slack).

It writes down when it noticed that each request was due. What is late there is its own fault and voids the round; a
request that is due while all connections are busy waits in a queue, and that is the server's.
"""

from __future__ import annotations

import gc
import json
import os
import select
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CONNECTIONS = 256
"""At most; a server that keeps so many waiting is late already."""
_LOOK = 0.01
"""Seconds between looks at the clock when nothing more is due."""
_READ = 65_536


@dataclass(slots=True, eq=False)
class Connection:
    """One keep-alive connection and the request that is on its way."""

    socket: socket.socket
    request: int = -1
    received: bytes = b""

    def answered(self) -> int | None:
        """The status of a complete answer; 0 if what came is none; None while it is not complete."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self.received[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        if at < 0:
            return 0
        length = int(head[at + 17 : (head + b"\r\n").find(b"\r\n", at + 17)])
        return int(head[9:12]) if len(self.received) >= end + 4 + length else None


@dataclass(slots=True)
class Generator:
    """Sends requests when they are due, and keeps the times."""

    address: tuple[str, int]
    requests: list[bytes]
    """Complete HTTP requests, sent in turn."""
    due: list[float]
    """Seconds from the begin, ascending."""
    patience: float
    noticed: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    _idle: list[Connection] = field(default_factory=list)
    _queue: deque[int] = field(default_factory=deque)
    _open: int = 0
    _finished: int = 0

    def run(self) -> None:
        """Drive all requests, or give up when one has waited too long."""
        count = len(self.due)
        self.noticed, self.done, self.status = [np.nan] * count, [np.nan] * count, [0] * count
        begin, following = time.perf_counter() + 0.01, 0
        while self._finished < count:
            now = time.perf_counter() - begin
            while following < count and self.due[following] <= now:
                self.noticed[following] = now
                self._queue.append(following)
                following += 1
            self._send_waiting()
            if self._is_hopeless(now, following):
                return
            wait = self.due[following] + begin - time.perf_counter() if following < count else _LOOK
            if wait > 0:
                select.select([self._selector.fileno()], [], [], wait)
            for key, _ in self._selector.select(0):
                self._receive(key.data, begin)

    def _is_hopeless(self, now: float, following: int) -> bool:
        oldest = (
            self.due[self._queue[0]] if self._queue else self.due[-1] if following == len(self.due) else now
        )
        return now - oldest > self.patience

    def _send_waiting(self) -> None:
        while self._queue:
            connection = self._take()
            if connection is None:
                return
            connection.request = self._queue.popleft()
            connection.received = b""
            try:
                connection.socket.sendall(self.requests[connection.request % len(self.requests)])
            except OSError:
                self._lose(connection)

    def _take(self) -> Connection | None:
        """An idle connection, a new one, or None if there are as many as may be."""
        if self._idle:
            return self._idle.pop()
        if self._open >= CONNECTIONS:
            return None
        made = socket.create_connection(self.address, timeout=self.patience)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.settimeout(None)
        connection = Connection(made)
        self._selector.register(made, selectors.EVENT_READ, connection)
        self._open += 1
        return connection

    def _receive(self, connection: Connection, begin: float) -> None:
        try:
            piece = connection.socket.recv(_READ)
        except OSError:
            piece = b""
        if not piece:
            self._lose(connection)
            return
        connection.received += piece
        status = connection.answered()
        if status is None:
            return
        if status == 200:
            self.done[connection.request] = time.perf_counter() - begin
        self.status[connection.request] = status
        self._finished += 1
        connection.request = -1
        self._idle.append(connection)

    def _lose(self, connection: Connection) -> None:
        """A connection has ended; the request on it gets no answer."""
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._open -= 1
        if connection.request >= 0:
            self._finished += 1
        elif connection in self._idle:
            self._idle.remove(connection)


def http_request(host: str, path: str, body: bytes) -> bytes:
    """A POST of JSON as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run_plan(plan: dict[str, Any]) -> None:
    """Drive what *plan* says, and write ``noticed``, ``done`` and ``status`` to its file ``result`` (npz)."""
    if plan["cpus"]:
        os.sched_setaffinity(0, plan["cpus"])
    generator = Generator(
        address=(plan["host"], plan["port"]),
        requests=[http_request(plan["host"], plan["path"], body.encode()) for body in plan["bodies"]],
        due=np.load(plan["due"]).tolist(),
        patience=plan["patience"],
    )
    gc.disable()  # nothing here makes cycles, and a collection is a pause
    generator.run()
    np.savez(plan["result"], noticed=generator.noticed, done=generator.done, status=generator.status)


if __name__ == "__main__":
    run_plan(json.loads(Path(sys.argv[1]).read_bytes()))
