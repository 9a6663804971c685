"""How many pods: autoscalers, disruption budgets, and the replicas of static slots."""

from __future__ import annotations

from typing import Any

import pytest
from tests.helm.models import MANAGED, STATIC, with_values
from tests.helm.rendering import Rendered, render

Object = dict[str, Any]

CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
}
IN_FLIGHT = {
    "type": "Pods",
    "pods": {
        "metric": {"name": "fairlead_requests_in_flight"},
        "target": {"type": "AverageValue", "averageValue": "8"},
    },
}
PODS_METRIC = {"scale": {"podsMetric": {"name": "fairlead_requests_in_flight", "averageValue": 8}}}
GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}


def model(helm: str, values: Object) -> Rendered:
    return render(helm, "fairlead-model", values)


def autoscaler(helm: str, values: Object, slot: str = "blue") -> Object:
    spec: Object = model(helm, values).one("HorizontalPodAutoscaler", f"fraud-{slot}")["spec"]
    return spec


@pytest.mark.parametrize("slot", ["blue", "green"])
def test_each_slot_has_an_autoscaler_of_its_own(slot: str, helm: str) -> None:
    spec = autoscaler(helm, MANAGED, slot)
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"fraud-{slot}"}
    assert spec["maxReplicas"] == 10


METRICS: dict[str, tuple[Object, list[Object]]] = {
    "cpu": ({}, [CPU]),
    "cpu and the pods' own": (PODS_METRIC, [CPU, IN_FLIGHT]),
    "the pods' own": (with_values(PODS_METRIC, {"scale": {"cpuPercent": 0}}), [IN_FLIGHT]),
    "gpu": (with_values(PODS_METRIC, GPU), [IN_FLIGHT]),
}


@pytest.mark.parametrize(("values", "metrics"), METRICS.values(), ids=METRICS)
def test_scaled_on(values: Object, metrics: list[Object], helm: str) -> None:
    assert autoscaler(helm, with_values(MANAGED, values))["metrics"] == metrics


def test_pods_are_added_at_once_and_taken_away_slowly(helm: str) -> None:
    assert autoscaler(helm, MANAGED)["behavior"] == {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15},
                {"type": "Pods", "value": 4, "periodSeconds": 15},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
        },
    }


def test_without_autoscaling_there_is_no_autoscaler(helm: str) -> None:
    assert (
        model(helm, with_values(MANAGED, {"scale": {"autoscale": False}})).all("HorizontalPodAutoscaler")
        == []
    )


# ------------------------------------------------------------------------------------------- static slots


def test_the_number_of_pods_is_the_autoscalers_and_not_the_deployments(helm: str) -> None:
    rendered = model(helm, STATIC)
    assert [one for one in rendered.all("Deployment") if "replicas" in one["spec"]] == []
    assert [autoscaler(helm, STATIC, slot)["minReplicas"] for slot in ("blue", "green")] == [2, 1]


def test_without_autoscaling_the_deployments_have_the_replicas_of_the_values(helm: str) -> None:
    rendered = model(helm, with_values(STATIC, {"scale": {"autoscale": False}}))
    assert [one["spec"]["replicas"] for one in rendered.all("Deployment")] == [2, 1]


def test_a_slot_without_pods_has_no_autoscaler_that_would_give_it_some(helm: str) -> None:
    rendered = model(helm, with_values(STATIC, {"static": {"green": {"replicas": 0, "weight": 0}}}))
    assert [one["metadata"]["name"] for one in rendered.all("HorizontalPodAutoscaler")] == ["fraud-blue"]
    assert rendered.one("Deployment", "fraud-green")["spec"]["replicas"] == 0


def test_a_static_deployment_is_the_slots_and_keeps_old_pods_until_new_ones_are_ready(helm: str) -> None:
    spec = model(helm, STATIC).one("Deployment", "fraud-blue")["spec"]
    slot = {"fairlead.dev/model": "fraud", "fairlead.dev/slot": "blue"}
    assert spec["selector"] == {"matchLabels": slot}
    assert slot.items() <= spec["template"]["metadata"]["labels"].items()
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


# ---------------------------------------------------------------------------------------------- disruption


@pytest.mark.parametrize("slot", ["blue", "green"])
@pytest.mark.parametrize("most", [1, 2, "25%"])
def test_evictions_take_so_many_pods_of_a_slot_at_once(slot: str, most: int | str, helm: str) -> None:
    spec = model(helm, with_values(MANAGED, {"scale": {"maxUnavailable": most}})).one(
        "PodDisruptionBudget", f"fraud-{slot}"
    )["spec"]
    assert spec["maxUnavailable"] == most
    assert spec["selector"] == {"matchLabels": {"fairlead.dev/model": "fraud", "fairlead.dev/slot": slot}}


def test_a_budget_can_never_keep_a_node_from_being_drained(helm: str) -> None:
    for one in model(helm, with_values(MANAGED, {"scale": {"minReplicas": 1}})).all("PodDisruptionBudget"):
        assert "minAvailable" not in one["spec"]
        assert one["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
