"""The app in a Bento: a lane of its own, and what BentoML describes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.servers import Bento

ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}


@pytest.fixture(scope="module")
def served(fraud_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bento]:
    bento = Bento(fraud_folder, tmp_path_factory.mktemp("bento"))
    yield bento
    bento.stop()
    bento.kill()


@pytest.fixture(scope="module")
def lane(served: Bento) -> Iterator[httpx.Client]:
    """Where requests come in."""
    with httpx.Client(base_url=served.url, timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def bento(served: Bento) -> Iterator[httpx.Client]:
    """BentoML's own port."""
    with httpx.Client(base_url=served.own_url, timeout=10) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "content"),
    [("/livez", {"live": True}), ("/readyz", {"ready": True}), ("/v2/health/ready", {"ready": True})],
)
def test_the_lane_answers_probes(lane: httpx.Client, path: str, content: Any) -> None:
    response = lane.get(path)
    assert (response.status_code, response.json()) == (200, content)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_bentomls_own_probes_are_answered_too(bento: httpx.Client, path: str) -> None:
    assert bento.get(path).status_code == 200


def test_predictions_are_those_of_the_plain_server(lane: httpx.Client, fraud: httpx.Client) -> None:
    request = {"rows": [ROW, ROW | {"amount": 1}]}
    assert lane.post("/predict", json=request).json() == fraud.post("/predict", json=request).json()


def test_mistakes_are_told_by_field(lane: httpx.Client) -> None:
    response = lane.post("/predict", json={"rows": [ROW | {"amount": -1}]})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "amount")


def test_the_open_inference_protocol_is_spoken(lane: httpx.Client) -> None:
    assert lane.get("/v2/models/fraud").json()["platform"] == "onnx_onnxv1"


def test_metrics_are_ours(lane: httpx.Client) -> None:
    assert "fairlead_model_info{" in lane.get("/metrics").text


def test_bentoml_describes_the_fields_of_a_row(bento: httpx.Client) -> None:
    [route] = bento.get("/schema.json").json()["routes"]
    row = route["input"]["properties"]["rows"]["items"]
    assert route["route"] == "/predict"
    assert row["required"] == ["amount", "abroad", "country", "channel", "at"]
    assert row["properties"]["amount"] == {
        "title": "Amount", "type": "number", "description": "number, EUR",
        "minimum": 0.0, "maximum": 10_000.0,
    }  # fmt: skip
    assert row["properties"]["channel"]["enum"] == ["app", "shop"]


def test_bentoml_describes_the_answer(bento: httpx.Client) -> None:
    [route] = bento.get("/schema.json").json()["routes"]
    assert set(route["output"]["properties"]) == {"model", "version", "predictions"}


def test_the_clients_of_bentoml_are_answered(bento: httpx.Client, lane: httpx.Client) -> None:
    import bentoml

    with bentoml.SyncHTTPClient(str(bento.base_url)) as client:
        answer = client.predict(rows=[ROW])
    assert answer == lane.post("/predict", json={"rows": [ROW]}).json()
