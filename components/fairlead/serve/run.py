"""The app on uvicorn alone: for tests, benchmarks, and a laptop that needs no Bento."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from fairlead.errors import ServiceError
from fairlead.serve.app import App
from fairlead.serve.loading import load

logger = logging.getLogger("fairlead.serve")


def run(folder: Path, *, host: str = "127.0.0.1", port: int = 3000, drain_seconds: float = 0.0) -> None:
    """Serve the model in *folder* until the process is told to stop.

    Probes are answered at once, predictions as soon as the model is loaded and warmed.

    Args: folder: See :mod:`fairlead.serve.loading`. host: Address to listen on. port: 0 takes a free one; the
        log says which. drain_seconds: How long requests are still taken after SIGTERM, with ``/readyz`` at
        503. A second signal ends it.

    Raises:
        ServiceError: The port cannot be had.
        FairleadError: The model cannot be loaded, see :func:`fairlead.serve.loading.load`.
    """
    listening = _listen(host, port)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after an orderly shutdown
        asyncio.run(_serve(folder, listening, drain_seconds))


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named: without it an answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as cause:
        listening.close()
        raise ServiceError(
            f"cannot listen on {host}:{port}: {cause.strerror}",
            hint="Choose another port with --port; 0 takes a free one.",
        ) from cause
    return listening


async def _serve(folder: Path, listening: socket.socket, drain_seconds: float) -> None:
    app = App()
    # No lifespan: the app is told what it needs to know by attach() and drain().
    config = uvicorn.Config(app, lifespan="off", access_log=False, log_config=None, ws="none")
    server = _Server(config, app, drain_seconds)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        app.attach(model := await asyncio.to_thread(load, folder))
    except BaseException:
        server.should_exit = True
        await serving
        raise
    host, port = listening.getsockname()[:2]
    logger.info("serving %s %s (%s) on http://%s:%d", model.name, model.version, model.format, host, port)
    await serving


class _Server(uvicorn.Server):
    """Takes requests for a while after the first signal, so that whoever routes them can notice."""

    def __init__(self, config: uvicorn.Config, app: App, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds
        self._told = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for SIGINT and SIGTERM."""
        self._app.drain()
        stop = super().handle_exit
        if self._told or self._drain_seconds <= 0 or sig == signal.SIGINT:
            stop(sig, frame)
        else:
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._drain_seconds, stop, sig, frame)
        self._told = True
