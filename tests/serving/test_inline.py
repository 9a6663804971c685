"""The app's answers at once are those it gives by ASGI, header by header, and count in the same way."""

from __future__ import annotations

import asyncio
import inspect
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from tests.serving.conftest import ROW

from fairlead.serve.app import App
from fairlead.serve.assembly import Assembly
from fairlead.serve.guards.admission import INLINE_BYTES
from fairlead.serve.http import Answer, Limits, Request, Route
from fairlead.serve.loading import LoadedModel, load
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.routes import routes_of

GOOD = orjson.dumps({"rows": [ROW]})


@pytest.fixture(scope="module")
def model(fraud_folder: Path) -> LoadedModel:
    return load(fraud_folder)


def app_for(model: LoadedModel, settings: dict[str, str] | None = None) -> App:
    assembly = Assembly(settings or {})
    asyncio.run(assembly.attach(model))
    return assembly.app


def at_once(
    app: App, method: str, path: str, content: bytes = b"", headers: Any = (), age: float = 0.0
) -> httpx.Response | None:
    """What is written, read by httpx's own parser; None where the app leaves it to ASGI."""
    written: list[bytes] = []
    sent = [(name.lower().encode(), value.encode()) for name, value in headers]
    taken = app.inline(
        method.encode(), path.encode(), sent, content, time.perf_counter() - age, written.append
    )
    assert taken == bool(written)
    if not taken:
        return None
    head, _, body = b"".join(written).partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    fields = [tuple(line.split(b": ", 1)) for line in lines]
    return httpx.Response(int(status.split(b" ")[1]), headers=fields, content=body)  # type: ignore[arg-type]


def by_asgi(app: App, method: str, path: str, content: bytes = b"", headers: Any = ()) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.request(method, path, content=content, headers=list(headers))

    return asyncio.run(once())


def counts(app: App) -> list[bytes]:
    """A scrape, but for the memory in use."""
    return [line for line in app.metrics.render()[0].splitlines() if b"resident_memory" not in line]


ASKED = {
    "a prediction": ("POST", "/predict", GOOD, [], {}),
    "a prediction with a name": ("POST", "/predict", GOOD, [("x-request-id", "mine")], {}),
    "a name that is not fit for a header": ("POST", "/predict", GOOD, [("x-request-id", "a\tb")], {}),
    "no JSON": ("POST", "/predict", b"{", [], {}),
    "a row that breaks the schema": ("POST", "/predict", b'{"rows": [{}]}', [], {}),
    "another type of content": ("POST", "/predict", GOOD, [("content-type", "text/csv")], {}),
    "packed content": ("POST", "/predict", GOOD, [("content-encoding", "gzip")], {}),
    "V2 metadata": ("GET", "/v2/models/fraud", b"", [], {}),
    "liveness": ("GET", "/livez", b"", [], {}),
    "no credential": ("POST", "/predict", GOOD, [], {"FAIRLEAD_KEYS_FILE": "keys"}),
    "a page of another site": (
        "POST", "/predict", GOOD, [("origin", "https://a.example")], {"FAIRLEAD_CORS_ORIGINS": "https://a.example"}),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "content", "headers", "settings"), ASKED.values(), ids=ASKED)
def test_an_answer_at_once_is_the_answer_by_asgi(
    model: LoadedModel, tmp_path: Path, method: str, path: str, content: bytes, headers: Any, settings: Any
) -> None:
    if "FAIRLEAD_KEYS_FILE" in settings:
        (tmp_path / "keys").write_text("shop: sha256:" + "0" * 64 + "\n")
        settings = {"FAIRLEAD_KEYS_FILE": str(tmp_path / "keys")}
    app = app_for(model, settings)
    quick, slow = at_once(app, method, path, content, headers), by_asgi(app, method, path, content, headers)
    assert quick is not None
    assert (quick.status_code, quick.content) == (slow.status_code, slow.content)
    ours, theirs = dict(quick.headers), dict(slow.headers)
    if "mine" not in ours.values():
        assert ours.pop("x-request-id") != theirs.pop("x-request-id")
    assert ours == theirs


LEFT = {
    "a path that is not known": ("GET", "/nowhere", b""),
    "a query": ("GET", "/livez?x=1", b""),
    "an escaped path": ("GET", "/%6Civez", b""),
    "another method": ("PUT", "/predict", GOOD),
    "a head": ("HEAD", "/livez", b""),
    "an explanation, which is made in a thread": ("POST", "/explain", GOOD),
    "a body that is answered in a thread": ("POST", "/predict", b" " * (INLINE_BYTES + 1)),
}


@pytest.mark.parametrize(("method", "path", "content"), LEFT.values(), ids=LEFT)
def test_what_is_left_to_asgi_leaves_no_trace(
    model: LoadedModel, method: str, path: str, content: bytes
) -> None:
    app = app_for(model)
    before = counts(app)
    assert at_once(app, method, path, content) is None
    assert counts(app) == before


def test_a_body_beyond_the_limit_is_left_to_asgi_which_ends_the_connection() -> None:
    app = App(Metrics(), limits=Limits(body_bytes=100))
    assert at_once(app, "POST", "/predict", b"x" * 101) is None


def test_what_waited_too_long_is_refused(model: LoadedModel) -> None:
    refused = at_once(app_for(model), "POST", "/predict", GOOD, age=2.5)
    assert refused is not None
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


def test_a_probe_is_answered_however_long_it_waited(model: LoadedModel) -> None:
    answered = at_once(app_for(model), "GET", "/livez", age=60.0)
    assert answered is not None
    assert answered.status_code == 200


def raises(_request: Request) -> Answer:
    raise SystemExit(3)


async def waits(_request: Request) -> Answer:
    return Answer(200, b"late")


@pytest.mark.filterwarnings("ignore:coroutine 'waits' was never awaited")
@pytest.mark.parametrize("handler", [raises, waits], ids=["an exit", "one that waits and does not say so"])
def test_a_handler_that_breaks_is_answered_500_and_logged(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(Metrics())
    app.attach("broken 1", {"/predict": Route("/predict", post=handler)})
    answered = at_once(app, "POST", "/predict", b"{}")
    assert answered is not None
    assert answered.json() == {"error": "internal error", "request_id": answered.headers["x-request-id"]}
    assert "to /predict failed" in caplog.text


def test_every_handler_that_waits_says_so(model: LoadedModel) -> None:
    routes = routes_of(model, Limits(), App(Metrics()), apis=frozenset({"graphql"}))
    waiting = {
        path
        for path, route in routes.items()
        if any(inspect.iscoroutinefunction(getattr(h, "__call__", h)) for h in (route.get, route.post) if h)  # noqa: B004
    }
    assert waiting == {path for path, route in routes.items() if route.waits} == {"/explain", "/graphql"}
