"""The raw ASGI application: exact paths, probes, limits, and an answer to everything that can go wrong.

==========================================  ===========================================================
``GET /livez``                              200 while the process runs
``GET /readyz``                             200 from the warmed model to the begin of shutdown, else 503
``GET /metrics``                            Prometheus text (:mod:`fairlead.serve.metrics.registry`)
``GET /v2``, ``/v2/health/…``               Open Inference Protocol, as far as it needs no model
everything else                             what :meth:`App.attach` is given (:mod:`fairlead.serve.routes`)
==========================================  ===========================================================

Every answer carries ``X-Request-ID``: the client's own, or a new one. There is no framework because, beside a
model that answers in microseconds, a framework would be most of the cost of a request.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairlead.serve.environment import Environment
from fairlead.serve.guards.admission import INLINE_BYTES
from fairlead.serve.guards.guards import Guards
from fairlead.serve.http import (
    Answer,
    Disconnected,
    Handler,
    Header,
    Limits,
    Observer,
    Receive,
    Refused,
    Request,
    Route,
    Scope,
    Send,
    Write,
    check_content,
    headers_of,
    json_answer,
    read_body,
    response_of,
)  # fmt: skip
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.v2 import server_metadata

logger = logging.getLogger("fairlead.serve")

UNKNOWN_ENDPOINT = "(unknown)"
"""How the counters name paths that there are not, since clients can invent any number of them."""

_GIVEN_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What answers one method and path without waiting."""

    path: str
    route: Route
    handler: Handler
    has_body: bool


