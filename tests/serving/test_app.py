"""What the app says about itself: probes, counters, and what it keeps to itself when it fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from fairlead.serve.app import App
from fairlead.serve.http import Limits
from fairlead.serve.loading import LoadedModel, load
from fairlead.serve.metrics import Metrics

ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}


@pytest.fixture(scope="module")
def model(fraud_folder: Path) -> LoadedModel:
    return load(fraud_folder)


def ask(app: App, method: str, path: str, content: Any = None) -> httpx.Response:
    """One request to the app itself, without a socket."""

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.request(
                method, path, content=None if content is None else orjson.dumps(content)
            )

    return asyncio.run(once())


def series(text: str) -> dict[str, float]:
    """Prometheus text as series to value; fails on a line that is neither comment nor sample."""
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    parsed = [re.fullmatch(r"([a-z_]+(?:\{(?:[a-z]+=\"[^\"]*\",?)+\})?) (\S+)", line) for line in samples]
    assert all(parsed)
    return {match[1]: float(match[2]) for match in parsed if match}


def counted(app: App) -> dict[str, float]:
    return series(ask(app, "GET", "/metrics").text)


# --------------------------------------------------------------------------------------------------- life


UNREADY = [("GET", "/readyz"), ("GET", "/v2/health/ready"),
           ("POST", "/predict"), ("POST", "/v2/models/fraud/infer"),
           ("GET", "/v2/models/fraud/ready")]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), UNREADY)
def test_before_the_model_is_loaded_nothing_is_ready(method: str, path: str) -> None:
    content = {"rows": [ROW]} if method == "POST" else None
    assert ask(App(), method, path, content).status_code == 503


def test_before_the_model_is_loaded_a_client_is_told_to_come_back() -> None:
    response = ask(App(), "POST", "/predict", {"rows": [ROW]})
    assert (response.json(), response.headers["retry-after"]) == ({"error": "the model is loading"}, "1")


@pytest.mark.parametrize("path", ["/livez", "/v2/health/live", "/metrics"])
def test_before_the_model_is_loaded_the_process_is_alive(path: str) -> None:
    assert ask(App(), "GET", path).status_code == 200


def test_with_a_model_the_app_is_ready(model: LoadedModel) -> None:
    app = App()
    app.attach(model)
    assert ask(app, "GET", "/readyz").json() == {"ready": True}


def test_a_draining_app_is_not_ready_but_still_answers(model: LoadedModel) -> None:
    app = App()
    app.attach(model)
    app.drain()
    readiness = ask(app, "GET", "/readyz")
    assert (readiness.status_code, readiness.json()) == (503, {"ready": False, "reason": "shutting down"})
    assert ask(app, "POST", "/predict", {"rows": [ROW]}).status_code == 200


# ------------------------------------------------------------------------------------------------- counters


def test_answers_are_counted_by_route_and_status(model: LoadedModel) -> None:
    app = App()
    app.attach(model)
    asked: list[list[dict[str, Any]]] = [[ROW, ROW], [ROW], [{}]]
    for rows in asked:
        ask(app, "POST", "/predict", {"rows": rows})
    ask(app, "GET", f"/v2/models/fraud/versions/{model.version}")
    ask(app, "GET", "/secret-4711")
    counts = counted(app)
    assert counts['fairlead_requests_total{route="/predict",code="200"}'] == 2
    assert counts['fairlead_requests_total{route="/predict",code="422"}'] == 1
    assert counts['fairlead_requests_total{route="/v2/models/{name}",code="200"}'] == 1
    assert counts['fairlead_requests_total{route="(unknown)",code="404"}'] == 1
    assert counts["fairlead_rows_total"] == 3


def test_failures_are_counted_by_field_and_invented_fields_make_no_series(model: LoadedModel) -> None:
    app = App()
    app.attach(model)
    ask(app, "POST", "/predict", {"rows": [ROW | {"amount": -1, "x1": 1, "x2": 1}, ROW | {"amount": -2}]})
    failures = {name: count for name, count in counted(app).items() if "validation" in name}
    assert failures == {
        'fairlead_validation_failures_total{field="amount"}': 2,
        'fairlead_validation_failures_total{field="(unknown)"}': 2,
    }


def test_the_model_is_named_with_its_digest(model: LoadedModel) -> None:
    app = App()
    app.attach(model)
    labels = f'name="fraud",version="{model.version}",digest="{model.digest}",format="onnx"'
    assert counted(app)[f"fairlead_model_info{{{labels}}}"] == 1
    assert counted(app)["fairlead_ready"] == 1


def test_the_scrape_itself_is_in_flight() -> None:
    app = App()
    assert counted(app)["fairlead_requests_in_flight"] == 1
    assert app.metrics.in_flight == 0


def test_restarts_can_be_told_by_the_start_time() -> None:
    assert counted(App())["process_start_time_seconds"] > 1.7e9


def bucket_counts(counts: dict[str, float]) -> Iterable[float]:
    return [count for name, count in counts.items() if name.startswith("fairlead_request_seconds_bucket")]


def test_latency_buckets_are_cumulative() -> None:
    metrics = Metrics()
    for seconds in (0.0004, 0.0005, 0.03, 100.0):
        metrics.observe("/predict", 200, seconds)
    counts = series(metrics.render().decode())
    assert bucket_counts(counts) == [2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4]
    assert counts['fairlead_request_seconds_count{route="/predict"}'] == 4
    assert counts['fairlead_request_seconds_sum{route="/predict"}'] == pytest.approx(100.0309)


def test_latency_is_that_of_answers_and_not_of_refusals() -> None:
    metrics = Metrics()
    metrics.observe("/predict", 422, 0.1)
    assert bucket_counts(series(metrics.render().decode())) == []


def test_errors_are_answers_from_500_up() -> None:
    metrics = Metrics()
    for status in (200, 404, 500, 503):
        metrics.observe("/predict", status, 0.1)
    assert series(metrics.render().decode())['fairlead_errors_total{route="/predict"}'] == 2


def test_labels_are_escaped() -> None:
    metrics = Metrics()
    metrics.count_rows(0, {'a"b\\c\nd': 1})
    assert r'{field="a\"b\\c\nd"} 1' in metrics.render().decode()


def test_the_text_says_its_format(fraud: httpx.Client) -> None:
    assert fraud.get("/metrics").headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


# ------------------------------------------------------------------------------------------------- failures


class Failing:
    """A model whose library fails while it answers."""

    def __init__(self, model: LoadedModel) -> None:
        self.__dict__ |= vars(model)

    def answers(self, batch: Any) -> Any:
        raise RuntimeError("secret: /models/fraud at 0x7f")


@pytest.fixture
def failing(model: LoadedModel) -> App:
    app = App()
    broken: Any = Failing(model)
    del broken.__dict__["answers"]
    app.attach(broken)
    return app


def test_a_failure_tells_the_client_nothing_but_the_request_id(failing: App) -> None:
    response = ask(failing, "POST", "/predict", {"rows": [ROW]})
    assert response.status_code == 500
    assert response.json() == {"error": "internal error", "request_id": response.headers["x-request-id"]}


def test_a_failure_is_logged_with_its_cause_and_the_request_id(
    failing: App, caplog: pytest.LogCaptureFixture
) -> None:
    response = ask(failing, "POST", "/predict", {"rows": [ROW]})
    assert response.headers["x-request-id"] in caplog.text
    assert "RuntimeError: secret" in caplog.text


def test_a_failure_is_counted_as_an_error(failing: App) -> None:
    ask(failing, "POST", "/predict", {"rows": [ROW]})
    assert counted(failing)['fairlead_errors_total{route="/predict"}'] == 1


# --------------------------------------------------------------------------------- limits without a socket


def drive(app: App, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What the app sends for a POST to /predict whose body comes in these messages and never goes on."""
    sent: list[dict[str, Any]] = []
    coming = list(messages)

    async def receive() -> Any:
        if not coming:
            await asyncio.Event().wait()
        return coming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": "POST", "path": "/predict", "headers": []}, receive, send))
    return sent


