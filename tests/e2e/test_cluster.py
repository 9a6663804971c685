"""The cluster is one: what the other tests here lean on is true of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from tests.e2e import echo
from tests.e2e.kubernetes import Cluster, CommandFailed, Namespace, request, until
from tests.e2e.traffic import Load

LoadOf = Callable[..., Load]


@pytest.fixture(scope="module")
def home(cluster: Cluster, new_namespace: Callable[..., Namespace]) -> Namespace:
    """A namespace with two versions of a server: `stable` with two pods, `canary` with one."""
    made = new_namespace("cluster")
    image = cluster.python_image
    made.apply(
        echo.code(),
        echo.deployment("stable", "v1", image, replicas=2), echo.service("stable"),
        echo.deployment("canary", "v2", image), echo.service("canary"),
    )  # fmt: skip
    made.rollout("stable", "canary")
    return made


def in_a_pod(home: Namespace, code: str) -> str:
    """What Python *code* prints in a pod of `stable`."""
    return home.kubectl("exec", "deployment/stable", "--", "python3", "-c", code)


def share(cluster: Cluster, home: Namespace, host: str, **weights: int) -> None:
    """Route *host* to the Services by weight."""
    home.apply(echo.route(host.split(".", maxsplit=1)[0], host, cluster.gateway_reference, weights))


def test_a_pod_reaches_a_service_by_its_name(home: Namespace) -> None:
    code = "import urllib.request as u; print(u.urlopen('http://canary').read().decode())"
    assert until("kube-proxy", lambda: in_a_pod(home, code)).startswith("v2 canary")


def test_there_is_no_way_out_of_the_cluster(cluster: Cluster, home: Namespace) -> None:
    if cluster.tool is None:
        pytest.skip("only the test cluster promises to have no way out")
    code = """
import socket
for test in (lambda: socket.gethostbyname("example.org"), lambda: socket.create_connection(("1.1.1.1", 443), 2)):
    try:
        test()
        print("reached")
    except OSError as error:
        print(type(error).__name__)
"""
    name, address = in_a_pod(home, code).split()
    assert name == "gaierror"
    assert address in {"TimeoutError", "OSError"}


def test_a_pod_without_a_role_may_not_list_pods(home: Namespace) -> None:
    code = f"""
import ssl, urllib.error, urllib.request as u
account = "/var/run/secrets/kubernetes.io/serviceaccount/"
headers = {{"Authorization": "Bearer " + open(account + "token").read()}}
request = u.Request("https://kubernetes.default.svc/api/v1/namespaces/{home.name}/pods", headers=headers)
try:
    print(u.urlopen(request, context=ssl.create_default_context(cafile=account + "ca.crt")).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
    assert in_a_pod(home, code) == "403"


def test_a_pod_that_wants_to_be_root_is_refused(home: Namespace, cluster: Cluster) -> None:
    container = {"name": "root", "image": cluster.python_image, "securityContext": {"runAsUser": 0}}
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        home.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "root"},
                "spec": {"containers": [container]},
            }
        )


def test_weights_of_a_route_are_exact(cluster: Cluster, home: Namespace, load: LoadOf) -> None:
    share(cluster, home, "weights.test", stable=90, canary=10)
    until("the route", lambda: request(cluster.gateway, host="weights.test").status == 200)
    with load("weights.test", most=1000, pause=0) as traffic:
        traffic.join()
    assert traffic.require_no_errors() == 1000
    assert traffic.versions()["v2"] == pytest.approx(
        100, abs=10
    )  # it goes round by weight; chance would give ±28


def test_a_change_of_weights_takes_effect_at_once_and_without_an_error(
    cluster: Cluster, home: Namespace, load: LoadOf
) -> None:
    share(cluster, home, "switch.test", stable=1, canary=0)
    until("the route", lambda: request(cluster.gateway, host="switch.test").status == 200)
    with load("switch.test") as traffic:
        share(cluster, home, "switch.test", stable=0, canary=1)
        changed = time.time()
        time.sleep(2)
    traffic.require_no_errors()
    assert traffic.versions(to=changed)["v1"] > 0
    assert traffic.last("v1") - changed < 1


def test_a_budget_forbids_the_eviction_of_the_last_pod(home: Namespace) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "canary"}}}
    home.apply(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "canary"},
            "spec": spec,
        }
    )
    until(
        "the budget's count", lambda: home.get("pdb", "canary").get("status", {}).get("currentHealthy") == 1
    )
    (pod,) = home.pods("app=canary")
    with pytest.raises(CommandFailed, match="disruption budget"):
        home.evict(pod["metadata"]["name"])


def test_a_volume_outlives_its_pod(home: Namespace, cluster: Cluster) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    keeper = echo.deployment("keeper", "v1", cluster.python_image)
    pod = keeper["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": "data"}})
    pod["containers"][0]["volumeMounts"].append({"name": "data", "mountPath": "/data"})
    pod["containers"][0].pop("lifecycle")
    home.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        keeper,
    )
    home.rollout("keeper")
    home.kubectl("exec", "deployment/keeper", "--", "sh", "-c", "echo kept > /data/file")
    (first,) = home.pods("app=keeper")
    home.kubectl("delete", "pod", first["metadata"]["name"])
    home.rollout("keeper")
    (second,) = home.pods("app=keeper")
    assert second["metadata"]["name"] != first["metadata"]["name"]
    assert home.kubectl("exec", second["metadata"]["name"], "--", "cat", "/data/file") == "kept"


def test_killed_containers_are_started_again(cluster: Cluster, home: Namespace) -> None:
    def restarts() -> dict[str, int]:
        pods = home.pods("app in (stable, canary)")
        return {
            pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods
        }

    before = restarts()
    cluster.control("kill", "containers")
    until("a restart of each", lambda: all(count > before[name] for name, count in restarts().items()))
    home.rollout("stable", "canary")


def test_containers_run_on_while_kubelet_and_containerd_are_killed(cluster: Cluster, home: Namespace) -> None:
    """The kubelet that comes back calls every pod unready until it has asked again, so one replica may be away for a moment."""
    share(cluster, home, "faults.test", stable=1)
    before = containers(home)
    for component in ("kubelet", "containerd"):
        cluster.control("kill", component)
        time.sleep(3)
    until("the kubelet", lambda: in_a_pod(home, "print('here')") == "here")
    until("the route", lambda: request(cluster.gateway, host="faults.test").status == 200)
    assert containers(home) == before


def containers(home: Namespace) -> set[tuple[str, int]]:
    """Every container, by id, and how often it was started again."""
    return {
        (status["containerID"], status["restartCount"])
        for pod in home.pods()
        for status in pod["status"]["containerStatuses"]
    }


@pytest.mark.slow
def test_the_autoscaler_adds_a_pod_under_load(cluster: Cluster, home: Namespace, load: LoadOf) -> None:
    target = {"type": "Utilization", "averageUtilization": 50}
    home.apply(
        echo.deployment("burn", "v1", cluster.python_image, cpu="100m"),
        echo.service("burn"),
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "burn"},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "burn"},
                "minReplicas": 1,
                "maxReplicas": 3,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            },
        },
    )
    home.rollout("burn")
    share(cluster, home, "burn.test", burn=1)
    until("the route", lambda: request(cluster.gateway, host="burn.test").status == 200)
    with load("burn.test", "/burn", threads=2, timeout=30):
        until("a second pod", lambda: len(home.pods("app=burn")) > 1, 90, 1)