class App:
    """An ASGI application that answers for one model, once it has one."""

    def __init__(
        self,
        metrics: Metrics,
        guards: Guards | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        """Without *guards* everybody may ask, and the limits of concurrency are the defaults."""
        self.metrics = metrics
        self.guards = guards or Guards.from_environment(Environment({}), metrics)
        self.name = ""
        """The model's name and version; empty until it is loaded."""
        self._limits = limits
        self._loaded = False
        self._draining = False
        self._inline_bytes = min(INLINE_BYTES, limits.body_bytes)
        self._set_routes(self._fixed_routes())
        self._observers: Sequence[Observer] = ()
        self._ids = _identities()

    # ------------------------------------------------------------------------------------------ life

    @property
    def ready(self) -> bool:
        """Whether traffic should be sent here."""
        return self._loaded and not self._draining

    def attach(self, name: str, routes: Mapping[str, Route], observers: Sequence[Observer] = ()) -> None:
        """Begin to answer for a model, which is loaded and warmed; *routes* by their exact paths."""
        self._set_routes(self._fixed_routes() | dict(routes))
        self._observers = observers
        self.name = name
        self._loaded = True
        self.metrics.ready = self.ready

    def drain(self) -> None:
        """Say "not ready" from now on; requests that still come are answered."""
        self._draining = True
        self.metrics.ready = False

    # --------------------------------------------------------------------------------------- requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request. Other kinds of connection are not taken up."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        path = scope["path"]
        known = dict(scope["headers"])
        identity = self.identify(known.get(b"x-request-id"))
        request = Request(b"", scope["headers"], identity.decode(), path)
        route = self._routes.get(path)
        self.metrics.enter()
        try:
            answer = await self._answer(route, request, known, scope, receive)
        except Refused as refusal:
            answer = refusal.answer()
        except Disconnected:
            answer = Answer(499, b"")  # nobody reads it; the counters do
        except (Exception, SystemExit):  # a library's exit must not be the server's
            answer = _broken(request)
        finally:
            self.metrics.leave()
        if answer.status != 499:
            await _send(answer, identity, self._headers(known), send, with_body=scope["method"] != "HEAD")
        self.observe(request, route.name if route else UNKNOWN_ENDPOINT, answer, started)

    def inline(
        self, method: bytes, url: bytes, headers: list[Header], body: bytes, received: float, write: Write
    ) -> bool:
        """Answer a request that needs no waiting, or give False: see :mod:`fairlead.serve.inline`."""
        prompt = self._prompt.get((method, url))
        if prompt is None or len(body) > self._inline_bytes:
            return False
        started = time.perf_counter()
        known = dict(headers)
        identity = self.identify(known.get(b"x-request-id"))
        request = Request(body, headers, identity.decode(), prompt.path)
        self.metrics.enter()
        try:
            answer = self._answer_inline(prompt, request, known, received)
        except Refused as refusal:
            answer = refusal.answer()
        except (Exception, SystemExit):  # a library's exit must not be the server's
            answer = _broken(request)
        finally:
            self.metrics.leave()
        write(response_of(answer, identity, self._headers(known)))
        self.observe(request, prompt.route.name, answer, started)
        return True

    def _answer_inline(
        self, prompt: _Prompt, request: Request, known: Mapping[bytes, bytes], received: float
    ) -> Answer:
        self._admit(request, known)
        if prompt.has_body:
            self._check_age(received)
            check_content(known, prompt.route.types)
        answer = prompt.handler(request)
        if not isinstance(answer, Answer):
            raise TypeError(f"the route {prompt.route.name} waits, and does not say so")
        return answer

    def _headers(self, known: Mapping[bytes, bytes]) -> tuple[Header, ...]:
        """What every answer says beside its own headers."""
        guards = self.guards
        return guards.headers if guards.cors is None else guards.headers + guards.cors.headers(known)

    async def _answer(
        self,
        route: Route | None,
        request: Request,
        known: Mapping[bytes, bytes],
        scope: Scope,
        receive: Receive,
    ) -> Answer:
        method, cors = scope["method"], self.guards.cors
        # A browser's question whether it may ask has no credential, so it comes before access.
        if cors is not None and (answer := cors.preflight(method, known)) is not None:
            return answer
        self._admit(request, known)
        if method == "POST" and "received" in scope:
            self._check_age(scope["received"])
        if route is None:
            raise self._not_found(request.path)
        if method == "POST" and route.post is not None:
            check_content(known, route.types)
            request.body = await read_body(known, receive, self._limits)
            if len(request.body) > INLINE_BYTES:
                answered = await self.guards.admission.run(route.post, request)
            else:
                answered = route.post(request)
        elif method in ("GET", "HEAD") and route.get is not None:
            answered = route.get(request)
        else:
            raise _not_allowed(method, route.allow)
        return answered if isinstance(answered, Answer) else await answered

    def _admit(self, request: Request, known: Mapping[bytes, bytes]) -> None:
        """Say whose request it is, or refuse it."""
        guards = self.guards
        if guards.internal is not None:
            request.route = guards.internal.route_of(known)
        if guards.access is not None:
            request.caller = guards.access.admit(known, request.path, request.route)

    def _check_age(self, received: float) -> None:
        """Refuse what waited too long to be begun."""
        refusal = self.guards.admission.too_old(received, time.perf_counter())
        if refusal is not None:
            raise refusal

    def identify(self, given: bytes | None) -> bytes:
        """The name of a request: the client's own where it is fit for a header, or a new one."""
        return given if given is not None and _GIVEN_ID.fullmatch(given) else next(self._ids)

    def observe(self, request: Request, endpoint: str, answer: Answer, started: float) -> None:
        """Tell the counters, and whoever keeps or compares what was scored."""
        seconds = time.perf_counter() - started
        metrics = self.metrics
        metrics.observe(endpoint, request.route, answer.status, seconds)
        if answer.failures:
            metrics.count_failures(answer.failures)
        scored = answer.scored
        if scored is not None:
            metrics.count_rows(len(scored.answers), request.route)
            metrics.count_answers(request.route, scored.answers)
            if self._observers:
                begun = time.time() - seconds
                for observer in self._observers:
                    observer(request, endpoint, answer, begun, seconds)

    def _not_found(self, path: str) -> Refused:
        if not path.startswith("/v2/models/"):
            return Refused(404, f"there is nothing at {path[:100]}", routes=sorted(self._routes))
        if not self._loaded:
            return _loading()
        return Refused(404, f"no model answers at {path[:100]}; this is {self.name}")

    # ----------------------------------------------------------------------------------------- routes

    def _set_routes(self, routes: Mapping[str, Route]) -> None:
        self._routes = routes
        self._prompt = {
            (method, path.encode()): _Prompt(path, route, handler, has_body=method == b"POST")
            for path, route in routes.items()
            for method, handler in ((b"GET", route.get), (b"POST", route.post))
            if handler is not None and not route.waits
        }

    def _fixed_routes(self) -> dict[str, Route]:
        """The routes there are with and without a model."""
        live = json_answer({"live": True})
        server = Route("/v2", server_metadata)
        return {
            "/livez": Route("/livez", lambda _: live),
            "/readyz": Route("/readyz", self._readiness),
            "/metrics": Route("/metrics", self._metrics),
            "/predict": Route("/predict", post=_not_yet),
            "/v2": server,
            "/v2/": server,
            "/v2/health/live": Route("/v2/health/live", lambda _: live),
            "/v2/health/ready": Route("/v2/health/ready", self._readiness),
        }

    def _readiness(self, _request: Request) -> Answer:
        if self.ready:
            return json_answer({"ready": True})
        why = "shutting down" if self._draining else "the model is loading"
        return json_answer({"ready": False, "reason": why}, status=503)

    def _metrics(self, request: Request) -> Answer:
        body, content_type = self.metrics.render(dict(request.headers).get(b"accept", b""))
        return Answer(200, body, content_type)


def _identities() -> Iterator[bytes]:
    """Names for requests that bring none: unlike those of every other process."""
    ours = secrets.token_hex(6).encode()
    return (b"%s-%x" % (ours, number) for number in itertools.count())


def _not_allowed(method: str, allow: bytes) -> Refused:
    return Refused(405, f"{method} is not allowed here, only {allow.decode()}", headers=((b"allow", allow),))


def _broken(request: Request) -> Answer:
    """What is said of an exception, which is logged."""
    logger.exception("request %s to %s failed", request.identity, request.path)
    return json_answer({"error": "internal error", "request_id": request.identity}, status=500)


def _loading() -> Refused:
    return Refused(503, "the model is loading", headers=((b"retry-after", b"1"),))


def _not_yet(_request: Request) -> Answer:
    raise _loading()


async def _send(
    answer: Answer, identity: bytes, common: tuple[Header, ...], send: Send, *, with_body: bool
) -> None:
    headers = headers_of(answer, identity, common)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
