"""The raw ASGI application: exact paths, probes, limits, and an answer to everything that can go wrong.

==========================================  ===========================================================
``POST /predict``                           named rows (:mod:`fairlead.serve.predict`)
``/v2…``                                    Open Inference Protocol (:mod:`fairlead.serve.v2`)
``GET /livez``                              200 while the process runs
``GET /readyz``                             200 from the warmed model to the begin of shutdown, else 503
``GET /metrics``                            Prometheus text (:mod:`fairlead.serve.metrics`)
==========================================  ===========================================================

Every answer carries ``X-Request-ID``: the client's own, or a new one. There is no framework because, beside a
model that answers in microseconds, a framework would be most of the cost of a request.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass

from fairlead.serve.http import (
    Answer,
    Disconnected,
    Handler,
    Header,
    Limits,
    Receive,
    Refused,
    Scope,
    Send,
    check_is_json,
    header,
    json_answer,
    read_body,
)  # fmt: skip
from fairlead.serve.loading import LoadedModel
from fairlead.serve.metrics import CONTENT_TYPE, Metrics
from fairlead.serve.predict import Predictor
from fairlead.serve.v2 import ModelProtocol

logger = logging.getLogger("fairlead.serve")

INLINE_BYTES = 65_536
"""A body up to this size (some 150 rows) is answered in the event loop, where a thread would cost more than
the work. A larger one is answered in a thread, so that probes and small requests need not wait for it."""

_GIVEN_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Route:
    """One path: its name in the metrics, and who answers which method."""

    name: str
    get: Handler | None = None
    post: Handler | None = None

    @property
    def allow(self) -> bytes:
        """The value of an Allow header."""
        return b"GET, HEAD" if self.get is not None else b"POST"


class App:
    """An ASGI application that answers for one model, once it has one."""

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self.metrics = Metrics()
        self._limits = limits
        self._model: LoadedModel | None = None
        self._draining = False
        self._routes = self._fixed_routes()
        self._ids = (f"{secrets.token_hex(6)}-{number:x}".encode() for number in itertools.count())

    # ------------------------------------------------------------------------------------------ life

    @property
    def ready(self) -> bool:
        """Whether traffic should be sent here."""
        return self._model is not None and not self._draining

    def attach(self, model: LoadedModel) -> None:
        """Begin to answer for *model*, which is loaded and warmed."""
        self._routes = self._fixed_routes() | _model_routes(model, self._limits)
        self._model = model
        self.metrics.model = {
            "name": model.name, "version": model.version, "digest": model.digest, "format": model.format,
        }  # fmt: skip

    def drain(self) -> None:
        """Say "not ready" from now on; requests that still come are answered."""
        self._draining = True

    # --------------------------------------------------------------------------------------- requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request. Other kinds of connection are not taken up."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        headers: list[Header] = scope["headers"]
        identity = self._identity(headers)
        route = self._routes.get(scope["path"])
        self.metrics.in_flight += 1
        try:
            answer = await self._answer(route, scope, receive)
        except Refused as refusal:
            answer = refusal.answer()
        except Disconnected:
            answer = Answer(499, b"")  # nobody reads it; the counters do
        except Exception:
            logger.exception("request %s to %s failed", identity.decode(), scope["path"])
            answer = json_answer({"error": "internal error", "request_id": identity.decode()}, status=500)
        finally:
            self.metrics.in_flight -= 1
        self.metrics.observe(
            route.name if route else "(unknown)", answer.status, time.perf_counter() - started
        )
        if answer.rows or answer.failures:
            self.metrics.count_rows(answer.rows, answer.failures)
        if answer.status != 499:
            await _send(answer, identity, send, with_body=scope["method"] != "HEAD")

    async def _answer(self, route: Route | None, scope: Scope, receive: Receive) -> Answer:
        if route is None:
            raise self._not_found(scope["path"])
        method = scope["method"]
        if method == "POST" and route.post is not None:
            check_is_json(scope["headers"])
            body = await read_body(scope["headers"], receive, self._limits)
            if len(body) > INLINE_BYTES:
                return await asyncio.to_thread(route.post, body)
            return route.post(body)
        if method in ("GET", "HEAD") and route.get is not None:
            return route.get(b"")
        allow = route.allow
        raise Refused(
            405, f"{method} is not allowed here, only {allow.decode()}", headers=((b"allow", allow),)
        )

    def _identity(self, headers: Iterable[Header]) -> bytes:
        given = header(headers, b"x-request-id")
        return given if given is not None and _GIVEN_ID.fullmatch(given) else next(self._ids)

    def _not_found(self, path: str) -> Refused:
        if not path.startswith("/v2/models/"):
            return Refused(404, f"there is nothing at {path[:100]}", routes=sorted(self._routes))
        if self._model is None:
            return _loading()
        return Refused(
            404, f"no model answers at {path[:100]}; this is {self._model.name} {self._model.version}"
        )

    # ----------------------------------------------------------------------------------------- routes

    def _fixed_routes(self) -> dict[str, Route]:
        """The routes there are with and without a model."""
        live = {"live": True}
        server = Route("/v2", lambda _: json_answer({"name": "fairlead", "version": "2", "extensions": []}))
        return {
            "/livez": Route("/livez", lambda _: json_answer(live)),
            "/readyz": Route("/readyz", self._readiness),
            "/metrics": Route("/metrics", self._metrics),
            "/predict": Route("/predict", post=_not_yet),
            "/v2": server,
            "/v2/": server,
            "/v2/health/live": Route("/v2/health/live", lambda _: json_answer(live)),
            "/v2/health/ready": Route("/v2/health/ready", self._readiness),
        }

    def _readiness(self, _body: bytes) -> Answer:
        if self.ready:
            return json_answer({"ready": True})
        why = "shutting down" if self._draining else "the model is loading"
        return json_answer({"ready": False, "reason": why}, status=503)

    def _metrics(self, _body: bytes) -> Answer:
        self.metrics.ready = self.ready
        return Answer(200, self.metrics.render(), content_type=CONTENT_TYPE)


def _model_routes(model: LoadedModel, limits: Limits) -> dict[str, Route]:
    protocol = ModelProtocol(model, limits)
    ready = {"name": model.name, "ready": True}
    routes = {"/predict": Route("/predict", post=Predictor(model, limits))}
    for base in (f"/v2/models/{model.name}", f"/v2/models/{model.name}/versions/{model.version}"):
        routes[base] = Route("/v2/models/{name}", protocol.metadata)
        routes[f"{base}/ready"] = Route("/v2/models/{name}/ready", lambda _: json_answer(ready))
        routes[f"{base}/infer"] = Route("/v2/models/{name}/infer", post=protocol.infer)
    return routes


def _loading() -> Refused:
    return Refused(503, "the model is loading", headers=((b"retry-after", b"1"),))


def _not_yet(_body: bytes) -> Answer:
    raise _loading()


async def _send(answer: Answer, identity: bytes, send: Send, *, with_body: bool) -> None:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", identity),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
