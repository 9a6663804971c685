"""How requests reach the model, who may send them, and what the driver finds: Services, routes, policies."""

from __future__ import annotations

from typing import Any

import pytest
from tests.helm.models import MANAGED, STATIC, with_values
from tests.helm.rendering import Rendered, render

from fairlead.release import names
from fairlead.release.objects import rules as driver_rules
from fairlead.release.policy import Policy

Object = dict[str, Any]


def model(helm: str, values: Object) -> Rendered:
    return render(helm, "fairlead-model", values)


# --------------------------------------------------------------------------------------------- no model yet


def test_without_a_model_everything_but_the_pods_is_there(helm: str) -> None:
    rendered = model(helm, {})
    assert sorted(rendered.names()) == [
        "ConfigMap/fraud-policy",
        "HTTPRoute/fraud",
        "HorizontalPodAutoscaler/fraud-blue",
        "HorizontalPodAutoscaler/fraud-green",
        "NetworkPolicy/fraud",
        "PodDisruptionBudget/fraud-blue",
        "PodDisruptionBudget/fraud-green",
        "Service/fraud",
        "Service/fraud-blue",
        "Service/fraud-green",
        "ServiceAccount/fraud",
    ]


def notes(helm: str, values: Object) -> str:
    """What helm prints after an installation."""
    shown = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata: {text: {{ include "model.notes" . | toJson }}}'
    text: str = model(helm, {**values, "extraObjects": [shown]}).one("ConfigMap", "notes")["data"]["text"]
    return text


NOTES: dict[str, tuple[Object, str]] = {
    "no model": (
        {},
        "fairlead bundle values champion > bundle.yaml\n  helm upgrade fraud --namespace serving",
    ),
    "no model, static": ({"mode": "static"}, "Mode is static: put what it prints under static.blue."),
    "managed": (MANAGED, "helm test fraud --namespace serving --logs"),
    "static": (STATIC, "kubectl rollout status deployment/fraud-green --namespace serving"),
    "host": (
        with_values(MANAGED, {"traffic": {"host": "a.b", "pathPrefix": "/m", "stripPrefix": True}}),
        "Requests from outside: POST http://a.b/m/predict",
    ),
}


@pytest.mark.parametrize(("values", "command"), NOTES.values(), ids=NOTES)
def test_the_notes_name_the_next_command(values: Object, command: str, helm: str) -> None:
    assert command in notes(helm, values)


# ----------------------------------------------------------------------------- what is the driver's in mode managed


def test_what_the_driver_owns_is_not_rendered(helm: str) -> None:
    rendered = model(helm, with_values(MANAGED, {"traffic": {"previewHost": "p.example.com"}}))
    assert "selector" not in rendered.one("Service", "fraud")["spec"]
    assert not [route["metadata"]["name"] for route in rendered.all("HTTPRoute") if "rules" in route["spec"]]
    assert not [one for one in rendered.all("HorizontalPodAutoscaler") if "minReplicas" in one["spec"]]
    assert rendered.all("Deployment") == []


def policy(helm: str, values: Object) -> Policy:
    config = model(helm, values).one("ConfigMap", "fraud-policy")
    assert config["metadata"]["labels"][names.ROLE] == "policy"
    return Policy.parse(config["data"]["policy.json"])


def test_the_driver_can_read_the_policy(helm: str) -> None:
    said = policy(helm, with_values(MANAGED, {
        "traffic": {"previewHost": "p.example.com", "pathPrefix": "/fraud", "stripPrefix": True, "timeoutSeconds": 30},
        "scale": {"minReplicas": 3},
        "release": {"windowSeconds": 60, "readySeconds": 90, "profile": "demo", "probe": {"timeoutSeconds": 2},
                    "objectiveMilliseconds": 40, "plan": {"strategy": "canary", "steps": [10]}},
    }))  # fmt: skip
    plan = said.release
    assert plan is not None
    assert (plan.strategy, plan.steps, plan.profile) == ("canary", (10.0,), "demo")
    assert said.model_dump(by_alias=True, exclude={"release"}) == {
        "model": "fraud",
        "traffic": {
            "backend": "gateway",
            "route": "fraud",
            "previewRoute": "fraud-preview",
            "pathPrefix": "/fraud",
            "stripPrefix": True,
        },
        "scale": {"floor": 3},
        "windowSeconds": 60,
        "readySeconds": 90,
        "probe": {"path": "/predict", "timeoutSeconds": 2},
        "drainSeconds": 40,
        "profile": "demo",
        "objectiveMs": 40.0,
    }


