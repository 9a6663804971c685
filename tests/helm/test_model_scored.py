"""`helm test`: the script passes on a prediction for each row and on nothing else, against real HTTP answers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helm.models import MANAGED, OTHER, ROWS, STATIC, bundle, with_values
from tests.helm.rendering import CHARTS, render

from fairlead.serve.guards.access import Internal, parse_internal

SCRIPT = CHARTS / "fairlead-model/files/scored.py"
PREDICTION = {"label": "no", "probability": 0.02}


@contextmanager
def answering(*answers: tuple[int, Any], internal: bytes = b"") -> Iterator[tuple[str, list[Any]]]:
    """A server that gives *answers* in turn, the last one for ever; yields its URL and what it was asked.

    With *internal* it is one that lets only calls with this credential in, by the server's own rule.
    """
    remaining, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body = remaining.pop(0) if len(remaining) > 1 else remaining[0]
            if internal and self._route() != "preview":
                status, body = 401, {"error": "a credential is required"}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def _route(self) -> str:
            token = SimpleNamespace(value=parse_internal(internal))
            sent = {name.lower().encode(): value.encode() for name, value in self.headers.items()}
            return Internal(token).route_of(sent)  # type: ignore[arg-type]

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/predict", asked
    finally:
        server.shutdown()
        server.server_close()


def scored(url: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    rows = folder / "rows.json"
    rows.write_text(json.dumps({"rows": ROWS}), encoding="utf-8")
    command = [sys.executable, str(SCRIPT), url, str(rows)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"no_proxy": "*", **variables}
    )


def test_a_prediction_for_each_row_passes(tmp_path: Path) -> None:
    with answering((200, {"model": "fraud", "predictions": [PREDICTION]})) as (url, asked):
        done = scored(url, tmp_path)
    assert (done.returncode, asked) == (0, [{"rows": ROWS}])
    assert '"probability": 0.02' in done.stdout


def test_a_model_behind_keys_is_asked_with_the_internal_credential(tmp_path: Path) -> None:
    token = tmp_path / "internal"
    token.write_text("sixteen bytes or more\n", encoding="utf-8")
    with answering((200, {"predictions": [PREDICTION]}), internal=b"sixteen bytes or more") as (url, _):
        let_in = scored(url, tmp_path, FAIRLEAD_INTERNAL_TOKEN_FILE=str(token))
        refused = scored(url, tmp_path)
    assert (let_in.returncode, refused.returncode) == (0, 1)
    assert "answered 401" in refused.stderr


WRONG: dict[str, tuple[int, Any, str]] = {
    "no predictions": (200, {"model": "fraud"}, "answered without 1 prediction(s)"),
    "an empty list": (200, {"predictions": []}, "answered without 1 prediction(s)"),
    "an empty prediction": (200, {"predictions": [{}]}, "answered without 1 prediction(s)"),
    "one too many": (200, {"predictions": [PREDICTION, PREDICTION]}, "answered without 1 prediction(s)"),
    "a list": (200, [PREDICTION], "answered without 1 prediction(s)"),
    "a page": (200, b"<html>", "JSONDecodeError"),
    "rows refused": (422, {"errors": []}, "answered 422"),
    "nothing there": (404, {"error": "there is nothing at /predict"}, "answered 404"),
    "broken": (500, {"error": "internal error"}, "answered 500"),
}


@pytest.mark.parametrize(("status", "body", "message"), WRONG.values(), ids=WRONG)
def test_any_other_answer_fails(status: int, body: Any, message: str, tmp_path: Path) -> None:
    with answering((status, body)) as (url, asked):
        done = scored(url, tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(asked) == 1


def test_a_service_that_is_starting_is_asked_again(tmp_path: Path) -> None:
    with answering((503, {"error": "the model is loading"}), (200, {"predictions": [PREDICTION]})) as (
        url,
        asked,
    ):
        done = scored(url, tmp_path)
    assert (done.returncode, len(asked)) == (0, 2)


def test_the_pod_asks_the_live_service_with_the_bundles_rows(helm: str) -> None:
    rendered = render(helm, "fairlead-model", MANAGED)
    pod = rendered.one("Pod", "fraud-test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert pod["spec"]["containers"][0]["command"] == [
        "python", "/test/scored.py", "http://fraud.serving.svc/predict", "/test/rows.json",
    ]  # fmt: skip
    data = rendered.one("ConfigMap", "fraud-test")["data"]
    assert json.loads(data["rows.json"]) == {"rows": ROWS}
    assert data["scored.py"] == SCRIPT.read_text(encoding="utf-8")


def test_in_mode_static_the_rows_are_the_live_slots(helm: str) -> None:
    green = {**bundle(OTHER), "probe": {"rows": [{"amount": 7}]}}
    values = with_values(STATIC, {"static": {"live": "green", "green": {"bundle": green}}})
    data = render(helm, "fairlead-model", values).one("ConfigMap", "fraud-test")["data"]
    assert json.loads(data["rows.json"]) == {"rows": [{"amount": 7}]}


def test_without_a_model_there_is_nothing_to_test(helm: str) -> None:
    assert [name for name in render(helm, "fairlead-model").names() if name.endswith("-test")] == []
