"""Spans of OpenTelemetry, made after the answer. Imported by :mod:`fairlead.serve.tracing.settings` where it is set."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fairlead.serve.http import Answer, Request
from fairlead.serve.metrics.counters import Counter
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.tracing.context import traceparent

WAITING = 2048
"""Spans that may wait for their export, about 4 MB."""
EXPORT_EVERY_MS = 2000
_SAMPLED = 0x01
_SERVICE = "inference.GRPCInferenceService"


class Tracer:
    """Makes a span of a sampled request, and sends spans in batches."""

    def __init__(self, endpoint: str, sample: float, resource: Mapping[str, str], metrics: Metrics) -> None:
        """Start the thread that exports.

        Args:
            endpoint: URL of a collector's OTLP/HTTP traces.
            sample: Share of requests without a ``traceparent`` that begin a trace.
            resource: What all spans say of this server; empty values are left out.
            metrics: Gets the counters.
        """
        self._sample = sample
        self._begun = 0
        self._exporting = _Counted(OTLPSpanExporter(endpoint=endpoint), metrics)
        self._full = _dropped(metrics, "queue")
        said = {key: value for key, value in resource.items() if value}
        # What is sampled is decided before OpenTelemetry is asked, and whoever stops this server calls close().
        self._provider = TracerProvider(ALWAYS_ON, Resource.create(said), shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporting, 2 * WAITING, EXPORT_EVERY_MS, max_export_batch_size=512)
        )
        self._tracer = self._provider.get_tracer("fairlead.serve")
        self._propagator = TraceContextTextMapPropagator()

    def observe(self, request: Request, endpoint: str, answer: Answer, at: float, seconds: float) -> None:
        """Make the span if the request is sampled; see :data:`fairlead.serve.http.Observer`."""
        parent = traceparent(request.headers)
        if parent is not None:
            if not int(parent[2], 16) & _SAMPLED:
                return
        elif random.random() >= self._sample:  # noqa: S311 - a sample, not a secret
            return
        if self._begun - self._exporting.settled >= WAITING:
            self._full.add()
            return
        self._begun += 1
        self._make(request, endpoint, answer, at, seconds)

    def _make(self, request: Request, endpoint: str, answer: Answer, at: float, seconds: float) -> None:
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in request.headers
            if name in (b"traceparent", b"tracestate")
        }
        context = self._propagator.extract(carrier)
        name, described = _described(request, endpoint, answer.status)
        span = self._tracer.start_span(
            name,
            context,
            SpanKind.SERVER,
            described
            | {
                "fairlead.request.id": request.identity,
                "fairlead.request.route": request.route,
                "fairlead.rows": 0 if answer.scored is None else len(answer.scored.answers),
            },
            start_time=int(at * 1e9),
        )
        if answer.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(int((at + seconds) * 1e9))
        ours = span.get_span_context()
        header = b"00-%032x-%016x-%02x" % (ours.trace_id, ours.span_id, ours.trace_flags)
        others = [pair for pair in request.headers if pair[0] != b"traceparent"]
        request.headers = [*others, (b"traceparent", header)]

    def close(self, timeout: float = 5.0) -> None:
        """Export what waits for at most *timeout* seconds, which this call takes."""
        # The provider's own shutdown waits for half a minute if the collector does not answer.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(timeout)
        if closing.is_alive():
            self._exporting.lost(self._begun)


def _described(request: Request, endpoint: str, status: int) -> tuple[str, dict[str, str | int]]:
    """Name and attributes of a span, by OpenTelemetry's semantic conventions for HTTP and for gRPC.

    >>> _described(Request(b"", []), "grpc ModelInfer", 200)[0]
    'inference.GRPCInferenceService/ModelInfer'
    """
    kind, _, method = endpoint.partition(" ")
    if kind == "grpc":
        called = {"rpc.system": "grpc", "rpc.service": _SERVICE, "rpc.method": method}
        return f"{_SERVICE}/{method}", {**called, "fairlead.status": status}
    return f"POST {endpoint}", {
        "http.request.method": "POST",
        "http.route": endpoint,
        "http.response.status_code": status,
        "url.path": request.path,
        "url.scheme": "http",
    }


def _dropped(metrics: Metrics, reason: str) -> Counter:
    says = "Spans that reached no collector: too many waited, or the export failed."
    return metrics.counter("fairlead_trace_dropped_total", says, reason=reason)


class _Counted(SpanExporter):
    """A span exporter that counts what became of the spans. Its counters are the exporting thread's own."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        self.settled = 0
        """Spans that were exported or given up."""
        self._exporter = exporter
        self._sent = metrics.counter("fairlead_trace_spans_total", "Spans that a collector took.")
        self._failed = _dropped(metrics, "export")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send one batch; the exporter tries again for some seconds."""
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self.settled += len(spans)
            (self._sent if result is SpanExportResult.SUCCESS else self._failed).add(len(spans))
        return result

    def lost(self, begun: int) -> None:
        """Count what was not exported in time."""
        self._failed.add(max(0, begun - self.settled))

    def shutdown(self) -> None:
        """End a try that is under way."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return self._exporter.force_flush(timeout_millis)
