"""The series of one process, read by the parsers of other projects."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from fairlead.schema import Field, Output, Schema
from fairlead.serve.loading import LoadedModel, Manifest
from fairlead.serve.metrics.exposition import OPENMETRICS, PROMETHEUS, content_type_of
from fairlead.serve.metrics.registry import ROWS, SECONDS, Metrics
from fairlead.serve.rules import Rules
from fairlead.stats.profile import Profile

PROMTOOL = shutil.which("promtool")
ACCEPT_OPENMETRICS = b"application/openmetrics-text; version=1.0.0"
LIVE = {"endpoint": "/predict", "route": "live"}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def model(objective: float = 0.05, output: Output | None = None, reference: Any = None) -> LoadedModel:
    output = output or Output("classification", classes=("no", "yes"), positive="yes", threshold=0.3)
    schema = Schema("fraud", (Field("amount", "number"),), output)
    loaded = LoadedModel(
        Manifest("fraud", "3f" * 32, "onnx", "model.onnx", (), {}),
        schema,
        lambda batch: np.zeros((len(batch.numbers), 2)),
        Rules(objective_seconds=objective),
    )
    loaded.reference = reference or {}
    return loaded


def used(**more: Any) -> Metrics:
    """Metrics with every kind of series."""
    metrics = Metrics(slot="blue", pod="fraud-blue-1", pod_uid="u-1")
    answers = np.linspace(0, 1, 200)
    metrics.attach(model(reference=reference("probability", answers), **more))
    metrics.ready = True
    for status, seconds in ((200, 0.002), (200, 0.3), (422, 0.1), (503, 0.1)):
        metrics.observe("/predict", "live", status, seconds)
    metrics.observe("/v2/models/{name}/infer", "shadow", 200, 0.01)
    metrics.count_rows(3)
    metrics.count_answers("live", np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))
    metrics.count_failures({"amount": 2, 'of "odd"\nname\\': 1})
    metrics.counter("fairlead_log_dropped_total", "Records not kept.", reason="queue").add(4)
    metrics.gauge("fairlead_log_queued", "Records that wait.", lambda: 7.0)
    return metrics


def reference(column: str, values: np.ndarray[Any, Any]) -> Any:
    return json.loads(Profile.of({column: ("number", values)}).to_json())


def samples(metrics: Metrics, accept: bytes = b"") -> Samples:
    body, content_type = metrics.render(accept)
    parse = parse_openmetrics if content_type == OPENMETRICS else parse_prometheus
    return samples_of(parse(body.decode()))


def samples_of(families: Iterator[Metric]) -> Samples:
    return {
        (one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples
    }


def value(metrics: Metrics, series: str, /, **labels: str) -> float:
    """The value of the one series with these labels, and perhaps others."""
    found = [
        value
        for (named, having), value in samples(metrics).items()
        if named == series and labels.items() <= dict(having).items()
    ]
    assert len(found) == 1, f"{series}{labels}: {found}"
    return found[0]


def names(metrics: Metrics) -> set[str]:
    return {name for name, _ in samples(metrics)}


# ------------------------------------------------------------------------------------------------- formats


def test_prometheus_text_and_openmetrics_say_the_same() -> None:
    metrics = used()
    plain, openly = samples(metrics), samples(metrics, ACCEPT_OPENMETRICS)
    varying = {"process_resident_memory_bytes"}
    same = {key: number for key, number in openly.items() if not key[0].endswith("_created")}
    assert {key: v for key, v in plain.items() if key[0] not in varying} == {
        key: v for key, v in same.items() if key[0] not in varying
    }


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool on the PATH: it comes with Prometheus")
def test_promtool_has_nothing_to_say() -> None:
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=used().render()[0], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_openmetrics_ends_with_its_mark() -> None:
    assert used().render(ACCEPT_OPENMETRICS)[0].endswith(b"\n# EOF\n")
    assert b"EOF" not in used().render()[0]


def test_openmetrics_says_when_counters_and_histograms_began() -> None:
    openly = samples(used(), ACCEPT_OPENMETRICS)
    counted = {name.removesuffix("_total") for name, _ in openly if name.endswith("_total")}
    observed = {name.removesuffix("_bucket") for name, _ in openly if name.endswith("_bucket")}
    began = {name.removesuffix("_created") for name, _ in openly if name.endswith("_created")}
    assert began == counted | observed


def test_openmetrics_has_a_type_for_info_series() -> None:
    families = {
        one.name: one.type for one in parse_openmetrics(used().render(ACCEPT_OPENMETRICS)[0].decode())
    }
    assert families["fairlead_model"] == families["fairlead_pod"] == "info"


def test_labels_are_escaped() -> None:
    assert value(used(), "fairlead_validation_failures_total", field='of "odd"\nname\\') == 1


# What they send.
PROMETHEUS_2 = (
    b"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    b"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;"
    b"version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
    b"*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"", PROMETHEUS),
        (b"*/*", PROMETHEUS),
        (b"text/plain", PROMETHEUS),
        (b"application/json", PROMETHEUS),
        (b"application/openmetrics-text", OPENMETRICS),
        (b"application/openmetrics-text; version=1.0.0; charset=utf-8", OPENMETRICS),
        (b"Application/OpenMetrics-Text;Version=1.0.0", OPENMETRICS),
        (b"application/openmetrics-text; version=0.0.1", PROMETHEUS),
        (b"application/openmetrics-text; version=2.0.0", PROMETHEUS),
        (b"application/openmetrics-text;q=0, text/plain", PROMETHEUS),
        (b"application/openmetrics-text;q=0.4,text/plain;q=0.5", PROMETHEUS),
        (b"application/openmetrics-text;q=0.5,text/plain;q=0.5", OPENMETRICS),
        (b";;q=,\xff", PROMETHEUS),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
    ],
)
def test_the_reader_gets_the_format_it_asks_for(accept: bytes, expected: bytes) -> None:
    assert content_type_of(accept) == Metrics().render(accept)[1] == expected


# --------------------------------------------------------------------------------------------------- series


def test_answers_are_counted_by_endpoint_route_and_status() -> None:
    metrics = used()
    assert value(metrics, "fairlead_requests_total", **LIVE, code="200") == 2
    assert value(metrics, "fairlead_requests_total", **LIVE, code="422") == 1
    assert (
        value(
            metrics, "fairlead_requests_total", endpoint="/v2/models/{name}/infer", route="shadow", code="200"
        )
        == 1
    )


def test_errors_are_answers_from_500_up_and_begin_at_zero() -> None:
    metrics = Metrics()
    metrics.observe("/predict", "live", 200, 0.1)
    assert value(metrics, "fairlead_errors_total", **LIVE) == 0
    for status in (404, 499, 500, 503):
        metrics.observe("/predict", "live", status, 0.1)
    assert value(metrics, "fairlead_errors_total", **LIVE) == 2


def test_latency_is_that_of_answers_and_not_of_refusals() -> None:
    metrics = Metrics()
    metrics.observe("/predict", "live", 399, 0.25)
    metrics.observe("/predict", "live", 422, 0.5)
    metrics.observe("/predict", "live", 503, 0.5)
    assert value(metrics, "fairlead_request_seconds_count", **LIVE) == 1
    assert value(metrics, "fairlead_request_seconds_sum", **LIVE) == 0.25


def test_latency_buckets_hold_what_is_at_or_below_their_edge() -> None:
    metrics = Metrics()
    for seconds in (0.0004, 0.0005, 0.03, 100.0):
        metrics.observe("/predict", "live", 200, seconds)
    found = {
        dict(labels)["le"]: number
        for (name, labels), number in samples(metrics).items()
        if name.endswith("bucket")
    }
    assert list(found.values()) == [2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4]
    assert found["0.0005"] == 2


@pytest.mark.parametrize("objective", [0.0001, 0.0333, 0.05, 60.0])
def test_the_objective_is_a_bucket_edge(objective: float) -> None:
    metrics = Metrics()
    metrics.attach(model(objective))
    metrics.observe("/predict", "live", 200, objective)
    metrics.observe("/predict", "live", 200, objective * 1.001)
    assert value(metrics, "fairlead_request_seconds_bucket", le=repr(objective)) == 1


def test_what_was_observed_before_there_was_a_model_stays() -> None:
    metrics = Metrics()
    metrics.observe("/livez", "live", 200, 0.04)
    metrics.attach(model(objective=0.03))
    metrics.observe("/livez", "live", 200, 0.02)
    assert value(metrics, "fairlead_request_seconds_bucket", le="0.05") == 2
    assert value(metrics, "fairlead_request_seconds_count") == 2
    assert value(metrics, "fairlead_requests_total") == 2


def test_rows_are_counted_and_told_by_size_of_request() -> None:
    metrics = Metrics()
    for rows in (1, 1, 3, 20_000):
        metrics.count_rows(rows)
    assert value(metrics, "fairlead_rows_total", route="live") == 20_005
    assert value(metrics, "fairlead_batch_rows_bucket", le="1.0") == 2
    assert value(metrics, "fairlead_batch_rows_bucket", le="5.0") == 3
    assert value(metrics, "fairlead_batch_rows_bucket", le="+Inf") == 4


def test_requests_in_flight_go_up_and_down() -> None:
    metrics = Metrics()
    metrics.enter()
    metrics.enter()
    metrics.leave()
    assert value(metrics, "fairlead_requests_in_flight") == 1


def test_the_model_is_named_with_its_digest_once_there_is_one() -> None:
    metrics = Metrics()
    assert "fairlead_model_info" not in names(metrics)
    metrics.attach(model())
    assert (
        value(metrics, "fairlead_model_info", name="fraud", version="3f" * 8, digest="3f" * 32, format="onnx")
        == 1
    )


def test_slot_and_bundle_are_on_every_series_but_those_of_the_process() -> None:
    for name, labels in samples(used()):
        stated = {"slot": "blue", "bundle": "3f" * 8}.items() <= dict(labels).items()
        assert stated is not name.startswith("process_"), name


def test_without_slots_there_is_no_such_label() -> None:
    assert not any("slot" in dict(labels) for _, labels in samples(Metrics()))


def test_the_pod_is_told_with_its_start() -> None:
    found = [dict(labels) for name, labels in samples(used()) if name == "fairlead_pod_info"]
    [info] = found
    assert (info["pod"], info["pod_uid"]) == ("fraud-blue-1", "u-1")
    age = datetime.now(UTC) - datetime.fromisoformat(info["started"])
    assert 0 <= age.total_seconds() < 60


def test_ready_is_what_it_was_set_to() -> None:
    metrics = Metrics()
    assert (metrics.ready, value(metrics, "fairlead_ready")) == (False, 0)
    metrics.ready = True
    assert (metrics.ready, value(metrics, "fairlead_ready")) == (True, 1)


def test_memory_is_that_of_this_process() -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("no /proc on this system: the series is absent")
    assert 5e6 < value(Metrics(), "process_resident_memory_bytes") < 1e11


def test_counters_of_other_parts_are_there_before_they_count() -> None:
    metrics = Metrics()
    dropped = metrics.counter("fairlead_log_dropped_total", "Records not kept.", reason="queue")
    assert value(metrics, "fairlead_log_dropped_total", reason="queue") == 0
    dropped.add()
    metrics.counter("fairlead_log_dropped_total", "Records not kept.", reason="queue").add(2)
    assert value(metrics, "fairlead_log_dropped_total", reason="queue") == 3


def test_a_counter_must_be_called_total() -> None:
    with pytest.raises(ValueError, match="ends in _total"):
        Metrics().counter("fairlead_log_dropped", "Records not kept.")


def test_a_gauge_is_read_at_each_scrape() -> None:
    metrics, values = Metrics(), iter([1.0, 2.5])
    metrics.gauge("fairlead_queue", "What waits.", lambda: next(values))
    assert [value(metrics, "fairlead_queue"), value(metrics, "fairlead_queue")] == [1, 2.5]


def test_a_gauge_that_raises_keeps_its_value_and_the_scrape_goes_on() -> None:
    metrics, values = Metrics(), iter([1.0])
    metrics.gauge("fairlead_queue", "What waits.", lambda: next(values))
    assert [value(metrics, "fairlead_queue"), value(metrics, "fairlead_queue")] == [1, 1]


@pytest.mark.parametrize("edges", [SECONDS, ROWS], ids=["seconds", "rows"])
def test_edges_rise(edges: tuple[float, ...]) -> None:
    assert all(low < high for low, high in pairwise(edges))


def test_without_a_folder_nothing_is_shared(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.open()
    metrics.close()
    assert list(tmp_path.iterdir()) == []
