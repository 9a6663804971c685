"""A cluster in memory: an API server that knows resourceVersions, controllers that take one step when told, and accidents.

It holds real objects and fulfils the driver's ``Cluster`` protocol, so that reading, deciding and writing are all under test. The
driver can be killed at any write: before it, or after it and before the answer.
"""

from __future__ import annotations

import copy
import itertools
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fairlead.errors import Conflict
from fairlead.release import names
from fairlead.release.act import Hands
from fairlead.release.drive import Driver
from fairlead.release.journal import Journal
from fairlead.release.objects import digest

Object = dict[str, Any]
NAMESPACE, MODEL = "ns", "m"


_UIDS = itertools.count()
ERRORS = {"erring": 0.2, "better": 0.0}
"""Share of failed requests by what an image's name begins with; others have 0.5 %."""


class Killed(BaseException):
    """The driver was killed here. Not an Exception: nothing may catch it."""


@dataclass
class Pod:
    """One pod: the template it came from, and whether it is ready."""

    template: str
    ready: bool = False
    uid: str = field(default_factory=lambda: f"pod-{next(_UIDS)}")
    started: float = 0.0
    answers: int = 0
    failures: int = 0


@dataclass
class SimulatedCluster:
    """Objects, pods, a clock, and what goes wrong."""

    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    pods: dict[str, list[Pod]] = field(default_factory=dict)
    now: float = 1_000_000.0
    version: int = 0
    writes: int = 0
    kill_at: float = float("inf")
    """The write at which the driver is killed: n before the nth, n + 0.5 after it."""
    rival_at: int = -1
    """The write just before which someone else touches the same object."""
    room: bool = True
    """Whether the scheduler finds a node."""
    log: list[tuple[str, str, str]] = field(default_factory=list)

    # ------------------------------------------------------------------------ what the driver calls

    def find(self, kind: str, namespace: str, labels: str) -> list[Object]:
        """Objects by label selector."""
        if kind == "Pod":
            return self._pods(dict(part.split("=") for part in labels.split(","))[names.SLOT])
        wanted = [part.partition("=") for part in labels.split(",")]
        return [copy.deepcopy(item) for (found, _), item in sorted(self.objects.items()) if found == kind
                and all(key in (has := item["metadata"].get("labels", {})) and (not equal or has[key] == value)
                        for key, equal, value in wanted)]  # fmt: skip

    def create(self, body: Object) -> Object:
        """A new object; events are only counted."""
        if body["kind"] == "Event":
            return body
        key = (body["kind"], body["metadata"]["name"])
        return self._write("create", key, None, lambda _: copy.deepcopy(body))

    def replace(self, body: Object) -> Object:
        """A whole object."""
        key = (body["kind"], body["metadata"]["name"])
        return self._write("replace", key, body["metadata"]["resourceVersion"], lambda _: copy.deepcopy(body))

    def patch(self, kind: str, namespace: str, name: str, operations: list[Object]) -> Object:
        """A JSON patch of members of metadata and spec."""

        def change(item: Object) -> Object:
            for operation in operations:
                _, section, member = operation["path"].split("/")
                item[section][member] = copy.deepcopy(operation["value"])
            return item

        sent = next(each["value"] for each in operations if each["path"] == "/metadata/resourceVersion")
        return self._write("patch", (kind, name), sent, change)

    def apply(self, body: Object) -> Object:
        """Server-side apply of members of spec."""

        def change(item: Object) -> Object:
            return {**item, "spec": {**item["spec"], **copy.deepcopy(body["spec"])}}

        key = (body["kind"], body["metadata"]["name"])
        return self._write("apply", key, body["metadata"]["resourceVersion"], change)

    def scale(self, namespace: str, name: str, replicas: int, version: str) -> None:
        """The number of pods."""

        def change(item: Object) -> Object:
            item["spec"]["replicas"] = replicas
            return item

        self._write("scale", ("Deployment", name), version, change)

    def annotate(self, kind: str, namespace: str, name: str, annotations: dict[str, str]) -> None:
        """Annotations, whatever the resourceVersion."""

        def change(item: Object) -> Object:
            item["metadata"]["annotations"] = {**item["metadata"].get("annotations", {}), **annotations}
            return item

        key = (kind, name)
        self._write("annotate", key, self.objects[key]["metadata"]["resourceVersion"], change)

    def _write(self, verb: str, key: tuple[str, str], sent: str | None, change: Any) -> Object:
        self.writes += 1
        if self.kill_at == self.writes:
            raise Killed
        if self.rival_at == self.writes and key in self.objects:
            self.touch(key)
        found = self.objects.get(key)
        held = found["metadata"]["resourceVersion"] if found else None
        if held != sent:
            raise Conflict(f"{key}: has {held}, was sent {sent}")
        self.put(change(copy.deepcopy(found)))
        self.log.append((verb, *key))
        if self.kill_at == self.writes + 0.5:
            raise Killed
        return copy.deepcopy(self.objects[key])

    def ask(self, url: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        """A request to a slot's Service, or for a pod's counters."""
        if url.endswith("/metrics"):
            return 200, self._counters(urlsplit(url).hostname or "").encode()
        slot = urlsplit(url).netloc.partition(".")[0].removeprefix(f"{MODEL}-")
        if not self.ready(slot):
            raise OSError("connection refused")
        container = self.objects["Deployment", f"{MODEL}-{slot}"]["spec"]["template"]["spec"]["containers"][0]
        if container["image"].startswith("wrong"):
            return 500, b"wrong"
        rows = json.loads(body)["rows"] if body else []
        return 200, json.dumps({"predictions": [{"value": 1.0} for _ in rows]}).encode()

    def _counters(self, name: str) -> str:
        slot, _, number = name.rpartition("-")
        pod = self.pods[slot][int(number)]
        labels = 'endpoint="/predict",route="live"'
        return (
            f'process_start_time_seconds {pod.started}\nfairlead_pod_info{{pod_uid="{pod.uid}"}} 1\n'
            f'fairlead_requests_total{{{labels},code="200"}} {pod.answers}\n'
            f'fairlead_requests_total{{{labels},code="500"}} {pod.failures}\n'
            f'fairlead_predicted_labels_total{{route="live",label="no"}} {pod.answers}\n'
        )

    def traffic(self, requests: int) -> None:
        """So many requests, shared as the route says and failing as the images do."""
        route = self.objects.get(("HTTPRoute", MODEL), {"spec": {}})
        references = [ref for rule in route["spec"].get("rules", []) for ref in rule.get("backendRefs", [])]
        total = sum(ref["weight"] for ref in references)
        for ref in references:
            slot = ref["name"].removeprefix(f"{MODEL}-")
            image = self.objects["Deployment", ref["name"]]["spec"]["template"]["spec"]["containers"][0][
                "image"
            ]
            ready = [pod for pod in self.pods.get(slot, []) if pod.ready]
            asked = requests * ref["weight"] / total
            for pod in ready:
                failed = round(asked / len(ready) * ERRORS.get(image.partition(":")[0], 0.005))
                pod.failures += failed
                pod.answers += round(asked / len(ready)) - failed

    # ------------------------------------------------------------------------------- what controllers do

    def put(self, item: Object) -> None:
        """Store *item* at a new resourceVersion; a new specification is a new generation."""
        key = (item["kind"], item["metadata"]["name"])
        before = self.objects.get(key)
        self.version += 1
        metadata = item["metadata"]
        metadata["resourceVersion"] = str(self.version)
        metadata.setdefault("uid", f"uid-{self.version}")
        metadata["namespace"] = NAMESPACE
        changed = before is None or before.get("spec") != item.get("spec")
        metadata["generation"] = metadata.get("generation", 0) + changed
        self.objects[key] = item

    def touch(self, key: tuple[str, str]) -> None:
        """Someone writes something that does not matter."""
        self.put(copy.deepcopy(self.objects[key]))

    def control(self) -> None:
        """Every controller takes one step: one pod is made for each Deployment that lacks one, routes are accepted."""
        for (kind, name), item in list(self.objects.items()):
            if kind == "Deployment":
                self._roll(name.removeprefix(f"{MODEL}-"), copy.deepcopy(item))
            if kind == "HTTPRoute":
                accepted = {
                    "type": "Accepted",
                    "status": "True",
                    "observedGeneration": item["metadata"]["generation"],
                }
                status = {"parents": [{"conditions": [accepted]}]}
                if item.get("status") != status:
                    self.put({**copy.deepcopy(item), "status": status})

    def _roll(self, slot: str, item: Object) -> None:
        wanted, template = item["spec"]["replicas"], digest(item["spec"]["template"])
        pods = self.pods.setdefault(slot, [])
        new = [pod for pod in pods if pod.template == template]
        if len(new) < wanted:
            pods.append(Pod(template, started=self.now))
        elif len(new) > wanted:
            pods.remove(new[-1])
        if wanted == 0 or sum(pod.ready for pod in new) >= wanted:
            pods[:] = [pod for pod in pods if pod.template == template][:wanted]
        self._report(item, slot)

    def _report(self, item: Object, slot: str) -> None:
        template = digest(item["spec"]["template"])
        pods = self.pods.get(slot, [])
        status = {
            "observedGeneration": item["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": sum(pod.template == template for pod in pods),
            "readyReplicas": sum(pod.ready for pod in pods),
        }
        if item.get("status") != status:
            self.put({**item, "status": status})

    def start(self) -> None:
        """Pods that can become ready do."""
        for slot, pods in self.pods.items():
            item = self.objects.get(("Deployment", f"{MODEL}-{slot}"))
            for pod in pods:
                never = item and item["spec"]["template"]["spec"]["containers"][0]["image"].startswith(
                    "never"
                )
                pod.ready = pod.ready or (
                    self.room and not (never and pod.template == digest(item["spec"]["template"]))
                )
            if item:
                self._report(copy.deepcopy(item), slot)

    def crash(self) -> None:
        """Every container fails, but where requests are led: what nobody needs now must not be trusted later."""
        for slot, pods in self.pods.items():
            item = self.objects.get(("Deployment", f"{MODEL}-{slot}"))
            if item and slot not in self.led_to():
                for pod in pods:
                    pod.ready = False
                self._report(copy.deepcopy(item), slot)

    def _pods(self, slot: str) -> list[Object]:
        waiting = {
            "type": "PodScheduled",
            "status": "False",
            "message": "0/1 nodes are available: Insufficient cpu.",
        }
        return [{"metadata": {"name": f"{slot}-{number}"}, "spec": {},
                 "status": {"podIP": f"{slot}-{number}", "conditions": [] if self.room or pod.ready else [waiting]}}
                for number, pod in enumerate(self.pods.get(slot, []))]  # fmt: skip

    # ---------------------------------------------------------------------------------- what tests look at

    def ready(self, slot: str) -> int:
        """Ready pods of a slot."""
        return sum(pod.ready for pod in self.pods.get(slot, []))

    def led_to(self) -> list[str]:
        """The slots that route and live Service lead to now."""
        found = []
        if route := self.objects.get(("HTTPRoute", MODEL)):
            for rule in route["spec"].get("rules", []):
                found += [
                    ref["name"].removeprefix(f"{MODEL}-")
                    for ref in rule.get("backendRefs", [])
                    if ref["weight"]
                ]
        selector = self.objects["Service", MODEL]["spec"].get("selector") or {}
        return found + ([selector[names.SLOT]] if names.SLOT in selector else [])

    def journal(self) -> Journal | None:
        """The journal as it is written down."""
        found = self.objects.get(("ConfigMap", names.journal_name(MODEL)))
        return Journal.from_json(found["data"]["journal.json"]) if found else None

    def replicas(self, slot: str) -> int:
        """Pods a slot's Deployment asks for."""
        found = self.objects.get(("Deployment", f"{MODEL}-{slot}"))
        return found["spec"]["replicas"] if found else 0

    def desire(self, revision: str, image: str = "good", probe: bool = True) -> None:
        """What `helm upgrade` does."""
        said = {names.REVISION: revision} | ({names.PROBE: '{"rows": [{"x": 1}]}'} if probe else {})
        template = {"metadata": {"labels": {names.MODEL: MODEL}},
                    "spec": {"containers": [{"name": "model", "image": f"{image}:{revision}"}]}}  # fmt: skip
        before = self.objects.get(("PodTemplate", MODEL))
        metadata = {**(before["metadata"] if before else _metadata(MODEL)), "annotations": said}
        self.put({"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": template})

    def driver(self) -> Driver:
        """A new driver, as after a restart: it remembers nothing."""
        return Driver(Hands(self, self.ask), [NAMESPACE], lambda: self.now, lambda *_, **__: None)


def installed(
    backend: str = "gateway", *, floor: int = 1, scalers: bool = True, **settings: Any
) -> SimulatedCluster:
    """A cluster with a model release that has no model yet."""
    cluster = SimulatedCluster()
    policy = {"model": MODEL, "traffic": {"backend": backend, "route": MODEL if backend == "gateway" else None},
              "scale": {"floor": floor}, "windowSeconds": 60, "readySeconds": 100, "drainSeconds": 5, **settings}  # fmt: skip
    cluster.put({"kind": "ConfigMap", "metadata": _metadata(f"{MODEL}-policy", {names.ROLE: "policy"}),
                 "data": {"policy.json": json.dumps(policy)}})  # fmt: skip
    cluster.put({"kind": "Service", "metadata": _metadata(MODEL), "spec": {}})
    if backend == "gateway":
        cluster.put({"kind": "HTTPRoute", "metadata": _metadata(MODEL), "spec": {}})
    if scalers:
        for slot in names.SLOTS:
            spec = {"minReplicas": 1, "maxReplicas": 6}
            cluster.put(
                {"kind": "HorizontalPodAutoscaler", "metadata": _metadata(f"{MODEL}-{slot}"), "spec": spec}
            )
    return cluster


def run_until_quiet(cluster: SimulatedCluster, seconds: int = 400, requests: int = 0) -> None:
    """Let driver and controllers go on for a while of simulated time, with so many requests each four seconds."""
    driver = cluster.driver()
    for _ in range(seconds // 4):
        driver.turn()
        cluster.control()
        cluster.start()
        cluster.traffic(requests)
        cluster.now += 4


def _metadata(name: str, labels: Object | None = None) -> Object:
    return {"name": name, "labels": {names.MODEL: MODEL, **(labels or {})}, "annotations": {}}
