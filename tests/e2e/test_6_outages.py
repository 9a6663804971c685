"""What breaks a platform: objects replaced by force, an API server or a store that is away, a driver killed, bad candidates."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.installed import Model, Platform, is_ready, version_of
from tests.e2e.kubernetes import CommandFailed, Object, until
from tests.e2e.traffic import Load

pytestmark = pytest.mark.release

RELEASE = {"windowSeconds": 15, "readySeconds": 180}
SCALE = {"minReplicas": 2, "maxReplicas": 4, "autoscale": False}
DRIVER = "app.kubernetes.io/component=driver"


@pytest.fixture
def settled(fraud: Model, bundles: tuple[Object, Object]) -> Iterator[Model]:
    """The model with two pods in one slot; what a test changed of its values is taken back afterwards."""
    before = dict(fraud.values)
    fraud.release(bundle=bundles[0], scale=SCALE, release=RELEASE)
    fraud.wait_until_served()
    fraud.wait_until_settled()
    yield fraud
    fraud.values.clear()
    fraud.values.update(before)


@pytest.fixture
def traffic(settled: Model, load: Callable[..., Load]) -> Callable[[], Load]:
    """Makes constant requests to the model."""

    def make() -> Load:
        return load(
            settled.host,
            "/predict",
            body=settled.rows,
            threads=3,
            pause=0.01,
            seconds=500,
            version_of=version_of,
        )

    return make


# ------------------------------------------------------------------------------------------------ by force

OWNED: dict[str, tuple[str, str, Callable[[Object], Any]]] = {
    "rules of the route": ("httproute", "{name}", lambda each: each["spec"].get("rules")),
    "selector of the live Service": ("service", "{name}", lambda each: each["spec"].get("selector")),
    "floor of the blue slot": ("hpa", "{name}-blue", lambda each: each["spec"].get("minReplicas")),
    "floor of the green slot": ("hpa", "{name}-green", lambda each: each["spec"].get("minReplicas")),
}
"""The fields of the chart's own objects that the driver fills in."""


def owned(model: Model) -> dict[str, Any]:
    """What the fields hold now, read in one call."""
    names = [f"{kind}/{name.format(name=model.name)}" for kind, name, _ in OWNED.values()]
    items = json.loads(model.namespace.kubectl("get", *names, "--output=json"))["items"]
    return {field: read(item) for (field, (_, _, read)), item in zip(OWNED.items(), items, strict=True)}


class Sampled:
    """The driver's fields of a model, read over and over by a thread."""

    def __init__(self, model: Model) -> None:
        self.samples: list[tuple[float, dict[str, Any]]] = [(time.time(), owned(model))]
        self._model, self._stop = model, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampled:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            self.samples.append((time.time(), owned(self._model)))

    def resets(self) -> dict[str, float]:
        """For each field that changed: seconds from when it was last seen right until it was right again.

        That is longer than the truth by at most the gap between two readings. Infinite if it stayed wrong.
        """
        _, right = self.samples[0]
        found: dict[str, float] = {}
        for field in OWNED:
            wrong = [n for n, (_, seen) in enumerate(self.samples) if seen[field] != right[field]]
            if wrong:
                after = wrong[-1] + 1
                end = self.samples[after][0] if after < len(self.samples) else float("inf")
                found[field] = end - self.samples[wrong[0] - 1][0]
        return found


FORCED = {
    "helm3": (3, ("--force",)),
    "helm4": (4, ("--force-replace", "--server-side=false")),
}
"""How each Helm replaces objects instead of patching them. Helm 4 refuses to do that by server-side apply."""


