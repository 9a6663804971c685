"""A small router before two slots on a laptop: shares requests by weight, or keeps a caller at one version by a key.

    python -m fairlead.adapters.local_router ROUTES_JSON --port 8080

It does what a gateway does in a cluster, for one model and some thousand requests a second. Weights and addresses come from a
file that is looked at ten times a second. A request with ``X-Fairlead-Key`` always goes to the same slot while weights stay, and
moves at most once while they rise. Only a request that could not be sent at all is given to another process: what was sent may
have been worked on, and is never sent twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

LOOK_SECONDS = 0.1
"""So often the file is looked at."""
KEY = "X-Fairlead-Key"
SLOT = "X-Fairlead-Slot"
"""Header of each answer: who gave it."""
LARGEST = 64 << 20
"""Bytes of a body; what a model takes is less, and says so itself."""
SECONDS = 60.0
"""For an answer."""
KEEP_ALIVE = 30.0
"""Seconds that an idle connection to a model is kept: less than the model keeps it, so that none is closed under a request."""
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
                         "transfer-encoding", "upgrade", "host", "content-length"})  # fmt: skip
"""Of one connection only (RFC 9110, section 7.6.1), or made anew."""


@dataclass(frozen=True)
class Routes:
    """Where requests go."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """Slot to its share in percent."""
    pods: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Slot to the ports of its ready processes."""

    def slots(self, point: float) -> list[str]:
        """The slot for a *point* from 0 to 1, then the others that have processes, if that one has none any more.

        Slots are laid out in one order, so a point changes its slot at most once while a weight rises.

        >>> Routes({"blue": 90.0, "green": 10.0}, {"blue": [1], "green": [2]}).slots(0.95)
        ['green', 'blue']
        """
        reached, chosen = 0.0, ""
        for slot, weight in sorted(self.weights.items()):
            reached += weight / 100
            if weight and (point < reached or not chosen):
                chosen = slot
                if point < reached:
                    break
        order = [chosen, *(slot for slot in sorted(self.weights) if slot != chosen)]
        return [slot for slot in order if self.pods.get(slot)]


def point_of(key: str | None) -> float:
    """From 0 to 1: the same for the same key, and by chance without one.

    >>> point_of("customer-7") == point_of("customer-7"), 0 <= point_of(None) < 1
    (True, True)
    """
    if key is None:
        return random.random()  # noqa: S311 - a share of traffic is no secret
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / 2**56


class Router:
    """Forwards requests by the routes in a file."""

    def __init__(self, file: Path) -> None:
        """Follow *file*, as soon as it is there."""
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._turn = 0
        self.routes = Routes()

    def look(self) -> None:
        """Read the file if it has changed."""
        with contextlib.suppress(OSError, ValueError):
            state = self._file.stat()
            now = (state.st_mtime_ns, state.st_ino)
            if now != self._seen:
                told = json.loads(self._file.read_text(encoding="utf-8"))
                self.routes, self._seen = Routes(told["weights"], told["pods"]), now

    async def forward(self, request: web.Request) -> web.Response:
        """Answer with what a slot answers."""
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        for slot in self.routes.slots(point_of(request.headers.get(KEY))):
            for port in self._in_turn(slot):
                with contextlib.suppress(aiohttp.ClientConnectorError):
                    return await self._ask(request, slot, port, body, headers)
        return web.json_response({"error": "no model is ready"}, status=503, headers={"Retry-After": "1"})

    def _in_turn(self, slot: str) -> list[int]:
        """The processes of a slot, each time another one first."""
        ports = list(self.routes.pods.get(slot, ()))
        self._turn += 1
        cut = self._turn % len(ports) if ports else 0
        return ports[cut:] + ports[:cut]

    async def _ask(
        self, request: web.Request, slot: str, port: int, body: bytes, headers: Mapping[str, str]
    ) -> web.Response:
        session = request.app[_SESSION]
        url = URL(f"http://127.0.0.1:{port}{request.raw_path}", encoded=True)  # as it came, byte by byte
        try:
            async with session.request(
                request.method, url, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                content = await answer.read()
                passed = [
                    (name, value) for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
                ]
                response = web.Response(status=answer.status, body=content)
                response.headers.clear()
                response.headers.extend(passed)
        except aiohttp.ClientConnectorError:
            raise
        except TimeoutError:
            response = web.json_response({"error": f"no answer within {SECONDS:g} s"}, status=504)
        except aiohttp.ClientError as cause:
            response = web.json_response(
                {"error": f"the model broke off: {type(cause).__name__}"}, status=502
            )
        response.headers[SLOT] = slot
        return response


_SESSION: web.AppKey[aiohttp.ClientSession] = web.AppKey("session", aiohttp.ClientSession)


def app_of(router: Router) -> web.Application:
    """The application: every path of every method is forwarded."""
    app = web.Application(client_max_size=LARGEST)
    app.router.add_route("*", "/{path:.*}", router.forward)
    app.cleanup_ctx.append(_session)
    app.cleanup_ctx.append(lambda _: _looking(router))
    return app


async def _session(app: web.Application) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        app[_SESSION] = session
        yield


async def _looking(router: Router) -> AsyncIterator[None]:
    async def look_on() -> None:
        while True:
            router.look()
            await asyncio.sleep(LOOK_SECONDS)

    task = asyncio.create_task(look_on())
    yield
    task.cancel()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m fairlead.adapters.local_router")
    parser.add_argument("routes", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    given = parser.parse_args()
    web.run_app(app_of(Router(given.routes)), host=given.host, port=given.port, access_log=None, print=None,
                keepalive_timeout=75, shutdown_timeout=10)  # fmt: skip


if __name__ == "__main__":
    main()