def test_without_a_gateway_the_policy_names_no_route(helm: str) -> None:
    said = policy(helm, with_values(MANAGED, {"traffic": {"backend": "service"}}))
    assert (said.traffic.backend, said.traffic.route, said.traffic.preview_route) == ("service", None, None)


@pytest.mark.parametrize(("least", "capacity", "floor"), [(2, 0, 2), (2, 5, 5), (6, 5, 6)])
def test_the_floor_is_what_is_asked_for_or_what_the_load_needs(
    least: int, capacity: int, floor: int, helm: str
) -> None:
    values = {"scale": {"minReplicas": least}, "capacity": {"replicas": capacity}}
    assert policy(helm, with_values(MANAGED, values)).scale.floor == floor


def test_every_object_carries_the_label_the_driver_and_kubectl_select_by(helm: str) -> None:
    for values in (MANAGED, STATIC):
        assert {one["metadata"]["labels"][names.MODEL] for one in model(helm, values).objects} == {"fraud"}


# ------------------------------------------------------------------------------------------------ Services


@pytest.mark.parametrize("slot", names.SLOTS)
@pytest.mark.parametrize("values", [MANAGED, STATIC], ids=["managed", "static"])
def test_the_service_of_a_slot_selects_the_slot(values: Object, slot: str, helm: str) -> None:
    spec = model(helm, values).one("Service", f"fraud-{slot}")["spec"]
    assert spec["selector"] == {"fairlead.dev/model": "fraud", "fairlead.dev/slot": slot}
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]
    assert spec["publishNotReadyAddresses"] is False


@pytest.mark.parametrize("slot", names.SLOTS)
def test_in_mode_static_the_service_selects_the_live_slot(slot: str, helm: str) -> None:
    spec = model(helm, with_values(STATIC, {"static": {"live": slot}})).one("Service", "fraud")["spec"]
    assert spec["selector"] == {"fairlead.dev/model": "fraud", "fairlead.dev/slot": slot}


def test_two_releases_select_different_pods(helm: str) -> None:
    fraud, prices = (render(helm, "fairlead-model", STATIC, release=name) for name in ("fraud", "prices"))
    assert not set(fraud.names()) & set(prices.names())
    selectors = [one["spec"]["selector"] for rendered in (fraud, prices) for one in rendered.all("Service")]
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in fraud.all("Deployment")]
    assert not [
        s
        for s in selectors
        if s["fairlead.dev/model"] == "prices" and any(s.items() <= p.items() for p in pods)
    ]


# -------------------------------------------------------------------------------------------------- routes


def route(helm: str, values: Object, name: str = "fraud") -> Object:
    spec: Object = model(helm, values).one("HTTPRoute", name)["spec"]
    return spec


def test_a_route_attaches_to_the_gateway_by_host(helm: str) -> None:
    values = with_values(
        MANAGED, {"traffic": {"host": "a.b", "gateway": {"name": "g", "namespace": "n", "sectionName": "s"}}}
    )
    assert route(helm, values) == {
        "parentRefs": [{"name": "g", "namespace": "n", "sectionName": "s"}],
        "hostnames": ["a.b"],
    }


WEIGHTS = {"canary": (90, 10), "all to blue": (1, 0), "all to green": (0, 1), "even": (50, 50)}


