"""The same app inside BentoML: which paths are whose, and what BentoML describes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}
SERVICE = """\
from pathlib import Path

from fairlead.serve.service import service_of

svc = service_of(Path(__file__).resolve().parent / "bundle")
"""


@pytest.fixture(scope="module")
def bento(fraud_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of ``bentoml serve``."""
    source = tmp_path_factory.mktemp("bento")
    shutil.copytree(fraud_folder, source / "bundle")
    (source / "service.py").write_text(SERVICE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"BENTOML_HOME": str(source / "home"), "BENTOML_DO_NOT_TRACK": "true"}
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        "service:svc",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    log = source / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=source, env=environment, stdout=output, stderr=output)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            try:
                _wait_until_ready(client, process, log)
                yield client
            finally:
                process.terminate()
                process.wait(timeout=30)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"the Bento did not become ready:\n{log.read_text()}")


OURS = {"/livez": {"live": True}, "/readyz": {"ready": True}, "/v2/health/ready": {"ready": True},
        "/v2": {"name": "fairlead", "version": "2", "extensions": []}}  # fmt: skip


@pytest.mark.parametrize(("path", "content"), OURS.items(), ids=OURS)
def test_our_paths_are_answered_by_the_app(bento: httpx.Client, path: str, content: Any) -> None:
    response = bento.get(path)
    assert (response.status_code, response.json()) == (200, content)


def test_predictions_are_those_of_the_plain_server(bento: httpx.Client, fraud: httpx.Client) -> None:
    request = {"rows": [ROW, ROW | {"amount": 1}]}
    assert bento.post("/predict", json=request).json() == fraud.post("/predict", json=request).json()


def test_mistakes_are_told_by_field(bento: httpx.Client) -> None:
    response = bento.post("/predict", json={"rows": [ROW | {"amount": -1}]})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "amount")


def test_the_open_inference_protocol_is_spoken(bento: httpx.Client) -> None:
    assert bento.get("/v2/models/fraud").json()["platform"] == "onnx_onnxv1"


def test_metrics_are_ours(bento: httpx.Client) -> None:
    assert "fairlead_model_info{" in bento.get("/metrics").text


def test_the_page_that_loads_scripts_from_other_hosts_is_not_served(bento: httpx.Client) -> None:
    assert bento.get("/").status_code == 404


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


def test_the_clients_of_bentoml_are_answered(bento: httpx.Client) -> None:
    import bentoml

    with bentoml.SyncHTTPClient(str(bento.base_url)) as client:
        answer = client.predict(rows=[ROW])
    assert answer == bento.post("/predict", json={"rows": [ROW]}).json()
