"""What the app says about itself: probes, counters, and what it keeps to itself when it fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fairlead.serve.app import App
from fairlead.serve.http import Limits
from fairlead.serve.loading import LoadedModel, load
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.routes import routes_of

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


def app_without_a_model(limits: Limits = Limits()) -> App:  # noqa: B008 - frozen
    return App(Metrics(), limits=limits)


def app_for(model: LoadedModel, limits: Limits = Limits()) -> App:  # noqa: B008 - frozen
    """The app as it is put together, without a socket."""
    app = app_without_a_model(limits)
    app.metrics.attach(model)
    app.attach(f"{model.name} {model.version}", routes_of(model, limits, app))
    return app


def ask(app: App, method: str, path: str, content: Any = None) -> httpx.Response:
    """One request to the app itself, without a socket."""

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return await client.request(
                method, path, content=None if content is None else orjson.dumps(content)
            )

    return asyncio.run(once())


def counted(app: App) -> dict[str, float]:
    """A scrape: sample to value. The labels of the process, slot and bundle, are left out."""
    samples = {}
    for family in text_string_to_metric_families(ask(app, "GET", "/metrics").text):
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sample.labels.items() if k not in ("slot", "bundle"))
            samples[f"{sample.name}{{{labels}}}"] = sample.value
    return samples


# --------------------------------------------------------------------------------------------------- life


UNREADY = [("GET", "/readyz"), ("GET", "/v2/health/ready"),
           ("POST", "/predict"), ("POST", "/v2/models/fraud/infer"),
           ("GET", "/v2/models/fraud/ready")]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), UNREADY)
def test_before_the_model_is_loaded_nothing_is_ready(method: str, path: str) -> None:
    content = {"rows": [ROW]} if method == "POST" else None
    assert ask(app_without_a_model(), method, path, content).status_code == 503


def test_before_the_model_is_loaded_a_client_is_told_to_come_back() -> None:
    response = ask(app_without_a_model(), "POST", "/predict", {"rows": [ROW]})
    assert (response.json(), response.headers["retry-after"]) == ({"error": "the model is loading"}, "1")


@pytest.mark.parametrize("path", ["/livez", "/v2/health/live", "/metrics"])
def test_before_the_model_is_loaded_the_process_is_alive(path: str) -> None:
    assert ask(app_without_a_model(), "GET", path).status_code == 200


def test_with_a_model_the_app_is_ready(model: LoadedModel) -> None:
    app = app_for(model)
    assert ask(app, "GET", "/readyz").json() == {"ready": True}


def test_a_draining_app_is_not_ready_but_still_answers(model: LoadedModel) -> None:
    app = app_for(model)
    app.drain()
    readiness = ask(app, "GET", "/readyz")
    assert (readiness.status_code, readiness.json()) == (503, {"ready": False, "reason": "shutting down"})
    assert ask(app, "POST", "/predict", {"rows": [ROW]}).status_code == 200


# ------------------------------------------------------------------------------------------------- counters


def test_answers_are_counted_by_route_and_status(model: LoadedModel) -> None:
    app = app_for(model)
    asked: list[list[dict[str, Any]]] = [[ROW, ROW], [ROW], [{}]]
    for rows in asked:
        ask(app, "POST", "/predict", {"rows": rows})
    ask(app, "GET", f"/v2/models/fraud/versions/{model.version}")
    ask(app, "GET", "/secret-4711")
    counts = counted(app)
    assert counts['fairlead_requests_total{endpoint="/predict",route="live",code="200"}'] == 2
    assert counts['fairlead_requests_total{endpoint="/predict",route="live",code="422"}'] == 1
    assert counts['fairlead_requests_total{endpoint="/v2/models/{name}",route="live",code="200"}'] == 1
    assert counts['fairlead_requests_total{endpoint="(unknown)",route="live",code="404"}'] == 1
    assert counts['fairlead_rows_total{route="live"}'] == 3


def test_failures_are_counted_by_field_and_invented_fields_make_no_series(model: LoadedModel) -> None:
    app = app_for(model)
    ask(app, "POST", "/predict", {"rows": [ROW | {"amount": -1, "x1": 1, "x2": 1}, ROW | {"amount": -2}]})
    failures = {name: count for name, count in counted(app).items() if "validation" in name}
    assert failures == {
        'fairlead_validation_failures_total{field="amount"}': 2,
        'fairlead_validation_failures_total{field="(unknown)"}': 2,
    }


def test_the_model_is_named_with_its_digest(model: LoadedModel) -> None:
    app = app_for(model)
    labels = f'name="fraud",version="{model.version}",digest="{model.digest}",format="onnx"'
    assert counted(app)[f"fairlead_model_info{{{labels}}}"] == 1
    assert counted(app)["fairlead_ready{}"] == 1


def test_the_scrape_itself_is_in_flight() -> None:
    app = app_without_a_model()
    assert [counted(app)["fairlead_requests_in_flight{}"] for _ in range(2)] == [1, 1]


def test_restarts_can_be_told_by_the_start_time() -> None:
    assert counted(app_without_a_model())["process_start_time_seconds{}"] > 1.7e9


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
    broken: Any = Failing(model)
    del broken.__dict__["answers"]
    return app_for(broken)


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
    assert counted(failing)['fairlead_errors_total{endpoint="/predict",route="live"}'] == 1


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
    app = app_for(model, Limits(body_seconds=0.05))
    start, body = drive(app, {"type": "http.request", "body": b"{", "more_body": True})
    assert start["status"] == 408
    assert orjson.loads(body["body"]) == {"error": "the body did not come within 0.05 s"}


def test_a_client_that_goes_away_is_not_answered_but_counted(model: LoadedModel) -> None:
    app = app_for(model)
    assert drive(app, {"type": "http.disconnect"}) == []
    assert counted(app)['fairlead_requests_total{endpoint="/predict",route="live",code="499"}'] == 1


def test_a_large_body_is_answered_outside_the_event_loop(model: LoadedModel) -> None:
    """While a large batch is scored, a probe is answered."""
    app = app_for(model)
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