@pytest.mark.parametrize(("blue", "green"), WEIGHTS.values(), ids=WEIGHTS)
def test_in_mode_static_the_weights_are_the_values(blue: int, green: int, helm: str) -> None:
    [rule] = route(
        helm, with_values(STATIC, {"static": {"blue": {"weight": blue}, "green": {"weight": green}}})
    )["rules"]
    given = {one["name"]: one["weight"] for one in rule["backendRefs"]}
    assert given == {
        name: weight for name, weight in {"fraud-blue": blue, "fraud-green": green}.items() if weight
    }


@pytest.mark.parametrize(("live", "idle"), [("blue", "green"), ("green", "blue")])
def test_in_mode_static_the_preview_shows_the_other_slot(live: str, idle: str, helm: str) -> None:
    values = with_values(
        STATIC, {"static": {"live": live}, "traffic": {"host": "a.b", "previewHost": "p.a.b"}}
    )
    preview = route(helm, values, "fraud-preview")
    assert preview["hostnames"] == ["p.a.b"]
    assert [one["name"] for rule in preview["rules"] for one in rule["backendRefs"]] == [f"fraud-{idle}"]


@pytest.mark.parametrize("strip", [False, True], ids=["prefix kept", "prefix stripped"])
def test_in_mode_static_a_rule_matches_and_rewrites_as_the_drivers_do(strip: bool, helm: str) -> None:
    traffic = {"traffic": {"pathPrefix": "/fraud", "stripPrefix": strip}}
    [ours] = route(helm, with_values(STATIC, traffic))["rules"]
    [drivers] = driver_rules(policy(helm, with_values(MANAGED, traffic)), {"blue": 100})
    assert {**ours, "backendRefs": []} == {**drivers, "backendRefs": []}


def test_the_service_backend_needs_no_gateway_api(helm: str) -> None:
    for values in (MANAGED, STATIC):
        rendered = model(helm, with_values(values, {"traffic": {"backend": "service"}}))
        assert not [one for one in rendered.objects if one["apiVersion"].startswith("gateway.")]


LISTENERS: dict[str, tuple[Object, Object]] = {
    "http": ({}, {"name": "http", "protocol": "HTTP", "port": 80}),
    "https": (
        {"tls": {"existingSecret": "fraud-tls"}},
        {
            "name": "https",
            "protocol": "HTTPS",
            "port": 443,
            "tls": {"mode": "Terminate", "certificateRefs": [{"name": "fraud-tls"}]},
        },
    ),
}


@pytest.mark.parametrize(("gateway", "listener"), LISTENERS.values(), ids=LISTENERS)
def test_a_gateway_of_its_own_takes_routes_of_its_namespace(
    gateway: Object, listener: Object, helm: str
) -> None:
    values = with_values(
        MANAGED, {"traffic": {"gateway": {"create": True, "className": "traefik", **gateway}}}
    )
    rendered = model(helm, values)
    spec = rendered.one("Gateway", "fraud")["spec"]
    assert spec["listeners"] == [{**listener, "allowedRoutes": {"namespaces": {"from": "Same"}}}]
    assert rendered.one("HTTPRoute", "fraud")["spec"]["parentRefs"] == [{"name": "fraud"}]


# ------------------------------------------------------------------------------------------- NetworkPolicy


def network(helm: str, values: Object) -> Object:
    spec: Object = model(helm, values).one("NetworkPolicy", "fraud")["spec"]
    return spec


def _namespaces(rule: Object, key: str) -> list[str]:
    peers = [peer["namespaceSelector"]["matchLabels"] for peer in rule[key] if "namespaceSelector" in peer]
    return [labels["kubernetes.io/metadata.name"] for labels in peers]


def test_all_traffic_of_the_models_pods_is_denied_but_what_is_listed(helm: str) -> None:
    spec = network(helm, MANAGED)
    assert spec["podSelector"] == {"matchLabels": {"fairlead.dev/model": "fraud"}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]


