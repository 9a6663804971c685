"""The page at /: complete in itself, closed to others, and working in a real browser."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import uvicorn

from fairlead.schema import Field, Output, Schema
from fairlead.serve.app import App
from fairlead.serve.explain.explainer import Explainer
from fairlead.serve.feedback import Feedback
from fairlead.serve.http import Answer, Limits, Request, Route
from fairlead.serve.loading import LoadedModel, Manifest, load
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.page import handler as page
from fairlead.serve.page.handler import handler_of, render
from fairlead.serve.predict import Predictor

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATHS = ("/explain", "/feedback", "/openapi.json")


@pytest.fixture(scope="module")
def model(fraud_folder: Path) -> LoadedModel:
    return load(fraud_folder)


def known_by(content: bytes) -> dict[str, Any]:
    """What the page's script knows."""
    found = re.search(rb'id="model">(.*?)</script>', content, re.DOTALL)
    assert found is not None
    known: dict[str, Any] = json.loads(found.group(1))
    return known


def test_the_page_asks_no_other_host(model: LoadedModel) -> None:
    addresses = set(re.findall(rb"https?://[^\s\"'`<>]+", render(model, paths=PATHS)))
    assert addresses <= {b"http://www.w3.org/2000/svg"}  # the name of a vocabulary, not an address


def test_the_browser_is_told_to_run_nothing_else(model: LoadedModel) -> None:
    answer = handler_of(model, paths=PATHS)(Request(b"", []))
    assert isinstance(answer, Answer)
    policy = dict(answer.headers)[b"content-security-policy"]
    assert b"default-src 'none'" in policy
    assert b"'unsafe-inline'" not in policy
    assert not re.findall(rb"<[^>]+\s(?:style|on\w+)=", answer.body), "the policy would stop these"


@pytest.mark.parametrize("name", ["</script><script>alert(1)</script>", "<!--", "a & b", "{{script}}"])
def test_a_field_of_any_name_stays_text(name: str) -> None:
    schema = Schema("m", (Field(name, "number"),), Output("regression"))
    manifest = Manifest("m", "ab" * 32, "onnx", "model.onnx", (), {})
    content = render(LoadedModel(manifest, schema, lambda batch: batch.numbers.astype(float)), paths=())
    assert known_by(content)["fields"][0]["name"] == name
    assert content.count(b"<script") == 2


def test_the_form_is_filled_with_a_row_that_is_answered(model: LoadedModel) -> None:
    example = known_by(render(model, paths=PATHS))["example"]
    assert Predictor(model, Limits()).answer([example])["predictions"]


def test_a_forbidden_explanation_has_no_button(fraud_folder: Path, model: LoadedModel) -> None:
    assert known_by(render(model, paths=PATHS))["explain"] is True
    assert known_by(render(model, paths=("/feedback",)))["explain"] is False


# ------------------------------------------------------------------------------------------------- in a browser

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def address(model: LoadedModel) -> Iterator[str]:
    """A server with the page below a path, as a gateway would have it."""
    limits = Limits()
    feedback = Feedback(model.schema.output, lambda _: True, limits)
    app = App(Metrics(), limits=limits)
    app.attach("fraud", {
        "/shop/fraud": Route("/", page.handler_of(model, paths=PATHS)),
        "/shop/fraud/predict": Route("/predict", post=Predictor(model, limits)),
        "/shop/fraud/explain": Route("/explain", post=Explainer(model, limits)),
        "/shop/fraud/feedback": Route("/feedback", post=feedback),
    })  # fmt: skip
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", access_log=False, log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/shop/fraud"
    server.should_exit = True
    thread.join()


def seen(address: str, profile: Path, ask: str, **row: Any) -> str:
    """The page after it has asked, as Chromium has it."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={profile}", "--virtual-time-budget=8000", "--dump-dom",
        f"{address}#{urlencode({'row': json.dumps(row), 'ask': ask})}",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@needs_chromium
def test_a_prediction_appears(address: str, model: LoadedModel, tmp_path: Path) -> None:
    example = known_by(render(model, paths=PATHS))["example"] | {"amount": 900}
    [expected] = Predictor(model, Limits()).answer([example])["predictions"]
    dom = seen(address, tmp_path, "predict", amount=900)
    assert f'<p class="called">{expected["label"]}</p>' in dom
    assert "What turned out to be true?" in dom


@needs_chromium
def test_an_explanation_appears_with_a_bar_for_the_field_that_differs(address: str, tmp_path: Path) -> None:
    dom = seen(address, tmp_path, "explain", amount=900)
    assert "What each field adds" in dom
    assert re.search(r'>amount<.*?<rect class="(up|down)"', dom, re.DOTALL)


@needs_chromium
def test_an_error_stands_next_to_its_field(address: str, tmp_path: Path) -> None:
    dom = seen(address, tmp_path, "predict", amount=-5)
    assert re.search(r'id="field-0-wrong">must be at least 0<', dom)
    assert re.search(r'id="field-0"[^>]*aria-invalid="true"', dom)