@pytest.mark.parametrize("how", FORCED)
def test_the_driver_puts_back_within_seconds_what_a_forced_upgrade_resets(
    settled: Model, traffic: Callable[[], Load], how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A replaced route has no rules and a replaced Service no selector until the driver's next look: requests fail meanwhile.

    How many is shown, not forbidden: nobody can prevent it but by leaving `--force` away, as the chart's README asks.
    """
    version, words = FORCED[how]
    settled.release(scale={**SCALE, "autoscale": True, "cpuPercent": 90})
    settled.wait_until_settled()
    until("the floors to be set", lambda: owned(settled)["floor of the blue slot"] == 2, 30)
    pods = {pod["metadata"]["uid"] for pod in settled.pods()}
    with traffic() as requests, Sampled(settled) as sampled:
        time.sleep(1)
        began = time.time()
        said = forced(settled, version, words)
        time.sleep(6)
        later = len(requests.requests)
        requests.wait(200)
    resets = sampled.resets()
    failed = requests.errors()
    with capsys.disabled():
        print(f"\n{' '.join(('helm upgrade', *words))} (Helm {version}): {said or 'went through'}; "
              f"reset: {({field: round(seconds, 2) for field, seconds in resets.items()}) or 'nothing'}; "
              f"{len(failed)} of {len(requests.requests)} requests failed"
              + (f" within {failed[-1].at - failed[0].at:.2f} s" if failed else ""))  # fmt: skip
    assert all(seconds < 5 for seconds in resets.values())
    assert all(began <= each.at for each in failed)
    assert not [each for each in requests.requests[later:] if each.error], (
        "it is over once the fields are back"
    )
    assert pods <= {pod["metadata"]["uid"] for pod in settled.pods()}, "a pod was replaced"
    if how == "helm3":
        assert resets, "nothing was reset: this Helm replaces no more, and the README may say so"


def forced(model: Model, version: int, words: tuple[str, ...]) -> str:
    """Upgrade by force; gives the refusal in short if Helm or Kubernetes did not let it through."""
    try:
        model.release(*words, version=version)
    except CommandFailed as refused:
        return "refused: " + re.sub(r"\s+", " ", refused.said)[-300:]
    return ""


# ------------------------------------------------------------------------------------------- control plane


@contextmanager
def stopped(platform: Platform, component: str) -> Iterator[None]:
    """A component of the node that neither works nor ends."""
    platform.cluster.control("stop-component", component)
    try:
        yield
    finally:
        platform.cluster.control("continue", component)


def restarts(platform: Platform) -> dict[str, int]:
    """How often each of the driver's pods was started again."""
    return {
        pod["metadata"]["name"]: sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
        for pod in platform.home.pods(DRIVER)
    }


def test_a_minute_without_the_api_server_fails_no_request_and_restarts_no_driver(
    platform: Platform, settled: Model, bundles: tuple[Object, Object], traffic: Callable[[], Load]
) -> None:
    """Controllers end when they cannot renew their lease, and know nothing of the past when they start again.

    Those of the test cluster hold none, so they are killed here. Left alone they would take the node's silence for its
    death, and the pods out of their Services, for the first seconds after the outage.
    """
    before = restarts(platform)
    with traffic() as requests:
        with stopped(platform, "kube-apiserver"):
            time.sleep(20)
            platform.cluster.control("kill", "kube-controller-manager")
            time.sleep(40)
        until("the API server to answer", lambda: platform.cluster.get("nodes"), 60)
        settled.release(bundle=bundles[1])
        settled.wait_until_served()
        time.sleep(20)  # a liveness probe that is to fail would have by now
    requests.require_no_errors()
    assert restarts(platform) == before


@pytest.mark.parametrize("phase", ["starting", "window"])
def test_a_driver_killed_in_a_release_is_followed_by_one_that_goes_on(
    platform: Platform,
    settled: Model,
    bundles: tuple[Object, Object],
    traffic: Callable[[], Load],
    phase: str,
) -> None:
    with traffic() as requests:
        began, before = time.time(), term(settled)
        settled.release(bundle=bundles[1])
        field = "release" if phase == "starting" else "window"
        until(f"the journal to say {field}", lambda: settled.journal()[field], 240)
        kill_driver(platform)
        settled.wait_until_served()
        settled.wait_until_settled()
        requests.wait(100)
    requests.require_no_errors()
    happened = [each["what"] for each in settled.journal()["outcomes"] if each["at"] >= began]
    assert happened == ["started", "switched"]
    # The one before it had no time to hand over, so every object got a new version before anything was written.
    assert term(settled) != before


def term(model: Model) -> str:
    """Which leadership last gave the route a new version, so that writes of an earlier one are refused."""
    annotations = model.namespace.get("httproute", model.name)["metadata"].get("annotations", {})
    return str(annotations.get("fairlead.dev/term", ""))


def kill_driver(platform: Platform) -> None:
    """SIGKILL the driver's process from the node: `kubectl delete --force` would let it hand its lease over."""
    if platform.cluster.tool is None:
        pytest.skip("the processes of pods can be seen, and killed, on the test cluster's own machine only")
    words = f"--namespaces={platform.serving.name},".encode()
    found = [int(each.parent.name) for each in Path("/proc").glob("[0-9]*/cmdline") if words in text_of(each)]
    assert found, "the driver's process is not to be seen"
    for process in found:
        os.kill(process, signal.SIGKILL)


def text_of(file: Path) -> bytes:
    """What a file of /proc holds; nothing if its process has gone."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


# -------------------------------------------------------------------------------------------- bad candidates


def refused(model: Model, **changes: Any) -> str:
    """Release *changes*, which cannot become ready, and give the journal's reason once the driver has given up."""
    began = time.time()
    model.release(release={**RELEASE, "readySeconds": 45}, **changes)

    def failure() -> str:
        last = model.journal()["outcomes"][-1]
        return str(last["why"]) if last["what"] == "failed" and last["at"] >= began else ""

    return until("the release to fail", failure, 120)


def test_a_candidate_whose_bundle_is_not_the_one_asked_for_never_serves(
    settled: Model, traffic: Callable[[], Load]
) -> None:
    pods = {pod["metadata"]["uid"] for pod in settled.pods()}
    with traffic() as requests:
        why = refused(settled, bundle={**settled.values["bundle"], "digest": "0" * 64})
        until("the candidate to go", lambda: {pod["metadata"]["uid"] for pod in settled.pods()} == pods, 60)
    requests.require_no_errors()
    assert "container fetch" in why
    assert "but 00000000" in why


def test_a_candidate_that_takes_too_much_memory_never_serves(
    settled: Model, bundles: tuple[Object, Object], traffic: Callable[[], Load]
) -> None:
    pods = {pod["metadata"]["uid"] for pod in settled.pods()}
    tiny = {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "32Mi"}}
    with traffic() as requests:
        why = refused(settled, bundle=bundles[1], resources=tiny)
        until("the candidate to go", lambda: {pod["metadata"]["uid"] for pod in settled.pods()} == pods, 60)
    requests.require_no_errors()
    assert "container serve" in why
    assert "OOMKilled" in why


