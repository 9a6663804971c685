"""Every change of a served model under constant traffic: no request fails, and nobody takes a field from its owner."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

import pytest
from tests.e2e.installed import Model, Platform, model_of, version_of
from tests.e2e.kubernetes import Object, run, until
from tests.e2e.traffic import Load


@pytest.fixture
def traffic(fraud: Model, bundles: tuple[Object, Object], load: Callable[..., Load]) -> Iterator[Load]:
    """Constant requests to the model, which serves the first bundle when they begin; none may fail."""
    fraud.release(bundle=bundles[0], scale={"minReplicas": 2, "maxReplicas": 4, "autoscale": False})
    fraud.wait_until_served()
    fraud.wait_until_settled()
    with load(
        fraud.host, "/predict", body=fraud.rows, threads=3, pause=0.01, seconds=400, version_of=version_of
    ) as requests:
        yield requests
        requests.wait(200)
    requests.require_no_errors()


@pytest.mark.parametrize(
    "helm_version", [pytest.param(3, marks=pytest.mark.release), 4], ids=["helm3", "helm4"]
)
def test_a_new_bundle(fraud: Model, bundles: tuple[Object, Object], traffic: Load, helm_version: int) -> None:
    fraud.release(bundle=bundles[1], version=helm_version)
    fraud.wait_until_served()
    fraud.wait_until_settled()
    assert traffic.requests[-1].version == bundles[1]["digest"][:16]


@pytest.mark.release
def test_a_new_runtime_image(platform: Platform, fraud: Model, traffic: Load) -> None:
    before = {pod["metadata"]["uid"] for pod in fraud.pods()}
    images = {
        **fraud.values["images"],
        "serve": {**fraud.values["images"]["serve"], "tag": another_tag(platform)},
    }
    fraud.release(images=images)
    until_changed(fraud, before)
    fraud.wait_until_settled()


def test_a_rollback_within_the_window_starts_no_pod(
    fraud: Model, bundles: tuple[Object, Object], traffic: Load
) -> None:
    release = dict(fraud.values["release"])
    fraud.release(bundle=bundles[1], release={**release, "windowSeconds": 120})
    fraud.wait_until_served()
    pods = {pod["metadata"]["uid"] for pod in fraud.pods()}
    fraud.namespace.helm("rollback", fraud.name)
    fraud.values |= {"bundle": bundles[0], "release": release}
    fraud.wait_until_served(seconds=20)
    assert {pod["metadata"]["uid"] for pod in fraud.pods()} <= pods


@pytest.mark.parametrize(
    "how", [("apply",), ("apply", "--server-side", "--force-conflicts")], ids=["client-side", "server-side"]
)
def test_rendered_output_applied_again(fraud: Model, traffic: Load, how: tuple[str, ...]) -> None:
    pods = {pod["metadata"]["uid"] for pod in fraud.pods()}
    fraud.namespace.kubectl(*how, "-f", "-", text=fraud.rendered())
    traffic.wait(200)
    assert {pod["metadata"]["uid"] for pod in fraud.pods()} == pods


def test_an_upgrade_without_a_change_touches_no_pod(fraud: Model, traffic: Load, helm_version: int) -> None:
    pods = {pod["metadata"]["uid"] for pod in fraud.pods()}
    fraud.release(version=helm_version)
    traffic.wait(200)
    assert {pod["metadata"]["uid"] for pod in fraud.pods()} == pods


OWNED = {
    "rules of the route": ("httproute", "{name}", lambda each: each["spec"].get("rules")),
    "selector of the live Service": ("service", "{name}", lambda each: each["spec"].get("selector")),
    "replicas of the blue slot": ("deployment", "{name}-blue", lambda each: each["spec"]["replicas"]),
    "replicas of the green slot": ("deployment", "{name}-green", lambda each: each["spec"]["replicas"]),
    "template of the live slot": ("deployment", "{name}-{live}", lambda each: each["spec"]["template"]),
}
"""The fields that the driver owns: whatever Helm or kubectl do with the chart's output, they stay."""

ACTS: dict[str, Callable[[Model, Platform], None]] = {
    "helm 3 upgrade": lambda model, _: model.release("--set", "labels.team=payments"),
    "helm 4 upgrade": lambda model, _: model.release("--set", "labels.team=risk", version=4),
    "helm rollback": lambda model, _: model.namespace.helm("rollback", model.name) and None,
    "client-side apply": lambda model, _: model.namespace.kubectl("apply", "-f", "-", text=model.rendered()) and None,
    "server-side apply": lambda model, _: model.namespace.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", text=model.rendered()) and None,
}  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
def test_the_driver_keeps_its_fields(platform: Platform, fraud: Model, traffic: Load, act: str) -> None:
    live = fraud.journal()["live"]

    def owned() -> dict[str, object]:
        return {
            field: read(fraud.namespace.get(kind, name.format(name=fraud.name, live=live)))
            for field, (kind, name, read) in OWNED.items()
        }

    before = owned()
    ACTS[act](fraud, platform)
    assert owned() == before


@pytest.mark.release
def test_uninstall_leaves_nothing_and_a_reinstall_works(
    platform: Platform, bundles: tuple[Object, Object]
) -> None:
    model = model_of(
        platform, platform.elsewhere, "brief", bundles[0], scale={"minReplicas": 1, "maxReplicas": 2}
    )
    for _ in range(2):
        model.release()
        model.wait_until_served()
        model.uninstall()
        kinds = ("deployments,services,configmaps,horizontalpodautoscalers,poddisruptionbudgets,podtemplates,"
                 "httproutes,networkpolicies,serviceaccounts")  # fmt: skip
        left = run("kubectl", "--kubeconfig", platform.cluster.kubeconfig, "-n", model.namespace.name, "get", kinds,
                   "-l", "fairlead.dev/model=brief", "-o", "name")  # fmt: skip
        assert not left


def another_tag(platform: Platform) -> str:
    """The serving image under another tag, as a new build of it would come."""
    tool = platform.cluster.tool
    if tool is None:
        pytest.skip(
            "FAIRLEAD_TEST_REGISTRY has one tag of the serving image: a second one is made in the test cluster only"
        )
    name = platform.cluster.image("serve")
    new = name.rsplit(":", 1)[0] + ":0.1.0-rebuilt"
    run(*shlex.split(run(tool, "buildah")), "tag", name, new)
    platform.cluster.control("load", new)
    return "0.1.0-rebuilt"


def until_changed(model: Model, before: set[str]) -> None:
    """Wait until no pod of *before* serves."""
    until("new pods", lambda: not before & {pod["metadata"]["uid"] for pod in model.pods()}, 240)
