"""The fast lane: a bare uvicorn server in an event loop that somebody else owns.

Inside a Bento the loop is that of BentoML's worker. The same application mounted among BentoML's middlewares
reaches a third of the requests a second, because each of them costs more than a prediction. Signals stay with
the loop's owner, which ends the lane by :meth:`Lane.stop` before the loop closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead.errors import ServiceError
from fairlead.serve.environment import Environment


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Where to listen, and how to come and go."""

    host: str = "0.0.0.0"  # noqa: S104 - in a pod, the gateway comes from outside
    port: int = 8080
    """0 takes a free one."""
    keep_alive_seconds: float = 65.0
    """How long an idle connection is kept: longer than a gateway's (60 s in most), so that only the gateway
    closes them, and none is closed while a request is on its way."""
    connections: int = 10_000
    """Open connections; one more is answered 503."""
    drain_seconds: float = 0.0
    """How long requests are still taken after readiness went off."""
    grace_seconds: float = 30.0
    """How long requests in flight may take after that."""
    shared: bool = False
    """Whether several processes listen on the port, the kernel handing out connections."""

    @classmethod
    def from_environment(cls, env: Environment, *, shared: bool = False) -> Self:
        """Read ``FAIRLEAD_HOST`` and ``_PORT``, ``_{KEEP_ALIVE,DRAIN,GRACE}_SECONDS``, ``_LIMIT_CONNECTIONS``.

        Raises:
            ProjectError: One of them has no value of its kind.
        """
        default = cls()
        return cls(
            host=env.text("FAIRLEAD_HOST", default.host),
            port=env.whole("FAIRLEAD_PORT", default.port, low=0, high=65_535),
            keep_alive_seconds=env.number("FAIRLEAD_KEEP_ALIVE_SECONDS", default.keep_alive_seconds, low=1),
            connections=env.whole("FAIRLEAD_LIMIT_CONNECTIONS", default.connections, low=1),
            drain_seconds=env.number("FAIRLEAD_DRAIN_SECONDS", default.drain_seconds, low=0, high=3600),
            grace_seconds=env.number("FAIRLEAD_GRACE_SECONDS", default.grace_seconds, low=0, high=3600),
            shared=shared,
        )


class Lane:
    """A server of one ASGI application on one port."""

    def __init__(self, app: Any, settings: LaneSettings, protocol: type[HttpToolsProtocol]) -> None:
        """Serve *app*; *protocol* is :func:`fairlead.serve.guards.wire.protocol_of`'s."""
        self._app = app
        self._settings = settings
        self._protocol = protocol
        self._listening: socket.socket | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """``HOST:PORT`` once it listens."""
        host, port = self._listening.getsockname()[:2] if self._listening else ("", 0)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        """Listen and serve. Raises ServiceError if the port cannot be had."""
        settings = self._settings
        self._listening = listen(settings.host, settings.port, shared=settings.shared)
        config = uvicorn.Config(
            self._app,
            loop="none",
            http=self._protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,  # nobody here asks for a client's address
            server_header=False,
            date_header=False,
            timeout_keep_alive=int(settings.keep_alive_seconds),
            timeout_graceful_shutdown=int(settings.grace_seconds),
            limit_concurrency=settings.connections,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listening]), name="lane")
        while not self._server.started and not self._serving.done():
            await asyncio.sleep(0.005)
        if self._serving.done():
            await self._serving

    async def stop(self, *, at_once: bool = False) -> None:
        """Take no new connections, finish what is in flight (unless *at_once*), and end."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            self._server.force_exit |= at_once
            await asyncio.wait([self._serving])  # whoever gives up waiting does not end the server by it

    async def wait(self) -> None:
        """Return when the lane has ended."""
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    """Leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound socket. Raises ServiceError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named: without it an answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((host, port))
    except OSError as cause:
        listening.close()
        raise ServiceError(
            f"cannot listen on {host}:{port}: {cause.strerror}",
            hint="Choose another port (FAIRLEAD_PORT, or --port); 0 takes a free one.",
        ) from cause
    return listening
