"""A server of one model over HTTP and gRPC, for tests: prints the two addresses, then serves until SIGTERM.

SIGUSR1 makes it unready. Without a folder it stays without a model.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from fairlead.serve.app import App
from fairlead.serve.guards.wire import WireLimits, protocol_of
from fairlead.serve.http import Limits, Refused
from fairlead.serve.lane import Lane, LaneSettings
from fairlead.serve.loading import load
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.routes import routes_of
from fairlead.serve.v2 import grpc

LIMITS = Limits(body_bytes=1_000_000, rows=5000)
KEY = b"secret"


def admit(headers: list[tuple[bytes, bytes]], _endpoint: str) -> str:
    """Callers that show a key must show the right one."""
    shown = dict(headers).get(b"x-api-key", KEY)
    if shown != KEY:
        raise Refused(401, "the key is not known")
    return "tester"


async def serve(folder: str | None) -> None:
    told = asyncio.Event()
    app = App(Metrics(), limits=LIMITS)
    lane = Lane(app, LaneSettings(host="127.0.0.1", port=0), protocol_of(WireLimits()))
    await lane.start()
    server = await grpc.start(app, 0, limits=LIMITS, admit=admit)
    if folder is not None:
        model = load(Path(folder))
        app.attach(f"{model.name} {model.version}", routes_of(model, LIMITS, app), [print_scored])
        server.attach(model)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    loop.add_signal_handler(signal.SIGUSR1, app.drain)
    print(lane.address, server.address, flush=True)
    await told.wait()
    await server.stop(5.0)
    await lane.stop()


def print_scored(request, endpoint, answer, at, seconds) -> None:  # type: ignore[no-untyped-def]
    """An observer."""
    if "print" in request.identity:
        rows = list(answer.scored.rows)
        print(endpoint, request.caller, len(answer.scored.answers), rows[0], flush=True)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1] if len(sys.argv) > 1 else None))
