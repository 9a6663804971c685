"""The API server accepts what the charts render: every value file in ci/, under each Helm, by a server-side dry run.

A warning counts as a refusal: it is how a namespace under the Pod Security profile `restricted` speaks of a Deployment
whose pods it would not admit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from tests.e2e.kubernetes import Cluster, CommandFailed, Namespace, Object

CHARTS = Path(__file__).resolve().parents[2] / "helm"
CASES = sorted(CHARTS.glob("*/ci/*.yaml"))
OPERATOR = "monitoring.coreos.com/"
"""Kinds of the Prometheus operator: their definitions are its own, and a cluster without it cannot check them."""

RUNTIME_CLASS: Object = {
    "apiVersion": "node.k8s.io/v1",
    "kind": "RuntimeClass",
    "metadata": {"name": "fairlead-ci"},
    "handler": "runc",
}
"""A pod that names a RuntimeClass is refused if there is none."""


@pytest.fixture(scope="module")
def home(cluster: Cluster, new_namespace: Callable[..., Namespace]) -> Iterator[Namespace]:
    """A namespace that stays empty, on a cluster with what the value files take for granted."""
    cluster.apply(RUNTIME_CLASS)
    yield new_namespace("charts")
    cluster.kubectl("delete", "runtimeclass", "fairlead-ci")


def rendered(namespace: Namespace, values: Path, version: int) -> list[Object]:
    """The objects of a chart, rendered for the cluster's own Kubernetes."""
    server = json.loads(namespace.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    chart = values.parents[1]
    text = namespace.helm(
        "template", "it", chart, "--values", values, "--kube-version", server, version=version
    )
    return [one for one in yaml.safe_load_all(text) if one]


def alone(one: Object, namespace: str) -> Object:
    """*one* as the API server can judge it without the others, none of which exists in a dry run.

    It is put into a namespace that is there, and a bare pod runs as the ServiceAccount that is there.
    """
    if "namespace" in one["metadata"]:
        one = {**one, "metadata": {**one["metadata"], "namespace": namespace}}
    if one["kind"] == "Pod":
        one = {**one, "spec": {**one["spec"], "serviceAccountName": "default"}}
    return one


@pytest.mark.parametrize(
    "values", CASES, ids=lambda path: f"{path.parts[-3].removeprefix('fairlead-')}-{path.stem}"
)
def test_the_api_server_accepts_every_object(values: Path, home: Namespace, helm_version: int) -> None:
    objects = rendered(home, values, helm_version)
    judged = [alone(one, home.name) for one in objects if not one["apiVersion"].startswith(OPERATOR)]
    text = "\n---\n".join(map(json.dumps, judged))
    how = ("--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors")
    said = home.cluster.kubectl("apply", *how, "-f", "-", text=text)
    assert len(said.splitlines()) == len(judged) > 0


def test_a_pod_that_may_run_as_root_would_be_noticed(home: Namespace) -> None:
    """The check above is one: a namespace that only warned would let everything pass."""
    values = next(path for path in CASES if path.stem == "static-canary")
    [deployment, *_] = [one for one in rendered(home, values, 3) if one["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] = False
    deployment["metadata"]["namespace"] = home.name
    with pytest.raises(CommandFailed, match="would violate PodSecurity"):
        home.kubectl(
            "apply", "--dry-run=server", "--warnings-as-errors", "-f", "-", text=json.dumps(deployment)
        )
