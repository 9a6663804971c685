"""What fairlead costs on a cluster: a serving pod's way to ready, a switch between slots, and what waits for work.

tests/cluster/run .venv/bin/python benchmarks/on_cluster.py [PODS]

Installs both charts in namespaces of its own, with images that the node has already. Kubernetes keeps times in whole seconds, so
what a pod does is watched and timed here.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the helpers of the tests on a cluster

from tests.e2e.installed import Model, Platform, install_platform, is_ready, model_of, version_of
from tests.e2e.kubernetes import Cluster, Namespace, Object, until
from tests.e2e.traffic import Load

from fairlead.cli.show import table

READY_BAR = 3.0
"""Seconds from the start of the serving container to ready."""


def main() -> int:
    """Install, measure, print, remove. Returns 1 if the bar is missed."""
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    cluster = Cluster.from_environment()

    def namespace(prefix: str) -> Namespace:
        return cluster.create_namespace(f"{prefix}-{uuid.uuid4().hex[:8]}")

    with tempfile.TemporaryDirectory() as folder:
        try:
            platform = install_platform(cluster, namespace, Path(folder))
            first, second = platform.train(seed=0), platform.train(seed=1)
            model = model_of(platform, platform.serving, "fraud", first)
            model.release()
            model.wait_until_served()
            model.wait_until_settled()
            ready = [way_to_ready(model) for _ in range(pods)]
            switches = [switch(model, bundle) for bundle in (second, first, second)]
            time.sleep(60)  # metrics-server averages over a while
            idle = usage(platform)
        finally:
            cluster.remove_namespaces()
    return report(ready, switches, idle)


def way_to_ready(model: Model) -> dict[str, float]:
    """Delete one pod and watch its replacement: seconds from its creation to each step."""
    known = {pod["metadata"]["name"] for pod in model.pods()}
    began = time.monotonic()
    model.namespace.kubectl("delete", "pod", sorted(known)[0], "--wait=false")
    seen: dict[str, float] = {}
    while "ready" not in seen:
        for pod in model.pods():
            if pod["metadata"]["name"] in known:
                continue
            for step, there in steps(pod).items():
                if there:
                    seen.setdefault(step, time.monotonic() - began)
        if time.monotonic() - began > 120:
            raise TimeoutError("the new pod did not get ready within two minutes")
    until("the old pod to go", lambda: len(model.pods()) == 2)
    return seen


def steps(pod: Object) -> dict[str, bool]:
    """How far a pod is."""
    serving = pod["status"].get("containerStatuses", [{}])[0].get("state", {})
    return {"created": True, "bundle fetched, server started": "running" in serving, "ready": is_ready(pod)}


def switch(model: Model, bundle: Object) -> tuple[float, float]:
    """Release *bundle* under traffic: seconds from `helm upgrade` to its first answer, and from there to the old one's last."""
    load = Load(model.namespace.cluster.gateway, "/predict", host=model.host, body=model.rows, threads=2,
                pause=0.005, seconds=300, version_of=version_of)  # fmt: skip
    old = model.predict().json()["version"]
    with load as traffic:
        began = time.time()
        model.release(bundle=bundle)
        model.wait_until_served()
        traffic.wait(200)
        new = bundle["digest"][:16]
        first, last = traffic.first(new), traffic.last(old)
        model.wait_until_settled()
    traffic.require_no_errors()
    return first - began, max(0.0, last - first)


def usage(platform: Platform) -> dict[str, tuple[str, str]]:
    """CPU and memory of the platform's pods as metrics-server has them, by the Deployment or StatefulSet."""
    found = json.loads(
        platform.cluster.kubectl(
            "get", "--raw", f"/apis/metrics.k8s.io/v1beta1/namespaces/{platform.home.name}/pods"
        )
    )
    return {pod["metadata"]["name"].split("-")[1]: (pod["containers"][0]["usage"]["cpu"], pod["containers"][0]["usage"]["memory"])
            for pod in found["items"]}  # fmt: skip


def report(
    ready: list[dict[str, float]], switches: list[tuple[float, float]], idle: dict[str, tuple[str, str]]
) -> int:
    """Print the tables."""
    started = [each["ready"] - each["bundle fetched, server started"] for each in ready]
    rows: list[tuple[Any, ...]] = [
        (step, statistics.median(each[step] for each in ready), max(each[step] for each in ready), "")
        for step in ready[0]
    ]
    rows.append(("server started to ready", statistics.median(started), max(started), f"<= {READY_BAR}"))
    table(
        f"a new serving pod, seconds since its predecessor's deletion, {len(ready)} pods",
        ("step", "median", "most", "bar"),
        rows,
    )
    table(
        "a release, seconds, no failed request",
        ("from helm upgrade to the first new answer", "then to the last old one"),
        switches,
    )
    table(
        "idle",
        ("pod", "cpu", "memory"),
        [(name, _milli(cpu), _mebi(memory)) for name, (cpu, memory) in sorted(idle.items())],
    )
    return int(statistics.median(started) > READY_BAR)


def _milli(cpu: str) -> str:
    return f"{int(cpu.removesuffix('n')) / 1e6:.1f} m" if cpu.endswith("n") else cpu


def _mebi(memory: str) -> str:
    return f"{int(memory.removesuffix('Ki')) / 1024:.0f} MiB" if memory.endswith("Ki") else memory


if __name__ == "__main__":
    sys.exit(main())
