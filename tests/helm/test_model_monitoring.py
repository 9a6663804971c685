"""Metrics, alerts and the dashboard of the model chart: every query is over series that the serving app has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.helm.models import MANAGED, STATIC, with_values
from tests.helm.rendering import CHARTS, Rendered, render

from fairlead.schema import Output, Schema
from fairlead.serve.environment import Environment
from fairlead.serve.guards.access import access_of
from fairlead.serve.loading import LoadedModel, Manifest
from fairlead.serve.log.prediction_log import LogSettings, PredictionLog
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.rules import LogRules
from fairlead.serve.shadow.copies import Shadow, ShadowSettings

Object = dict[str, Any]

WATCHED: Object = {
    "monitoring": {"scrape": "none", "rules": {"enabled": True}, "dashboard": {"enabled": True}},
    "serving": {"workers": 2},
    "access": {"keysSecret": {"name": "keys"}, "internalTokenSecret": {"name": "internal"}},
    "shadow": {"url": "http://next"},
    "log": {"enabled": True, "target": "s3://logs/fraud"},
}
PODS = "fraud-(blue|green)-[a-z0-9]+-[a-z0-9]+"


def model(helm: str, more: Object, base: Object = MANAGED) -> Rendered:
    return render(helm, "fairlead-model", with_values(base, more))


# ----------------------------------------------------------------------------------------------- scraping


def test_annotations_lead_prometheus_to_the_pods(helm: str) -> None:
    template = model(helm, {}).one("PodTemplate", "fraud")["template"]
    notes = {
        key: value
        for key, value in template["metadata"]["annotations"].items()
        if key.startswith("prometheus.io/")
    }
    assert notes == {
        "prometheus.io/scrape": "true",
        "prometheus.io/path": "/metrics",
        "prometheus.io/port": "8080",
    }


def test_a_pod_monitor_selects_the_serving_pods(helm: str) -> None:
    rendered = model(
        helm,
        {
            "monitoring": {
                "scrape": "podMonitor",
                "interval": "5s",
                "monitorLabels": {"release": "prometheus"},
            }
        },
    )
    monitor = rendered.one("PodMonitor", "fraud")
    labels = rendered.one("PodTemplate", "fraud")["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "http", "path": "/metrics", "interval": "5s"}]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_a_pod_monitor_leaves_the_pod_of_helm_test_out(helm: str) -> None:
    rendered = model(helm, {"monitoring": {"scrape": "podMonitor"}})
    wanted = rendered.one("PodMonitor", "fraud")["spec"]["selector"]["matchLabels"]
    assert not wanted.items() <= rendered.one("Pod", "fraud-test")["metadata"]["labels"].items()


def test_a_service_monitor_counts_each_pod_once(helm: str) -> None:
    rendered = model(helm, {"monitoring": {"scrape": "serviceMonitor"}})
    selector = rendered.one("ServiceMonitor", "fraud")["spec"]["selector"]
    [expression] = selector["matchExpressions"]
    assert expression == {"key": "fairlead.dev/slot", "operator": "Exists"}
    selected = [one["metadata"]["name"] for one in rendered.all("Service")
                if selector["matchLabels"].items() <= one["metadata"]["labels"].items()
                and expression["key"] in one["metadata"]["labels"]]  # fmt: skip
    assert selected == ["fraud-blue", "fraud-green"]


@pytest.mark.parametrize("scrape", ["none", "podMonitor", "serviceMonitor"])
def test_pods_are_annotated_only_if_that_is_how_they_are_found(scrape: str, helm: str) -> None:
    template = model(helm, {"monitoring": {"scrape": scrape}}).one("PodTemplate", "fraud")["template"]
    assert "prometheus.io/scrape" not in template["metadata"]["annotations"]


# ------------------------------------------------------------------------------------------------ queries


def alerts(helm: str, more: Object | None = None) -> list[Object]:
    values = with_values(WATCHED, {"monitoring": {"rules": more or {}}})
    [group] = model(helm, values).one("PrometheusRule", "fraud")["spec"]["groups"]
    return list(group["rules"])


def dashboard(helm: str) -> Object:
    config = model(helm, WATCHED).one("ConfigMap", "fraud-dashboard")
    [text] = config["data"].values()
    board: Object = json.loads(text)
    return board


def queries(helm: str) -> Iterator[str]:
    yield from (alert["expr"] for alert in alerts(helm))
    yield from (target["expr"] for panel in dashboard(helm)["panels"] for target in panel["targets"])


def served() -> str:
    """What a server answers that has scored, refused and been told of a model."""
    metrics = Metrics()
    output = Output("regression")
    settings = Environment({"FAIRLEAD_RATE_PER_SECOND": "1", "FAIRLEAD_SHADOW_URL": "http://next"})
    access_of(settings, metrics)
    shadow = ShadowSettings.from_environment(settings)
    assert shadow is not None
    Shadow(shadow, output, {}, metrics, None)
    PredictionLog(LogSettings(Path("never written")), LogRules(), {}, metrics)
    metrics.attach(
        LoadedModel(
            Manifest("fraud", "3f", "onnx", "model.onnx", (), {}),
            Schema("fraud", (), output),
            lambda batch: batch.numbers,
        )
    )
    metrics.observe("/predict", "live", 200, 0.01)
    metrics.count_rows(1)
    metrics.count_failures({"amount": 1})
    return metrics.render()[0].decode()


def test_every_series_asked_for_exists(helm: str) -> None:
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", served(), re.MULTILINE))
    known = set(kinds) | {f"{name}_bucket" for name, kind in kinds.items() if kind == "histogram"}
    asked = {name for query in queries(helm) for name in re.findall(r"(\w+)\{", query)}
    assert asked <= known
    assert len(asked) == 17


def test_every_query_asks_about_the_pods_of_this_release_only(helm: str) -> None:
    for query in queries(helm):
        for labels in re.findall(r"\{([^}]*)\}", query):
            assert labels.startswith(f'namespace="serving", pod=~"{PODS}"'), query


@pytest.mark.parametrize(
    ("pod", "is_ours"),
    [
        ("fraud-blue-7d4b9c6f5-x2x9z", True),
        ("fraud-green-7d4b9c6f5-abcde", True),
        ("fraud-blue-eu-blue-7d4b9c6f5-x2x9z", False),
        ("big-fraud-blue-7d4b9c6f5-x2x9z", False),
        ("fraud-test", False),
    ],
)
def test_a_release_with_a_similar_name_is_not_counted(pod: str, is_ours: bool) -> None:
    assert bool(re.fullmatch(PODS, pod)) is is_ours  # Prometheus anchors its patterns, too


# ------------------------------------------------------------------------------------------------- alerts


BURNS = {
    "1h": (14.4, "5m", "critical"),
    "6h": (6, "30m", "critical"),
    "1d": (3, "2h", "warning"),
    "3d": (1, "6h", "warning"),
}


@pytest.mark.parametrize(("window", "burn"), BURNS.items(), ids=BURNS)
def test_the_error_budget_is_watched_over_a_long_and_a_short_window(
    window: str, burn: tuple[float, str, str], helm: str
) -> None:
    rate, short, severity = burn
    [alert] = [one for one in alerts(helm) if one["labels"].get("window") == window]
    assert alert["alert"] == "FairleadModelErrorBudgetBurn"
    assert alert["labels"]["severity"] == severity
    assert re.findall(r"\[(\w+)\]", alert["expr"]) == [window, window, short, short]
    assert alert["expr"].count(f"> {rate:g} * 0.001)") == 2


@pytest.mark.parametrize(
    ("objective", "budget"), [(99.9, "0.001"), (99.5, "0.005"), (99, "0.01"), (99.95, "0.0005")]
)
def test_the_budget_is_what_the_objective_leaves(objective: float, budget: str, helm: str) -> None:
    assert f"* {budget})" in alerts(helm, {"availabilityPercent": objective})[0]["expr"]


def test_the_latency_objective_is_a_quantile_of_answers(helm: str) -> None:
    [alert] = [
        one
        for one in alerts(helm, {"latencyPercent": 95, "latencyMilliseconds": 25})
        if one["alert"] == "FairleadModelSlow"
    ]
    assert alert["expr"].startswith(
        "histogram_quantile(0.95, sum by (le) (rate(fairlead_request_seconds_bucket{"
    )
    assert alert["expr"].endswith("> 0.025")


def test_probes_and_scrapes_are_not_counted_as_traffic(helm: str) -> None:
    for alert in alerts(helm):
        if re.search("fairlead_(requests|errors|request_seconds)", alert["expr"]):
            assert 'endpoint!~"/livez|/readyz|/metrics|/v2/health/.*"' in alert["expr"]


def test_shadow_and_preview_calls_are_not_counted_as_traffic(helm: str) -> None:
    for query in queries(helm):
        if re.search("fairlead_(requests_total|errors|request_seconds|rows)", query):
            assert 'route="live"' in query


def test_every_alert_has_a_section_in_the_runbook(helm: str) -> None:
    readme = (CHARTS / "fairlead-model/README.md").read_text(encoding="utf-8")
    for alert in alerts(helm):
        assert f"\n### {alert['alert']}\n" in readme
        assert (
            alert["annotations"]["runbook"]
            == f"README of the chart fairlead-model, section Runbook, {alert['alert']}"
        )


CONDITIONAL: dict[str, Object] = {
    "FairleadModelLogDrops": {"log": WATCHED["log"]},
    "FairleadModelCredentialsBroken": {"access": WATCHED["access"]},
    "FairleadModelShadowSheds": {"shadow": WATCHED["shadow"]},
}


@pytest.mark.parametrize(("alert", "values"), CONDITIONAL.items(), ids=CONDITIONAL)
def test_what_is_off_has_no_alert(alert: str, values: Object, helm: str) -> None:
    on = {"monitoring": {"rules": {"enabled": True}}}
    names = [
        {
            rule["alert"]
            for rule in model(helm, {**on, **more}).one("PrometheusRule", "fraud")["spec"]["groups"][0][
                "rules"
            ]
        }
        for more in ({}, values)
    ]
    assert names[1] - names[0] == {alert}


def test_a_runbook_of_your_own_is_linked_by_the_alerts_name(helm: str) -> None:
    for alert in alerts(helm, {"runbookUrl": "https://r.example.com/x"}):
        assert alert["annotations"]["runbook_url"] == f"https://r.example.com/x#{alert['alert'].lower()}"


def test_there_are_no_alerts_without_a_model(helm: str) -> None:
    assert render(helm, "fairlead-model", WATCHED).all("PrometheusRule") == []


def test_static_slots_are_watched_too(helm: str) -> None:
    assert model(helm, WATCHED, STATIC).one("PrometheusRule", "fraud")


# ---------------------------------------------------------------------------------------------- dashboard


def test_grafanas_sidecar_finds_the_dashboard(helm: str) -> None:
    assert (
        model(helm, WATCHED).one("ConfigMap", "fraud-dashboard")["metadata"]["labels"]["grafana_dashboard"]
        == "1"
    )


def test_panels_do_not_overlap(helm: str) -> None:
    places = [tuple(panel["gridPos"].values()) for panel in dashboard(helm)["panels"]]
    assert len(set(places)) == len(places) == 12


def test_two_models_have_two_dashboards(helm: str) -> None:
    boards = [
        render(helm, "fairlead-model", WATCHED, release=name).one("ConfigMap", f"{name}-dashboard")
        for name in ("a", "b")
    ]
    assert len({json.loads(next(iter(board["data"].values())))["uid"] for board in boards}) == 2
