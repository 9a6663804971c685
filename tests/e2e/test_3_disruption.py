"""What happens at night: evictions, MLflow away, pods and node components killed, a backup put back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from tests.e2e.installed import Model, Platform, is_ready, version_of
from tests.e2e.kubernetes import Object, request, until
from tests.e2e.traffic import Load


@pytest.fixture
def settled(fraud: Model, bundles: tuple[Object, Object]) -> Model:
    """The model with two pods in one slot."""
    fraud.release(bundle=bundles[0], scale={"minReplicas": 2, "maxReplicas": 4, "autoscale": False})
    fraud.wait_until_served()
    fraud.wait_until_settled()
    return fraud


def test_every_pod_can_be_evicted_under_traffic(settled: Model, load: Callable[..., Load]) -> None:
    with load(
        settled.host, "/predict", body=settled.rows, threads=3, pause=0.01, seconds=300, version_of=version_of
    ) as traffic:
        for pod in [pod["metadata"]["name"] for pod in settled.pods()]:
            settled.namespace.evict(pod)
            until(f"{pod} to be replaced", lambda gone=pod: is_replaced(settled, gone), 120)
        traffic.wait(200)
    traffic.require_no_errors()


def is_replaced(model: Model, name: str) -> bool:
    """Whether two pods are ready without *name*."""
    pods = model.pods()
    return name not in {pod["metadata"]["name"] for pod in pods} and sum(map(is_ready, pods)) == 2


@pytest.fixture
def without_mlflow(platform: Platform):
    """MLflow scaled to nothing while the test runs."""
    platform.home.kubectl("scale", "deployment/platform-tracking", "--replicas=0")
    until("MLflow to be away", lambda: not platform.home.pods("app.kubernetes.io/component=tracking"))
    yield
    platform.home.kubectl("scale", "deployment/platform-tracking", "--replicas=1")
    platform.home.rollout("platform-tracking", seconds=180)


@pytest.mark.release
def test_serving_starts_scales_and_rolls_back_without_mlflow(
    settled: Model, bundles: tuple[Object, Object], without_mlflow: None, load: Callable[..., Load]
) -> None:
    with load(
        settled.host, "/predict", body=settled.rows, threads=2, pause=0.01, seconds=400, version_of=version_of
    ) as traffic:
        settled.release(scale={"minReplicas": 3, "maxReplicas": 4, "autoscale": False})
        settled.wait_until_settled(3)
        settled.namespace.kubectl("delete", "pod", settled.pods()[0]["metadata"]["name"])
        settled.wait_until_settled(3)
        settled.release(bundle=bundles[1])
        settled.wait_until_served()
        settled.namespace.helm("rollback", settled.name)
        settled.values["bundle"] = bundles[0]
        settled.wait_until_served()
        settled.wait_until_settled(3)
    traffic.require_no_errors()


def runs_of(platform: Platform) -> set[tuple[str, str, int]]:
    """Every run of the project: id, status, number of metrics."""
    with platform.reached() as environment:
        address = environment["MLFLOW_TRACKING_URI"].removeprefix("http://")
        name = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=fraud"
        experiment = request(address, name, seconds=60).json()["experiment"]["experiment_id"]
        body = {"experiment_ids": [experiment], "max_results": 1000}
        found = request(address, "/api/2.0/mlflow/runs/search", body=body, seconds=60).json()["runs"]
    return {
        (run["info"]["run_id"], run["info"]["status"], len(run["data"].get("metrics", []))) for run in found
    }


def test_a_killed_mlflow_loses_nothing_that_was_logged(
    platform: Platform, bundles: tuple[Object, Object]
) -> None:
    before = runs_of(platform)
    (pod,) = platform.home.pods("app.kubernetes.io/component=tracking")
    platform.home.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
    platform.home.rollout("platform-tracking", seconds=180)
    until("MLflow to be back", lambda: runs_of(platform) == before)


def test_killed_node_components_and_containers_lose_nothing_that_was_logged(
    platform: Platform, settled: Model, bundles: tuple[Object, Object]
) -> None:
    before = runs_of(platform)
    for component in ("kubelet", "containerd", "containers"):
        platform.cluster.control("kill", component)
    time.sleep(5)
    until("MLflow to be back", lambda: runs_of(platform) == before, 240, every=2)
    until("the model to be back", lambda: settled.predict().status == 200, 120)


@pytest.mark.release
def test_a_task_goes_on_when_mlflow_is_killed_while_it_logs(
    platform: Platform, bundles: tuple[Object, Object]
) -> None:
    """The run's own log shows that MLflow was away: it is killed as soon as the search has begun."""

    def searches() -> bool:
        pods = platform.runs.pods("fairlead.dev/task")
        return any(
            "search" in pod["metadata"]["name"] and pod["status"]["phase"] == "Running" for pod in pods
        )

    def kill_when_searching() -> None:
        until("a search to run", searches, 240)
        (pod,) = platform.home.pods("app.kubernetes.io/component=tracking")
        platform.home.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
        killed.set()

    killed = threading.Event()
    killer = threading.Thread(target=kill_when_searching)
    killer.start()
    platform.train(seed=2)
    killer.join(10)
    assert killed.is_set()


def test_a_backup_brings_back_what_was_lost(platform: Platform, bundles: tuple[Object, Object]) -> None:
    before = runs_of(platform)
    platform.home.kubectl("create", "job", "backup-now", "--from=cronjob/platform-backup")
    platform.home.kubectl("wait", "--for=condition=complete", "job/backup-now", "--timeout=180s", seconds=200)
    with platform.reached() as environment:
        address = environment["MLFLOW_TRACKING_URI"].removeprefix("http://")
        gone = sorted(before)[0][0]
        assert request(address, "/api/2.0/mlflow/runs/delete", body={"run_id": gone}).status == 200
    assert gone not in {run for run, *_ in runs_of(platform)}
    platform.install(restore={"from": "latest"})
    assert runs_of(platform) == before