CALLERS: dict[str, tuple[Object, list[str]]] = {
    "default": ({}, ["gateway-system", "monitoring", "fairlead-system"]),
    "another gateway": (
        {"traffic": {"gateway": {"namespace": "edge"}}},
        ["edge", "monitoring", "fairlead-system"],
    ),
    "a gateway of its own": (
        {"traffic": {"gateway": {"create": True, "className": "c"}}},
        ["serving", "monitoring", "fairlead-system"],
    ),
    "proxies of the gateway elsewhere": (
        {"networkPolicy": {"gatewayNamespaces": ["envoy"]}},
        ["envoy", "monitoring", "fairlead-system"],
    ),
    "no gateway, clients": (
        {"traffic": {"backend": "service"}, "networkPolicy": {"clientNamespaces": ["shop"]}},
        ["monitoring", "fairlead-system", "shop"],
    ),
    "no monitoring": ({"networkPolicy": {"monitoringNamespace": ""}}, ["gateway-system", "fairlead-system"]),
}


@pytest.mark.parametrize(("values", "callers"), CALLERS.values(), ids=CALLERS)
def test_who_may_call(values: Object, callers: list[str], helm: str) -> None:
    [rule] = network(helm, with_values(MANAGED, values))["ingress"]
    assert _namespaces(rule, "from") == callers
    assert rule["from"][-1] == {"podSelector": {"matchLabels": {"fairlead.dev/model": "fraud"}}}
    assert rule["ports"] == [{"protocol": "TCP", "port": 8080}]


def test_the_allowed_port_is_the_containers(helm: str) -> None:
    rendered = model(helm, MANAGED)
    [container] = rendered.one("PodTemplate", "fraud")["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]


def test_pods_may_ask_each_other_dns_and_the_store(helm: str) -> None:
    own, dns, store = network(helm, MANAGED)["egress"]
    assert own == {
        "to": [{"podSelector": {"matchLabels": {"fairlead.dev/model": "fraud"}}}],
        "ports": [{"protocol": "TCP", "port": 8080}],
    }
    assert _namespaces(dns, "to") == ["kube-system"]
    assert dns["ports"] == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    assert _namespaces(store, "to") == ["fairlead-system"]
    assert store["ports"] == [{"protocol": "TCP", "port": 7070}]


@pytest.mark.parametrize(
    "source", [{"baked": True}, {"volume": {"claimName": "bundles"}}], ids=["baked", "volume"]
)
def test_pods_that_fetch_nothing_may_not_reach_the_store(source: Object, helm: str) -> None:
    assert len(network(helm, with_values(MANAGED, {"bundle": {"uri": "", **source}}))["egress"]) == 2


def test_peers_by_address_and_rules_of_your_own(helm: str) -> None:
    own_rule = {"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}]}
    spec = network(helm, with_values(MANAGED, {
        "proxy": {"https": "http://10.0.0.9:3128"},
        "networkPolicy": {
            "store": [{"cidr": "10.2.0.0/16"}],
            "proxies": [{"cidr": "10.0.0.9/32", "port": 3128}],
            "extraEgress": [own_rule],
            "extraIngress": [{"from": own_rule["to"]}],
        },
    }))  # fmt: skip
    assert spec["egress"][2:] == [
        {"to": [{"ipBlock": {"cidr": "10.2.0.0/16"}}]},
        {"to": [{"ipBlock": {"cidr": "10.0.0.9/32"}}], "ports": [{"protocol": "TCP", "port": 3128}]},
        own_rule,
    ]
    assert spec["ingress"][1:] == [{"from": own_rule["to"]}]


def test_the_pod_of_helm_test_is_under_the_policy_and_in_no_slot(helm: str) -> None:
    labels = model(helm, MANAGED).one("Pod", "fraud-test")["metadata"]["labels"]
    assert labels["fairlead.dev/model"] == "fraud"
    assert "fairlead.dev/slot" not in labels
