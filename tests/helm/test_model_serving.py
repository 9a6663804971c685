"""What the model chart tells the server: interfaces, limits, access, traces; and where the prediction log goes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.helm.models import MANAGED, STATIC, with_values
from tests.helm.rendering import Rendered, render
from tests.helm.restricted import faults_of

from fairlead.serve.assembly import Assembly

Object = dict[str, Any]

LOG: Object = {"log": {"enabled": True, "target": "s3://logs/fraud"}}
LOG_ON_A_VOLUME: Object = {"log": {"enabled": True, "volume": {"claimName": "logs", "path": "fraud"}}}
CLOSED: Object = {"access": {"keysSecret": {"name": "clients"}, "internalTokenSecret": {"name": "internal"}}}
GRPC: Object = {"serving": {"grpc": {"enabled": True, "port": 9001}}}


def model(helm: str, more: Object, base: Object = MANAGED) -> Rendered:
    return render(helm, "fairlead-model", with_values(base, more))


def wanted_pod(helm: str, more: Object) -> Object:
    spec: Object = model(helm, more).one("PodTemplate", "fraud")["template"]["spec"]
    return spec


def container(pod: Object, name: str) -> Object:
    [found] = [one for one in [*pod.get("initContainers", []), *pod["containers"]] if one["name"] == name]
    return dict(found)


def variables(helm: str, more: Object) -> dict[str, str]:
    """The server's environment, without what comes from the pod's own fields."""
    env = container(wanted_pod(helm, more), "serve")["env"]
    return {one["name"]: one["value"] for one in env if "value" in one}


def added(helm: str, more: Object) -> dict[str, str]:
    """The variables that *more* adds or changes."""
    return dict(variables(helm, more).items() - variables(helm, {}).items())


# --------------------------------------------------------------------------------------------- the server

TOLD: dict[str, tuple[Object, dict[str, str]]] = {
    "an interface": ({"serving": {"apis": ["graphql"]}}, {"FAIRLEAD_APIS": "graphql"}),
    "gRPC": (GRPC, {"FAIRLEAD_GRPC_PORT": "9001"}),
    "limits": (
        {"serving": {"limits": {"bodyBytes": 200_000_000, "rows": 50_000, "concurrency": 2, "queue": 8}}},
        {
            "FAIRLEAD_LIMIT_BODY_BYTES": "200000000",
            "FAIRLEAD_LIMIT_ROWS": "50000",
            "FAIRLEAD_LIMIT_CONCURRENCY": "2",
            "FAIRLEAD_LIMIT_QUEUE": "8",
        },
    ),
    "traces": (
        {
            "serving": {"tracing": {"endpoint": "http://collector:4318", "sample": 0.5}},
            "networkPolicy": {"services": [{"namespace": "observability"}]},
        },
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "FAIRLEAD_TRACE_SAMPLE": "0.5"},
    ),
    "a shadow": (
        {"shadow": {"url": "http://next", "sample": 0.25}},
        {"FAIRLEAD_SHADOW_URL": "http://next", "FAIRLEAD_SHADOW_SAMPLE": "0.25"},
    ),
    "a rate": ({"access": {"ratePerSecond": 2.5}}, {"FAIRLEAD_RATE_PER_SECOND": "2.5"}),
    "sites": (
        {"access": {"corsOrigins": ["https://a.b", "https://c.d:8443"]}},
        {"FAIRLEAD_CORS_ORIGINS": "https://a.b,https://c.d:8443"},
    ),
    "API keys": (
        CLOSED,
        {
            "FAIRLEAD_KEYS_FILE": "/etc/fairlead/credentials/keys",
            "FAIRLEAD_INTERNAL_TOKEN_FILE": "/etc/fairlead/credentials/internal",
        },
    ),
    "tokens": (
        {
            "access": {
                "jwt": {
                    "jwksUrl": "https://login.example.com/keys",
                    "algorithm": "EdDSA",
                    "issuer": "https://login.example.com",
                    "audience": "fraud",
                },
                "internalTokenSecret": {"name": "internal"},
            },
            "networkPolicy": {"services": [{"cidr": "192.0.2.0/24", "port": 443}]},
        },
        {
            "FAIRLEAD_JWT_JWKS_URL": "https://login.example.com/keys",
            "FAIRLEAD_JWT_ALGORITHM": "EdDSA",
            "FAIRLEAD_JWT_ISSUER": "https://login.example.com",
            "FAIRLEAD_JWT_AUDIENCE": "fraud",
            "FAIRLEAD_INTERNAL_TOKEN_FILE": "/etc/fairlead/credentials/internal",
        },
    ),
    "a log": (
        {"log": {**LOG["log"], "shipEverySeconds": 20, "sizeMebibytes": 500}},
        {
            "FAIRLEAD_LOG_FOLDER": "/var/log/fairlead",
            "FAIRLEAD_LOG_SEGMENT_SECONDS": "20",
            "FAIRLEAD_LOG_KEEP_BYTES": str(400 * 1024 * 1024),
        },
    ),
}


@pytest.mark.parametrize(("values", "told"), TOLD.values(), ids=TOLD)
def test_a_value_reaches_the_server(values: Object, told: dict[str, str], helm: str) -> None:
    assert added(helm, values) == told


@pytest.mark.parametrize("case", TOLD)
def test_the_server_takes_what_it_is_told(case: str, helm: str, tmp_path: Any) -> None:
    """The server itself reads the variables. Files they name are put where the test can."""
    told = dict(TOLD[case][1])
    for name in [name for name in told if name.endswith("_FILE")]:
        file = tmp_path / name
        file.write_text(f"shop: sha256:{'0' * 64}\n", encoding="utf-8")
        told[name] = str(file)
    assert Assembly(told).settings.port == 8080


def test_by_default_the_server_is_told_nothing_that_is_off(helm: str) -> None:
    names = [name for name in variables(helm, {}) if name.startswith(("FAIRLEAD_", "OTEL_"))]
    assert sorted(names) == [
        "FAIRLEAD_GRACE_SECONDS",
        "FAIRLEAD_KEEP_ALIVE_SECONDS",
        "FAIRLEAD_LIMIT_MEMORY_BYTES",
        "FAIRLEAD_LIMIT_SECONDS",
        "FAIRLEAD_PORT",
    ]


MEMORY: dict[str, tuple[Object, int | None]] = {
    "default": ({}, 512 * 1024 * 1024 * 9 // 10),
    "capacity": ({"capacity": {"memory": "1Gi"}}, 1024**3 * 9 // 10),
    "decimal": ({"resources": {"limits": {"memory": "1.5G"}}}, 1_350_000_000),
    "bytes": ({"resources": {"limits": {"memory": 1_000_000_000}}}, 900_000_000),
    "a form of another kind": ({"resources": {"limits": {"memory": "1e9"}}}, None),
    "several workers": ({"serving": {"workers": 2}}, None),
}


@pytest.mark.parametrize(("values", "most"), MEMORY.values(), ids=MEMORY)
def test_the_server_ends_itself_before_the_kernel_does(values: Object, most: int | None, helm: str) -> None:
    told = variables(helm, values).get("FAIRLEAD_LIMIT_MEMORY_BYTES")
    assert told == (None if most is None else str(most))


def test_several_workers_add_up_their_counters_in_memory(helm: str) -> None:
    values = {"serving": {"workers": 3}}
    told, pod = variables(helm, values), wanted_pod(helm, values)
    assert (told["FAIRLEAD_WORKERS"], told["FAIRLEAD_METRICS_FOLDER"]) == ("3", "/run/fairlead/metrics")
    assert {"name": "metrics", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}} in pod["volumes"]
    assert {"name": "metrics", "mountPath": "/run/fairlead/metrics"} in container(pod, "serve")[
        "volumeMounts"
    ]


# --------------------------------------------------------------------------------------------------- gRPC


@pytest.mark.parametrize("name", ["fraud", "fraud-blue", "fraud-green"])
@pytest.mark.parametrize("base", [MANAGED, STATIC], ids=["managed", "static"])
def test_each_service_has_a_port_of_grpc(base: Object, name: str, helm: str) -> None:
    ports = model(helm, GRPC, base).one("Service", name)["spec"]["ports"]
    assert ports[1:] == [
        {"name": "grpc", "port": 9001, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"}
    ]


def test_the_pod_opens_it_and_the_network_lets_it_in(helm: str) -> None:
    rendered = model(helm, GRPC)
    pod = rendered.one("PodTemplate", "fraud")["template"]["spec"]
    assert {"name": "grpc", "containerPort": 9001} in container(pod, "serve")["ports"]
    policy = rendered.one("NetworkPolicy", "fraud")["spec"]
    open_ports = [{"protocol": "TCP", "port": 8080}, {"protocol": "TCP", "port": 9001}]
    assert [policy["ingress"][0]["ports"], policy["egress"][0]["ports"]] == [open_ports, open_ports]


# ------------------------------------------------------------------------------------------------- access


def test_credentials_are_files_that_follow_their_secrets(helm: str) -> None:
    pod = wanted_pod(helm, with_values(CLOSED, {"log": {**LOG["log"], "saltSecret": {"name": "salt"}}}))
    [volume] = [one for one in pod["volumes"] if one["name"] == "credentials"]
    assert {
        (one["secret"]["name"], item["key"], item["path"])
        for one in volume["projected"]["sources"]
        for item in one["secret"]["items"]
    } == {("clients", "keys", "keys"), ("internal", "token", "internal"), ("salt", "salt", "salt")}
    [mount] = [one for one in container(pod, "serve")["volumeMounts"] if one["name"] == "credentials"]
    # With a subPath the file would stay what it was when the pod started.
    assert mount == {"name": "credentials", "mountPath": "/etc/fairlead/credentials", "readOnly": True}


def test_the_sidecar_does_not_see_the_servers_credentials(helm: str) -> None:
    ship = container(wanted_pod(helm, {**CLOSED, **LOG}), "ship")
    assert "credentials" not in {mount["name"] for mount in ship["volumeMounts"]}


def test_helm_test_shows_the_internal_credential(helm: str) -> None:
    spec = model(helm, CLOSED).one("Pod", "fraud-test")["spec"]
    [scored] = spec["containers"]
    assert {"name": "FAIRLEAD_INTERNAL_TOKEN_FILE", "value": "/etc/fairlead/credentials/internal"} in scored[
        "env"
    ]
    [volume] = [one for one in spec["volumes"] if one["name"] == "credentials"]
    assert volume["secret"] == {"secretName": "internal", "items": [{"key": "token", "path": "internal"}]}


def test_the_driver_has_no_credential_and_is_given_no_rows_to_send(helm: str) -> None:
    notes = model(helm, CLOSED).one("PodTemplate", "fraud")["metadata"]["annotations"]
    assert notes["fairlead.dev/probe"] == '{"rows":[]}'


# ------------------------------------------------------------------------------------------ prediction log


@pytest.mark.parametrize(
    "more", [LOG, LOG_ON_A_VOLUME, {**LOG, **CLOSED}], ids=["bucket", "volume", "closed"]
)
@pytest.mark.parametrize("base", [MANAGED, STATIC], ids=["managed", "static"])
def test_pods_with_a_log_fit_the_profile_restricted(base: Object, more: Object, helm: str) -> None:
    pods = dict(model(helm, more, base).pods())
    assert {name: faults_of(pod) for name, pod in pods.items()} == {name: [] for name in pods}


def test_the_shipper_starts_before_the_server_and_ends_after_it(helm: str) -> None:
    pod = wanted_pod(helm, LOG)
    assert [one["name"] for one in pod["initContainers"]] == ["fetch", "ship"]
    assert container(pod, "ship")["restartPolicy"] == "Always"
    assert pod["terminationGracePeriodSeconds"] == wanted_pod(helm, {})["terminationGracePeriodSeconds"] + 30


def test_without_a_log_there_is_no_shipper(helm: str) -> None:
    assert [one["name"] for one in wanted_pod(helm, {})["initContainers"]] == ["fetch"]


def test_the_shipper_takes_from_where_the_server_writes(helm: str) -> None:
    pod = wanted_pod(helm, LOG)
    mount = {"name": "log", "mountPath": "/var/log/fairlead"}
    assert mount in container(pod, "serve")["volumeMounts"]
    assert mount in container(pod, "ship")["volumeMounts"]
    assert {"name": "log", "emptyDir": {"sizeLimit": "1024Mi"}} in pod["volumes"]


COMMANDS: dict[str, tuple[Object, list[str]]] = {
    "bucket": (LOG, ["s3://logs/fraud", "--every=15", "--age=300"]),
    "volume": (LOG_ON_A_VOLUME, ["/archive/fraud", "--every=15", "--age=300"]),
    "root of a volume": (
        {"log": {"enabled": True, "volume": {"claimName": "logs"}}},
        ["/archive", "--every=15", "--age=300"],
    ),
    "often, for a while": (
        {"log": {**LOG["log"], "shipEverySeconds": 2, "keepDays": 7.5}},
        ["s3://logs/fraud", "--every=2", "--age=2", "--keep-days=7.5"],
    ),
}


@pytest.mark.parametrize(("values", "words"), COMMANDS.values(), ids=COMMANDS)
def test_where_it_ships_to_and_how_often(values: Object, words: list[str], helm: str) -> None:
    command = container(wanted_pod(helm, values), "ship")["command"]
    assert command == ["fairlead", "log", "ship", "/var/log/fairlead", *words]


def test_only_the_shipper_has_the_buckets_credentials(helm: str) -> None:
    pod = wanted_pod(helm, {"log": {**LOG["log"], "existingSecret": "bucket", "environment": "where"}})
    assert container(pod, "ship")["envFrom"] == [
        {"configMapRef": {"name": "where", "optional": True}},
        {"secretRef": {"name": "bucket", "optional": True}},
    ]
    assert "envFrom" not in container(pod, "serve")


def test_a_log_on_a_volume_needs_no_credentials(helm: str) -> None:
    pod = wanted_pod(helm, LOG_ON_A_VOLUME)
    assert "envFrom" not in container(pod, "ship")
    assert {"name": "log-target", "persistentVolumeClaim": {"claimName": "logs"}} in pod["volumes"]
    assert "log-target" not in {mount["name"] for mount in container(pod, "serve")["volumeMounts"]}


@pytest.mark.parametrize(("more", "rules"), [(LOG, 3), (LOG_ON_A_VOLUME, 2)], ids=["bucket", "volume"])
def test_the_store_is_within_reach_if_the_log_goes_there(more: Object, rules: int, helm: str) -> None:
    values = with_values(more, {"bundle": {"uri": "", "baked": True}})
    assert len(model(helm, values).one("NetworkPolicy", "fraud")["spec"]["egress"]) == rules


def test_what_the_server_calls_is_within_reach(helm: str) -> None:
    values = {"networkPolicy": {"services": [{"namespace": "observability", "port": 4318}]}}
    assert model(helm, values).one("NetworkPolicy", "fraud")["spec"]["egress"][-1] == {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}],
        "ports": [{"protocol": "TCP", "port": 4318}],
    }


# ----------------------------------------------------------------------------------------------- revisions

EVERYTHING = with_values(
    with_values(CLOSED, LOG), with_values(GRPC, {"serving": {"workers": 2, "apis": ["graphql"]}})
)


def test_an_upgrade_that_changes_nothing_wants_the_same_pod(each_helm: str, helm: str) -> None:
    values = with_values(MANAGED, EVERYTHING)
    first = render(helm, "fairlead-model", values).one("PodTemplate", "fraud")
    again = render(each_helm, "fairlead-model", values, more=("--is-upgrade",)).one("PodTemplate", "fraud")
    assert first == again