def test_a_body_that_does_not_come_is_not_waited_for_for_ever(model: LoadedModel) -> None:
    app = App(Limits(body_seconds=0.05))
    app.attach(model)
    start, body = drive(app, {"type": "http.request", "body": b"{", "more_body": True})
    assert start["status"] == 408
    assert orjson.loads(body["body"]) == {"error": "the body did not come within 0.05 s"}


def test_a_client_that_goes_away_is_not_answered_but_counted(model: LoadedModel) -> None:
    app = App()
    app.attach(model)
    assert drive(app, {"type": "http.disconnect"}) == []
    assert counted(app)['fairlead_requests_total{route="/predict",code="499"}'] == 1


def test_a_large_body_is_answered_outside_the_event_loop(model: LoadedModel) -> None:
    """While a large batch is scored, a probe is answered."""
    app = App()
    app.attach(model)
    rows = {"rows": [ROW] * 8000}

    async def both() -> list[str]:
        order: list[str] = []
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:

            async def batch() -> None:
                assert (await client.post("/predict", content=orjson.dumps(rows))).status_code == 200
                order.append("batch")

            async def probe() -> None:
                await asyncio.sleep(0.01)
                assert (await client.get("/livez")).status_code == 200
                order.append("probe")

            await asyncio.gather(batch(), probe())
        return order

    assert asyncio.run(both()) == ["probe", "batch"]
