"""The pods of the model chart: security, where the bundle comes from, probes, draining, resources, revisions."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helm.models import DIGEST, MANAGED, OTHER, ROWS, STATIC, bundle, with_values
from tests.helm.rendering import CHARTS, Rendered, render
from tests.helm.restricted import faults_of

IMAGE_DIGEST = "sha256:" + "1" * 64

EVERY_POD: dict[str, dict[str, Any]] = {
    "managed": MANAGED,
    "static": STATIC,
    "baked": {"bundle": {**bundle(), "uri": "", "baked": True}},
    "volume": {"bundle": {**bundle(), "uri": "", "volume": {"claimName": "bundles", "path": "fraud"}}},
    "trust and proxy": with_values(
        MANAGED,
        {
            "trust": {"configMap": "ca"},
            "proxy": {"https": "http://p:1"},
            "networkPolicy": {"proxies": [{"cidr": "10.0.0.1/32"}]},
        },
    ),
}


def model(helm: str, values: dict[str, Any]) -> Rendered:
    return render(helm, "fairlead-model", values)


def wanted_pod(helm: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """The spec of the pod that a managed release wants."""
    spec: dict[str, Any] = model(helm, with_values(MANAGED, more or {})).one("PodTemplate", "fraud")[
        "template"
    ]["spec"]
    return spec


def container(pod: dict[str, Any], name: str = "serve") -> dict[str, Any]:
    [found] = [one for one in [*pod.get("initContainers", []), *pod["containers"]] if one["name"] == name]
    return dict(found)


def environment(of: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value") for one in of["env"]}


# --------------------------------------------------------------------------------------------- security


@pytest.mark.parametrize("values", EVERY_POD.values(), ids=EVERY_POD)
def test_every_pod_fits_the_profile_restricted(values: dict[str, Any], helm: str) -> None:
    pods = dict(model(helm, values).pods())
    assert pods
    assert {name: faults_of(pod) for name, pod in pods.items()} == {name: [] for name in pods}


@pytest.mark.parametrize("values", EVERY_POD.values(), ids=EVERY_POD)
def test_no_pod_has_a_token(values: dict[str, Any], helm: str) -> None:
    rendered = model(helm, values)
    assert {pod["automountServiceAccountToken"] for _, pod in rendered.pods()} == {False}
    assert rendered.one("ServiceAccount", "fraud")["automountServiceAccountToken"] is False


@pytest.mark.parametrize("values", EVERY_POD.values(), ids=EVERY_POD)
def test_only_the_init_container_sees_the_credentials_of_the_store(values: dict[str, Any], helm: str) -> None:
    pods = [pod for _, pod in model(helm, values).pods()]
    assert not [one for pod in pods for one in pod["containers"] if "envFrom" in one]


def test_an_openshift_cluster_can_choose_the_user(helm: str) -> None:
    security = wanted_pod(helm, {"security": {"runAsUser": 0}})["securityContext"]
    assert security["runAsNonRoot"] is True
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(security)


# ------------------------------------------------------------------------------------------- the bundle


def test_a_bundle_in_a_store_is_fetched_and_verified_before_the_server_starts(helm: str) -> None:
    fetch = container(wanted_pod(helm), "fetch")
    assert fetch["command"] == ["fairlead", "bundle", "fetch", f"s3://fairlead/bundles/{DIGEST}.tar",
                                "--digest", DIGEST, "--to", "/fetched/bundle"]  # fmt: skip
    assert fetch["envFrom"] == [
        {"configMapRef": {"name": "fairlead-environment", "optional": True}},
        {"secretRef": {"name": "fairlead-store", "optional": True}},
    ]


def test_the_server_sees_what_was_fetched_and_cannot_change_it(helm: str) -> None:
    pod = wanted_pod(helm)
    assert {"name": "bundle", "mountPath": "/fetched"} in container(pod, "fetch")["volumeMounts"]
    assert {"name": "bundle", "mountPath": "/bundle", "subPath": "bundle", "readOnly": True} in container(
        pod
    )["volumeMounts"]


def test_a_baked_bundle_needs_no_volume_and_no_credentials(helm: str) -> None:
    pod = wanted_pod(helm, {"bundle": {"uri": "", "baked": True}})
    assert "initContainers" not in pod
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]


def test_a_volume_holds_the_bundle_in_its_folder(helm: str) -> None:
    pod = wanted_pod(helm, {"bundle": {"uri": "", "volume": {"claimName": "bundles", "path": "fraud/7"}}})
    assert "initContainers" not in pod
    assert {"name": "bundle", "persistentVolumeClaim": {"claimName": "bundles", "readOnly": True}} in pod[
        "volumes"
    ]
    assert {"name": "bundle", "mountPath": "/bundle", "subPath": "fraud/7", "readOnly": True} in container(
        pod
    )["volumeMounts"]


@pytest.mark.parametrize(
    ("name", "image"), [("onnx", "serve"), ("treelite", "serve-sklearn"), ("skops", "serve-sklearn")]
)
def test_the_format_selects_the_image(name: str, image: str, helm: str) -> None:
    pod = wanted_pod(helm, {"bundle": {"format": name}})
    assert container(pod)["image"] == f"localhost/fairlead/{image}:0.1.0"


IMAGES: dict[str, tuple[dict[str, Any], str]] = {
    "tag": ({"serve": {"tag": "7"}}, "localhost/fairlead/serve:7"),
    "digest": ({"serve": {"tag": "7", "digest": IMAGE_DIGEST}}, f"localhost/fairlead/serve@{IMAGE_DIGEST}"),
    "registry for the host": ({"registry": "r.example.com/team/"}, "r.example.com/team/fairlead/serve:0.1.0"),
    "registry, no host": ({"registry": "r:5000", "serve": {"repository": "a/serve"}}, "r:5000/a/serve:0.1.0"),
    "one word": ({"registry": "r:5000", "serve": {"repository": "serve"}}, "r:5000/serve:0.1.0"),
    "host with a port": ({"registry": "r", "serve": {"repository": "q:5000/a/serve"}}, "r/a/serve:0.1.0"),
}


@pytest.mark.parametrize(("images", "reference"), IMAGES.values(), ids=IMAGES)
def test_an_image_is_named(images: dict[str, Any], reference: str, helm: str) -> None:
    assert container(wanted_pod(helm, {"images": images}))["image"] == reference


def test_with_a_digest_for_each_no_image_goes_by_a_tag(helm: str) -> None:
    images = {name: {"digest": IMAGE_DIGEST} for name in ("serve", "serveSklearn", "tools")}
    pods = model(helm, with_values(STATIC, {"images": images})).pods()
    references = {
        one["image"] for _, pod in pods for one in [*pod.get("initContainers", []), *pod["containers"]]
    }
    assert all(re.fullmatch(r"[a-z./-]+@sha256:[0-9a-f]{64}", reference) for reference in references), (
        references
    )


def test_a_tag_of_one_slot_is_not_undone_by_the_digest_of_both(helm: str) -> None:
    values = with_values(
        STATIC, {"images": {"serve": {"digest": IMAGE_DIGEST}}, "static": {"green": {"image": {"tag": "7"}}}}
    )
    slots = model(helm, values)
    images = [slots.one("Deployment", f"fraud-{slot}")["spec"]["template"]["spec"]["containers"][0]["image"]
              for slot in ("blue", "green")]  # fmt: skip
    assert images == [f"localhost/fairlead/serve@{IMAGE_DIGEST}", "localhost/fairlead/serve:7"]


# ------------------------------------------------------------------------------------- starting, stopping


def test_ready_asks_for_the_model_and_live_for_the_process(helm: str) -> None:
    serve = container(wanted_pod(helm))
    paths = {probe: serve[f"{probe}Probe"]["httpGet"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {
        "startup": {"path": "/readyz", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
        "liveness": {"path": "/livez", "port": "http"},
    }


@pytest.mark.parametrize(("seconds", "tries"), [(120, 60), (61, 31), (2, 1)])
def test_the_start_may_take_as_long_as_said(seconds: int, tries: int, helm: str) -> None:
    probe = container(wanted_pod(helm, {"probes": {"startupSeconds": seconds}}))["startupProbe"]
    assert (probe["failureThreshold"], probe["periodSeconds"]) == (tries, 2)


@pytest.mark.parametrize(("timeout", "propagation", "grace"), [(10, 5, 20), (1, 1, 7), (300, 15, 320)])
def test_a_stopping_pod_waits_then_finishes_the_longest_request(
    timeout: int, propagation: int, grace: int, helm: str
) -> None:
    pod = wanted_pod(helm, {"traffic": {"timeoutSeconds": timeout, "propagationSeconds": propagation}})
    assert container(pod)["lifecycle"] == {"preStop": {"sleep": {"seconds": propagation}}}
    assert pod["terminationGracePeriodSeconds"] == grace


def test_requests_come_in_by_the_lane_and_bentomls_port_is_private(helm: str) -> None:
    serve = container(wanted_pod(helm, {}))
    assert serve["command"] == ["bentoml", "serve", "/bundle/bento", "--host=127.0.0.1", "--port=3000"]
    assert serve["ports"] == [{"name": "http", "containerPort": int(environment(serve)["FAIRLEAD_PORT"])}]


def test_the_server_keeps_idle_connections_longer_than_the_gateway(helm: str) -> None:
    serve = container(wanted_pod(helm, {"traffic": {"gatewayKeepAliveSeconds": 90}}))
    assert environment(serve)["FAIRLEAD_KEEP_ALIVE_SECONDS"] == "95"


def test_the_time_out_reaches_the_server(helm: str) -> None:
    serve = container(wanted_pod(helm, {"traffic": {"timeoutSeconds": 42}}))
    assert environment(serve)["FAIRLEAD_LIMIT_SECONDS"] == "42"


def test_the_server_knows_its_slot_and_its_pod(helm: str) -> None:
    fields = {
        variable["name"]: variable["valueFrom"]["fieldRef"]["fieldPath"]
        for variable in container(wanted_pod(helm, {}))["env"]
        if "valueFrom" in variable and "fieldRef" in variable["valueFrom"]
    }
    assert fields == {
        "FAIRLEAD_SLOT": "metadata.labels['fairlead.dev/slot']",
        "FAIRLEAD_POD": "metadata.name",
        "FAIRLEAD_POD_UID": "metadata.uid",
    }


# ------------------------------------------------------------------------------------ resources and the rest


RESOURCES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "default": ({}, {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}}),
    "capacity": (
        {"capacity": {"cpu": "750m", "memory": "300Mi", "replicas": 4}},
        {"requests": {"cpu": "750m", "memory": "300Mi"}, "limits": {"memory": "300Mi"}},
    ),
    "capacity and a limit of cpu": (
        {"capacity": {"cpu": 1.5}, "resources": {"limits": {"cpu": 1}}},
        {"requests": {"cpu": "1.5", "memory": "512Mi"}, "limits": {"cpu": "1.5", "memory": "512Mi"}},
    ),
    "gpu": (
        {"resources": {"limits": {"nvidia.com/gpu": 1}}, "scale": {"autoscale": False}},
        {
            "requests": {"cpu": "250m", "memory": "512Mi"},
            "limits": {"memory": "512Mi", "nvidia.com/gpu": "1"},
        },
    ),
}


@pytest.mark.parametrize(("values", "resources"), RESOURCES.values(), ids=RESOURCES)
def test_resources(values: dict[str, Any], resources: dict[str, Any], helm: str) -> None:
    assert container(wanted_pod(helm, values))["resources"] == resources


def test_trust_replaces_the_authorities_of_every_container(helm: str) -> None:
    pod = wanted_pod(helm, {"trust": {"configMap": "company-ca", "key": "ca.pem"}})
    for name in ("fetch", "serve"):
        one = container(pod, name)
        variables = {
            environment(one)[key] for key in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
        }
        assert variables == {"/etc/fairlead/trust/ca.pem"}
        assert {"name": "trust", "mountPath": "/etc/fairlead/trust", "readOnly": True} in one["volumeMounts"]


def test_without_a_proxy_there_is_no_proxy_variable(helm: str) -> None:
    assert not [name for name in environment(container(wanted_pod(helm))) if "proxy" in name.lower()]


def test_extra_environment_comes_last_and_so_wins(helm: str) -> None:
    pod = wanted_pod(helm, {"extraEnv": [{"name": "HOME", "value": "/tmp/elsewhere"}]})
    assert [container(pod, name)["env"][-1] for name in ("fetch", "serve")] == [
        {"name": "HOME", "value": "/tmp/elsewhere"}
    ] * 2


def test_pods_of_a_slot_and_of_a_revision_are_spread_by_themselves(helm: str) -> None:
    for rule in wanted_pod(helm)["topologySpreadConstraints"]:
        assert rule["labelSelector"] == {"matchLabels": {"fairlead.dev/model": "fraud"}}
        assert rule["matchLabelKeys"] == ["fairlead.dev/slot", "pod-template-hash"]


SCHEDULING: dict[str, Any] = {
    "nodeSelector": {"pool": "models"},
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "priorityClassName": "high",
    "runtimeClassName": "gvisor",
}


@pytest.mark.parametrize("key", SCHEDULING)
def test_scheduling_reaches_every_pod(key: str, helm: str) -> None:
    pods = dict(model(helm, with_values(MANAGED, {"scheduling": SCHEDULING})).pods())
    assert {name: pod[key] for name, pod in pods.items()} == dict.fromkeys(pods, SCHEDULING[key])


# ---------------------------------------------------------------------------------------------- revisions


def wanted(helm: str, values: dict[str, Any], **options: Any) -> dict[str, Any]:
    return render(helm, "fairlead-model", values, **options).one("PodTemplate", "fraud")


def test_a_no_op_upgrade_wants_the_same_pod(helm: str) -> None:
    assert wanted(helm, MANAGED) == wanted(helm, MANAGED, more=("--is-upgrade",))


def test_both_helms_want_the_same_pod(each_helm: str, helm: str) -> None:
    assert wanted(each_helm, MANAGED)["template"] == wanted(helm, MANAGED)["template"]


def test_a_new_version_of_the_chart_alone_wants_the_same_pod(helm: str, tmp_path: Path) -> None:
    newer = shutil.copytree(CHARTS / "fairlead-model", tmp_path / "fairlead-model")
    chart = yaml.safe_load((newer / "Chart.yaml").read_text(encoding="utf-8"))
    (newer / "Chart.yaml").write_text(yaml.safe_dump({**chart, "version": "9.9.9"}), encoding="utf-8")
    old, new = wanted(helm, MANAGED), render(helm, str(newer), MANAGED).one("PodTemplate", "fraud")
    assert old["metadata"]["labels"] != new["metadata"]["labels"]
    assert old["template"] == new["template"]
    assert old["metadata"]["annotations"] == new["metadata"]["annotations"]


SAME: dict[str, dict[str, Any]] = {
    "labels of objects": {"labels": {"team": "risk"}},
    "annotations of objects": {"annotations": {"owner": "risk"}},
    "scale": {"scale": {"minReplicas": 3, "maxReplicas": 30}},
    "host": {"traffic": {"host": "fraud.example.com"}},
    "other example rows": {"bundle": {"probe": {"rows": [{"amount": 1}]}}},
    "alerts": {"monitoring": {"rules": {"enabled": True}}},
}

CHANGED: dict[str, dict[str, Any]] = {
    "bundle": {"bundle": bundle(OTHER)},
    "image": {"images": {"serve": {"tag": "2"}}},
    "time-out": {"traffic": {"timeoutSeconds": 11}},
    "environment": {"extraEnv": [{"name": "A", "value": "b"}]},
    "capacity": {"capacity": {"cpu": "1"}},
}


@pytest.mark.parametrize("values", SAME.values(), ids=SAME)
def test_what_is_not_in_the_pod_makes_no_revision(values: dict[str, Any], helm: str) -> None:
    assert _revision(wanted(helm, with_values(MANAGED, values))) == _revision(wanted(helm, MANAGED))


@pytest.mark.parametrize("values", CHANGED.values(), ids=CHANGED)
def test_what_is_in_the_pod_makes_a_revision(values: dict[str, Any], helm: str) -> None:
    assert _revision(wanted(helm, with_values(MANAGED, values))) != _revision(wanted(helm, MANAGED))


def _revision(template: dict[str, Any]) -> str:
    revision: str = template["metadata"]["annotations"]["fairlead.dev/revision"]
    assert re.fullmatch("[0-9a-f]{10}", revision)
    return revision


def test_what_the_driver_reads_of_a_revision(helm: str) -> None:
    template = wanted(helm, MANAGED)
    notes = template["metadata"]["annotations"]
    assert notes["fairlead.dev/bundle"] == DIGEST
    assert yaml.safe_load(notes["fairlead.dev/probe"]) == {"rows": ROWS}
    labels = template["template"]["metadata"]["labels"]
    assert labels["fairlead.dev/model"] == "fraud"
    assert "fairlead.dev/slot" not in labels
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels)


def test_the_fairlead_labels_of_a_pod_cannot_be_overridden(helm: str) -> None:
    values = with_values(STATIC, {"podLabels": {"fairlead.dev/slot": "red", "team": "risk"}})
    labels = model(helm, values).one("Deployment", "fraud-green")["spec"]["template"]["metadata"]["labels"]
    assert (labels["fairlead.dev/slot"], labels["team"]) == ("green", "risk")
