"""From a project file to autoscaled predictions on a cluster: the charts, the flow as pods, the Gateway, Helm's own test."""

from __future__ import annotations

import pytest
from tests.e2e.installed import Model, Platform, is_ready, model_of
from tests.e2e.kubernetes import CommandFailed, Object, request, until


def test_the_platform_is_ready_under_the_restricted_profile(platform: Platform) -> None:
    pods = platform.home.pods()
    assert {"platform-driver", "platform-store", "platform-tracking"} <= {
        pod["metadata"]["name"].rsplit("-", 1)[0].removesuffix("-" + pod["metadata"]["labels"].get("pod-template-hash", "-"))
        for pod in pods
    }  # fmt: skip
    assert all(is_ready(pod) for pod in pods if pod["status"]["phase"] == "Running")
    enforced = platform.cluster.get("namespace", platform.home.name)["metadata"]["labels"]
    assert enforced["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_run_of_pods_gives_two_bundles(bundles: tuple[Object, Object]) -> None:
    first, second = bundles
    assert first["digest"] != second["digest"]
    assert first["uri"].startswith("s3://")


def test_mlflow_in_the_cluster_shows_the_runs(platform: Platform, bundles: tuple[Object, Object]) -> None:
    with platform.reached() as environment:
        address = environment["MLFLOW_TRACKING_URI"].removeprefix("http://")
        experiment = request(address, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=fraud").json()
        found = request(address, "/api/2.0/mlflow/runs/search", body={
            "experiment_ids": [experiment["experiment"]["experiment_id"]],
            "filter": "tags.`fairlead.runner` = 'pods'"}).json()["runs"]  # fmt: skip
    digests = {
        tag["value"] for run in found for tag in run["data"]["tags"] if tag["key"] == "fairlead.bundle"
    }
    assert {run["info"]["status"] for run in found} == {"FINISHED"}
    assert digests == {bundle["digest"] for bundle in bundles}


def test_the_gateway_answers_from_the_bundle(fraud: Model) -> None:
    answer = fraud.predict()
    assert answer.status == 200
    (prediction,) = answer.json()["predictions"]
    assert 0 <= prediction["probability"] <= 1


def test_a_chart_without_a_model_installs_and_says_so(platform: Platform) -> None:
    empty = model_of(platform, platform.elsewhere, "nothing", {"name": "", "digest": ""})
    empty.release()
    try:
        assert "no model" in platform.elsewhere.helm("get", "notes", "nothing").lower()
        assert not empty.pods()
    finally:
        empty.uninstall()


def test_helm_test_makes_a_scored_request(fraud: Model, helm_version: int) -> None:
    fraud.namespace.helm("test", fraud.name, "--timeout=120s", version=helm_version)


def test_helm_test_fails_when_the_model_cannot_answer_the_rows(
    platform: Platform, bundles: tuple[Object, Object]
) -> None:
    wrong = {**bundles[0], "probe": {"rows": [{"no such field": 1}]}}
    model = model_of(platform, platform.elsewhere, "wrong", wrong, mode="static")
    model.release(static={"blue": {"bundle": wrong, "replicas": 1, "weight": 100}}, bundle={"digest": ""})
    model.namespace.rollout("wrong-blue")
    try:
        with pytest.raises(CommandFailed):
            model.namespace.helm("test", "wrong", "--timeout=90s")
    finally:
        model.uninstall()


def test_a_load_scales_out_and_its_end_scales_in(fraud: Model, load) -> None:
    fraud.release(
        scale={"minReplicas": 2, "maxReplicas": 4, "autoscale": True, "cpuPercent": 60,
               "scaleDown": {"windowSeconds": 5, "percent": 100}},
        bundle=fraud.values["bundle"],
    )  # fmt: skip
    fraud.wait_until_settled(2)
    with load(
        fraud.host, "/predict", body=fraud.rows, threads=8, pause=0, seconds=240, most=1_000_000
    ) as traffic:
        until("a third pod", lambda: sum(map(is_ready, fraud.pods())) > 2, 150)
    fraud.wait_until_settled(2, seconds=180)
    traffic.require_no_errors()


def test_nothing_needs_a_way_out_of_the_cluster(platform: Platform, fraud: Model) -> None:
    """What ran above ran without one: the test cluster has no route out, which is shown here from a serving pod."""
    if platform.cluster.tool is None:
        pytest.skip("only the test cluster is known to have no way out")
    pod = fraud.pods()[0]["metadata"]["name"]
    code = "import socket; socket.create_connection(('1.1.1.1', 443), timeout=3)"
    with pytest.raises(CommandFailed, match=r"timed out|unreachable|refused"):
        fraud.namespace.kubectl("exec", pod, "--", "python", "-c", code)
