"""Spans as a collector receives them: a real OTLP/HTTP receiver, the real exporter."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.http import Answer, Header, Request, Scored
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.tracing import spans
from fairlead.serve.tracing.context import trace_id
from fairlead.serve.tracing.settings import tracing_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01".encode(), f"00-{TRACE}-{SPAN}-00".encode()
AT = 1_700_000_000.25


@dataclass
class Collector:
    """What a collector got."""

    url: str
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    status: int = 200
    seconds: float = 0.0

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def resource(self) -> dict[str, str]:
        attributes = self.requests[0].resource_spans[0].resource.attributes
        return {pair.key: pair.value.string_value for pair in attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    got = Collector("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(got.seconds)
            if self.path == "/v1/traces" and got.status == 200:
                got.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(got.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    got.url = f"http://127.0.0.1:{server.server_port}"
    yield got
    server.shutdown()
    server.server_close()


def tracer_to(url: str, metrics: Metrics | None = None, **variables: str) -> spans.Tracer:
    env = Environment({"OTEL_EXPORTER_OTLP_ENDPOINT": url, "FAIRLEAD_TRACE_SAMPLE": "1"} | variables)
    tracer = tracing_of(env, "fraud", "3f00", metrics or Metrics())
    assert tracer is not None
    return tracer


def observed(
    tracer: spans.Tracer, *headers: Header, status: int = 200, endpoint: str = "/predict"
) -> Request:
    request = Request(b"{}", list(headers), "r-1", endpoint)
    scored = Scored([{}], np.array([[0.9, 0.1]])) if status == 200 else None
    tracer.observe(request, endpoint, Answer(status, b"{}", scored=scored), AT, 0.5)
    return request


def attributes(span: Any) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


def counted(metrics: Metrics, series: str) -> int:
    lines = metrics.render(b"")[0].decode().splitlines()
    return sum(
        int(float(line.rsplit(" ", 1)[1]))
        for line in lines
        if line.startswith("fairlead_trace") and series in line
    )


# --------------------------------------------------------------------------------------------------------- spans


def test_a_span_has_the_times_and_attributes_of_its_request(collector: Collector) -> None:
    tracer = tracer_to(collector.url)
    observed(tracer)
    tracer.close()
    [span] = collector.spans
    assert (span.name, span.kind) == ("POST /predict", span.SPAN_KIND_SERVER)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (int(AT * 1e9), int((AT + 0.5) * 1e9))
    assert attributes(span) == {
        "http.request.method": "POST", "http.route": "/predict", "http.response.status_code": 200,
        "url.path": "/predict", "url.scheme": "http",
        "fairlead.request.id": "r-1", "fairlead.request.route": "live", "fairlead.rows": 1,
    }  # fmt: skip


def test_a_call_over_grpc_is_named_by_its_service_and_method(collector: Collector) -> None:
    tracer = tracer_to(collector.url)
    observed(tracer, endpoint="grpc ModelInfer")
    tracer.close()
    [span] = collector.spans
    assert span.name == "inference.GRPCInferenceService/ModelInfer"
    assert attributes(span).items() >= {"rpc.system": "grpc", "rpc.method": "ModelInfer"}.items()


def test_all_spans_say_which_server_made_them(collector: Collector) -> None:
    tracer = tracer_to(collector.url, FAIRLEAD_SLOT="blue", FAIRLEAD_POD_UID="u-1")
    observed(tracer)
    tracer.close()
    assert collector.resource.items() >= {
        "service.name": "fraud", "service.version": "3f00", "service.instance.id": "u-1",
        "fairlead.model": "fraud", "fairlead.slot": "blue",
    }.items()  # fmt: skip


def test_a_failed_request_is_marked(collector: Collector) -> None:
    tracer = tracer_to(collector.url)
    observed(tracer, status=500)
    tracer.close()
    [span] = collector.spans
    assert span.status.code == span.status.STATUS_CODE_ERROR


# ------------------------------------------------------------------------------------------------------- context


def test_a_span_continues_the_trace_of_its_caller(collector: Collector) -> None:
    tracer = tracer_to(collector.url)
    observed(tracer, (b"traceparent", SAMPLED), (b"tracestate", b"a=b"))
    tracer.close()
    [span] = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.trace_state) == (TRACE, SPAN, "a=b")


def test_whoever_is_told_next_goes_on_from_our_span(collector: Collector) -> None:
    tracer = tracer_to(collector.url)
    request = observed(tracer, (b"host", b"fraud"), (b"traceparent", SAMPLED))
    tracer.close()
    [span] = collector.spans
    ours = f"00-{TRACE}-{span.span_id.hex()}-01".encode()
    assert request.headers == [(b"host", b"fraud"), (b"traceparent", ours)]


def test_a_request_without_a_trace_begins_one(collector: Collector) -> None:
    tracer = tracer_to(collector.url)
    request = observed(tracer)
    tracer.close()
    [span] = collector.spans
    assert trace_id(request.headers) == span.trace_id.hex()
    assert span.parent_span_id == b""


@pytest.mark.parametrize(
    ("header", "sample", "count"),
    [
        pytest.param(SAMPLED, "0", 1, id="the caller sampled it"),
        pytest.param(UNSAMPLED, "1", 0, id="the caller did not"),
        pytest.param(None, "0", 0, id="no caller, share 0"),
        pytest.param(None, "1", 1, id="no caller, share 1"),
        pytest.param(b"nonsense", "1", 1, id="a broken header counts as none"),
    ],
)
def test_the_caller_decides_what_is_sampled(
    collector: Collector, header: bytes | None, sample: str, count: int
) -> None:
    tracer = tracer_to(collector.url, FAIRLEAD_TRACE_SAMPLE=sample)
    observed(tracer, *([(b"traceparent", header)] if header is not None else []))
    tracer.close()
    assert len(collector.spans) == count


def test_an_unsampled_request_keeps_its_headers(collector: Collector) -> None:
    tracer = tracer_to(collector.url)
    assert observed(tracer, (b"traceparent", UNSAMPLED)).headers == [(b"traceparent", UNSAMPLED)]
    tracer.close()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (SAMPLED, TRACE),
        (UNSAMPLED, TRACE),
        (b"01-" + SAMPLED[3:] + b"-more", TRACE),
        (b"ff-" + SAMPLED[3:], ""),
        (SAMPLED.upper(), ""),
        (b"00-" + b"0" * 32 + SAMPLED[35:], ""),
        (b"00-" + TRACE.encode() + b"-" + b"0" * 16 + b"-01", ""),
        (SAMPLED + b"\n", ""),
        (b"", ""),
    ],
    ids=["sampled", "not sampled", "a later version", "version ff", "upper case", "no trace", "no span", "newline", "empty"],
)  # fmt: skip
def test_the_trace_of_a_request_is_read(header: bytes, found: str) -> None:
    assert trace_id([(b"host", b"x"), (b"traceparent", header)]) == found


# ------------------------------------------------------------------------------------------------ what is not sent


def test_exported_spans_are_counted(collector: Collector) -> None:
    metrics = Metrics()
    tracer = tracer_to(collector.url, metrics)
    for _ in range(3):
        observed(tracer)
    tracer.close()
    assert (counted(metrics, "spans_total"), counted(metrics, "dropped_total")) == (3, 0)


def test_spans_that_no_collector_takes_are_counted(collector: Collector) -> None:
    collector.status = 400  # not one of the codes that are tried again
    metrics = Metrics()
    tracer = tracer_to(collector.url, metrics)
    observed(tracer)
    tracer.close()
    assert (counted(metrics, "spans_total"), counted(metrics, 'reason="export"')) == (0, 1)


def test_beyond_the_bound_spans_are_dropped_and_counted(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "WAITING", 512)
    collector.seconds = 0.5
    metrics = Metrics()
    tracer = tracer_to(collector.url, metrics)
    for _ in range(600):
        observed(tracer)
    tracer.close()
    assert (len(collector.spans), counted(metrics, 'reason="queue"')) == (512, 88)


@pytest.mark.parametrize("target", ["hung", "dead"])
def test_closing_takes_no_longer_than_it_may(collector: Collector, target: str) -> None:
    collector.seconds = 20.0
    metrics = Metrics()
    tracer = tracer_to(collector.url if target == "hung" else "http://127.0.0.1:9", metrics)
    observed(tracer)
    started = time.monotonic()
    tracer.close(0.5)
    assert time.monotonic() - started < 1.0
    assert counted(metrics, 'reason="export"') == 1


# ------------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    "variables",
    [{}, {"FAIRLEAD_TRACE_SAMPLE": "1"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}],
    ids=["nothing", "a share alone", "disabled"],
)  # fmt: skip
def test_without_a_collector_there_is_no_tracer(variables: dict[str, str]) -> None:
    assert tracing_of(Environment(variables), "fraud", "3f", Metrics()) is None


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {"FAIRLEAD_TRACE_SAMPLE": "2"}],
    ids=["protocol", "share"],
)
def test_a_wrong_setting_is_named(variables: dict[str, str]) -> None:
    with pytest.raises(ProjectError, match=next(iter(variables))):
        tracing_of(
            Environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"} | variables), "fraud", "3f", Metrics()
        )


def test_nothing_of_opentelemetry_is_imported_without_it() -> None:
    code = (
        "import sys; from fairlead.serve.tracing.settings import tracing_of; from fairlead.serve.environment import Environment;"
        " tracing_of(Environment({}), 'm', 'v', None); print([m for m in sys.modules if 'opentelemetry' in m])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
