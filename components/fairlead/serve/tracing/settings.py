"""OpenTelemetry traces: one span for a sampled prediction, made after its answer was sent.

``OTEL_EXPORTER_OTLP_ENDPOINT`` switches it on; without it nothing of OpenTelemetry is imported. A request that
comes with a W3C ``traceparent`` is sampled as its caller decided; of the others ``FAIRLEAD_TRACE_SAMPLE`` (a
share, 0.01) are. An unsampled request pays for one look at its headers.

The span is made from what is known when the answer is out: begin, seconds, status. That keeps it off the
request's way, and its times are those of the metrics. It is put into the request's ``traceparent``, so whoever is
told of the request next (the shadow, the prediction log) goes on from it: the tracer is the first observer.
Spans go out in batches from a thread; beyond :data:`fairlead.serve.tracing.spans.WAITING` of them new ones are
dropped and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment
from fairlead.serve.metrics.registry import Metrics

if TYPE_CHECKING:
    from fairlead.serve.tracing.spans import Tracer


def tracing_of(env: Environment, model: str, version: str, metrics: Metrics) -> Tracer | None:
    """The tracer that the environment asks for, or None.

    Args:
        env: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``, a whole URL), ``FAIRLEAD_TRACE_SAMPLE``,
            ``FAIRLEAD_SLOT``, ``FAIRLEAD_POD``, ``FAIRLEAD_POD_UID``. Other ``OTEL_…`` variables, such as headers, certificates
            and resource attributes, are read by OpenTelemetry itself.
        model: Name of the model, the default of ``service.name``.
        version: Version of the bundle.
        metrics: Gets the counters of exported and dropped spans.

    Raises:
        ProjectError: A protocol other than ``http/protobuf`` is asked for, or the share is none.
    """
    base = env.text("OTEL_EXPORTER_OTLP_ENDPOINT").rstrip("/")
    endpoint = env.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or (base and f"{base}/v1/traces")
    if not endpoint or env.flag("OTEL_SDK_DISABLED", default=False):
        return None
    protocol = env.text("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    if protocol != "http/protobuf":
        raise ProjectError(
            f"environment variable OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, must be 'http/protobuf'",
            hint="Collectors take it on port 4318.",
        )
    from fairlead.serve.tracing.spans import Tracer  # noqa: PLC0415 - brings OpenTelemetry

    sample = env.number("FAIRLEAD_TRACE_SAMPLE", 0.01, low=0.0, high=1.0)
    resource = {
        "service.name": env.text("OTEL_SERVICE_NAME", model),
        "service.version": version,
        "service.instance.id": env.text("FAIRLEAD_POD_UID") or env.text("FAIRLEAD_POD"),
        "fairlead.model": model,
        "fairlead.slot": env.text("FAIRLEAD_SLOT"),
    }
    return Tracer(endpoint, sample, resource, metrics)