# ----------------------------------------------------------------------------------------------- the store


def test_without_the_store_what_runs_goes_on_and_what_is_new_waits(
    platform: Platform, settled: Model, traffic: Callable[[], Load]
) -> None:
    with traffic() as requests:
        with without_store(platform):
            settled.release(scale={**SCALE, "minReplicas": 3})
            until("a third pod that waits for its bundle", lambda: waiting(settled), 60)
            time.sleep(20)
            assert sum(map(is_ready, settled.pods())) == 2
        began = time.time()
        settled.wait_until_settled(3, seconds=240)
    print(f"the third pod was ready {time.time() - began:.0f} s after the store was back")
    requests.require_no_errors()


@contextmanager
def without_store(platform: Platform) -> Iterator[None]:
    """The store scaled to nothing."""
    selector = "app.kubernetes.io/component=store"
    platform.home.kubectl("scale", "statefulset/platform-store", "--replicas=0")
    try:
        until("the store to be away", lambda: not platform.home.pods(selector))
        yield
    finally:
        platform.home.kubectl("scale", "statefulset/platform-store", "--replicas=1")
        until("the store to be back", lambda: any(map(is_ready, platform.home.pods(selector))), 120)


def waiting(model: Model) -> bool:
    """Whether one pod's init container has yet to succeed."""
    return any(
        status["state"].get("terminated", {}).get("exitCode") != 0
        for pod in model.pods()
        for status in pod["status"].get("initContainerStatuses", ())
    )
