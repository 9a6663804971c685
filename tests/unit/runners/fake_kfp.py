"""A stand-in for the API server of Kubeflow Pipelines on this machine's loopback.

It answers just the requests that ``kfp.Client`` 2.17 makes for the kubeflow runner, in the shapes of ``kfp_server_api``'s models,
and keeps what it was asked. It runs nothing: a run's states are a script of the test. It says nothing about a real backend.
"""

from __future__ import annotations

import email
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

API = "/apis/v2beta1"
START, END = "2026-01-02T03:04:05Z", "2026-01-02T03:04:15Z"


def task(name: str, state: str, task_id: str = "", message: str = "") -> dict[str, Any]:
    """A task's detail as the API shows it."""
    error = {"code": 2, "message": message} if message else None
    return {"task_id": task_id or f"id-{name}", "display_name": name, "state": state, "start_time": START, "end_time": END,
            **({"error": error} if error else {})}  # fmt: skip


class FakeKfp:
    """The server and all it knows."""

    def __init__(self) -> None:
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.script: list[dict[str, Any]] = [{"state": "SUCCEEDED"}]
        """What each look at a run finds; the last stays."""
        self.token = ""
        """The one that is accepted; empty accepts all."""
        self.asked: list[tuple[str, str, dict[str, list[str]], dict[str, str]]] = []
        self.faults = 0
        """How many of the next looks at a run end in 503."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def calls(self, what: str) -> list[tuple[str, str, dict[str, list[str]], dict[str, str]]]:
        return [call for call in self.asked if what in f"{call[0]} {call[1]}"]

    def _handler(fake) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def _answer(self, body: bytes) -> None:
                where = urlsplit(self.path)
                fake.asked.append((self.command, where.path, parse_qs(where.query), dict(self.headers)))
                code, answer = fake.answer(
                    self.command, where.path, parse_qs(where.query), dict(self.headers), body
                )
                text = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                return

        return Handler

    def answer(  # noqa: PLR0911 - one return a request
        self, method: str, path: str, query: Any, headers: dict[str, str], body: bytes
    ) -> tuple[int, Any]:
        if path == f"{API}/healthz":
            return 200, {"multi_user": False}
        if (
            self.token
            and headers.get("authorization", headers.get("Authorization")) != f"Bearer {self.token}"
        ):
            return 401, {"error": "Request not authenticated", "code": 16}
        match method, path.removeprefix(API):
            case "GET", "/pipelines":
                return 200, {"pipelines": _named(self.pipelines, query)}
            case "POST", "/pipelines/upload":
                return 200, self._upload_pipeline(query, headers, body)
            case "POST", "/pipelines/upload_version":
                return 200, self._upload_version(query, headers, body)
            case "GET", "/experiments":
                return 200, {"experiments": _named(self.experiments, query)}
            case "POST", "/experiments":
                return 200, self._keep(self.experiments, "experiment_id", json.loads(body))
            case "POST", "/runs":
                return 200, self._keep(self.runs, "run_id", {**json.loads(body), "state": "PENDING"})
        return self._by_id(path.removeprefix(API))

    def _by_id(self, path: str) -> tuple[int, Any]:
        if re.fullmatch(r"/pipelines/[^/]+/versions", path):
            return 200, {"pipeline_versions": list(self.versions.values())}
        if found := re.fullmatch(r"/runs/([^/]+)", path):
            if self.faults:
                self.faults -= 1
                return 503, {"error": "no upstream"}
            step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            return 200, {**self.runs[found[1]], **step}
        return 404, {"error": f"nothing at {path}"}

    def _upload_pipeline(self, query: Any, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        _uploaded(headers, body)
        name = (query.get("display_name") or query["name"])[0]
        kept = self._keep(self.pipelines, "pipeline_id", {"display_name": name, "name": name})
        self.versions["first"] = {
            "pipeline_version_id": "first",
            "display_name": name,
            "pipeline_id": kept["pipeline_id"],
        }
        return kept

    def _upload_version(self, query: Any, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        graph = _uploaded(headers, body)
        name = (query.get("display_name") or query["name"])[0]
        version = {
            "display_name": name,
            "name": name,
            "pipeline_id": query["pipelineid"][0],
            "pipeline_spec": graph,
        }
        return self._keep(self.versions, "pipeline_version_id", version)

    @staticmethod
    def _keep(place: dict[str, dict[str, Any]], key: str, value: dict[str, Any]) -> dict[str, Any]:
        value[key] = f"{key}-{len(place)}"
        place[value[key]] = value
        return value


def _named(place: dict[str, dict[str, Any]], query: Any) -> list[dict[str, Any]]:
    """Filter as kfp asks: one predicate, the name equals."""
    (predicate,) = json.loads(query["filter"][0])["predicates"]
    wanted = predicate.get("stringValue") or predicate.get("string_value")
    return [value for value in place.values() if wanted in (value.get("display_name"), value.get("name"))]


def _uploaded(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The YAML of a multipart upload, which must be a pipeline that kfp can load."""
    from kfp.components import load_component_from_text

    whole = email.message_from_bytes(
        b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body
    )
    text = whole.get_payload(0).get_payload(decode=True).decode()  # type: ignore[union-attr]
    load_component_from_text(text)
    return dict(next(yaml.safe_load_all(text)))
