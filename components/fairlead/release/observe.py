"""Read one namespace and turn its objects into records."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from fairlead.errors import FairleadError
from fairlead.release import names
from fairlead.release.actions import Weights
from fairlead.release.journal import Journal, Stamp
from fairlead.release.objects import Object, digest, holds, plain_template, rules, seen_template, slot_labels
from fairlead.release.observed import (
    Command,
    Deployed,
    Desired,
    Observed,
    Pods,
    Pointer,
    Scaler,
    Slot,
    Traffic,
)
from fairlead.release.policy import Policy


class Cluster(Protocol):
    """What the driver asks of Kubernetes. Every write raises Conflict if the object has moved on since it was read."""

    def find(self, kind: str, namespace: str, labels: str) -> list[Object]:
        """All objects of *kind* that the label selector matches; none if the cluster does not know the kind."""

    def create(self, body: Object) -> Object:
        """Make an object. Raises Conflict if there is one."""

    def replace(self, body: Object) -> Object:
        """Overwrite the object that has the resourceVersion in *body*."""

    def patch(self, kind: str, namespace: str, name: str, operations: list[Object]) -> Object:
        """Apply a JSON patch."""

    def apply(self, body: Object) -> Object:
        """Server-side apply with the resourceVersion in *body*, taking over the fields."""

    def annotate(self, kind: str, namespace: str, name: str, annotations: dict[str, str]) -> None:
        """Set annotations, whatever resourceVersion the object has."""

    def scale(self, namespace: str, name: str, replicas: int, version: str) -> None:
        """Set a Deployment's number of pods through its scale subresource."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model as read: all that a decision needs. ``error`` stands in place of what could not be understood."""

    name: str
    policy: Policy | None
    desired: Desired | None
    observed: Observed
    journal: Journal | None
    error: FairleadError | None = None


def observe(cluster: Cluster, namespace: str) -> list[Model]:
    """Every model of *namespace* that has a policy, by name."""
    policies = cluster.find("ConfigMap", namespace, f"{names.ROLE}=policy")
    if not policies:
        return []
    found = Listing.read(cluster, namespace)
    return [_model(cluster, found, policy) for policy in sorted(policies, key=_name)]


@dataclass(frozen=True, slots=True)
class Listing:
    """The objects of one namespace by kind and name, read in one go for all its models."""

    objects: Mapping[tuple[str, str], Object]

    @classmethod
    def read(cls, cluster: Cluster, namespace: str) -> Listing:
        """List every kind the driver looks at; pods are left out, since they are many and seldom needed."""
        kinds = [("ConfigMap", f"{names.ROLE}=journal"), *((kind, names.MODEL) for kind in (
            "PodTemplate", "Deployment", "HorizontalPodAutoscaler", "Service", "HTTPRoute"))]  # fmt: skip
        return cls({(kind, _name(item)): item
                    for kind, labels in kinds for item in cluster.find(kind, namespace, labels)})  # fmt: skip

    def get(self, kind: str, name: str | None) -> Object | None:
        """The object, if there is one."""
        return self.objects.get((kind, name)) if name else None


def _model(cluster: Cluster, found: Listing, config: Object) -> Model:
    """One model; pods are listed only where a decision turns on them, in the slot that is being released."""
    metadata = config["metadata"]
    name = metadata.get("labels", {}).get(names.MODEL) or metadata["name"]
    seen = Observed(metadata["namespace"], metadata["name"], metadata["uid"])
    try:
        policy = Policy.parse(config.get("data", {}).get("policy.json", ""))
        kept = found.get("ConfigMap", names.journal_name(policy.model))
        journal = Journal.from_json(kept.get("data", {}).get("journal.json", "")) if kept else None
    except FairleadError as error:
        return Model(name, None, None, seen, None, error)
    said = metadata.get("annotations", {})
    desired = desired_of(
        found.get("PodTemplate", policy.model),
        said.get(names.RETRY, ""),
        command_of(said.get(names.COMMAND, "")),
    )
    candidate = journal.release.slot if journal and journal.release else None
    slots = {slot: _slot(found, policy, slot) for slot in names.SLOTS}
    if candidate:
        pods = cluster.find("Pod", seen.namespace, selector(slot_labels(policy.model, candidate)))
        slots[candidate] = dataclasses.replace(slots[candidate], pods=pods_of(pods))
    observed = Observed(
        seen.namespace, seen.policy_name, seen.policy_uid, slots, _traffic(found, policy),
        kept["metadata"]["resourceVersion"] if kept else None,
    )  # fmt: skip
    return Model(policy.model, policy, desired, observed, journal)


def command_of(text: str) -> Command | None:
    """What a person told the driver; None where there is nothing, or nothing that can be understood.

    >>> command_of('{"id": "1", "verb": "pause", "who": "eve", "why": "lunch"}').verb, command_of("pause")
    ('pause', None)
    """
    try:
        said = json.loads(text)
        return Command(*(str(said.get(key, "")) for key in ("id", "verb", "who", "why", "guard")))
    except (ValueError, AttributeError):
        return None


def desired_of(template: Object | None, retry: str, command: Command | None = None) -> Desired | None:
    """The desired revision, named by its annotation or else by the template's content; None while there is no model yet."""
    if template is None:
        return None
    said = template["metadata"].get("annotations", {})
    pods = plain_template(template["template"])
    revision = said.get(names.REVISION) or digest(pods)[:10]
    stamp = Stamp(
        revision=revision, template=pods, bundle=said.get(names.BUNDLE, ""), probe=said.get(names.PROBE, "")
    )
    return Desired(stamp, retry, command)


def _slot(found: Listing, policy: Policy, slot: str) -> Slot:
    name = names.slot_name(policy.model, slot)
    deployed, scaler = found.get("Deployment", name), found.get("HorizontalPodAutoscaler", name)
    return Slot(deployed_of(deployed) if deployed else None, scaler=scaler_of(scaler) if scaler else None)


def selector(labels: Mapping[str, str]) -> str:
    """A label selector that matches all of *labels*.

    >>> selector({"fairlead.dev/model": "fraud", "fairlead.dev/slot": "blue"})
    'fairlead.dev/model=fraud,fairlead.dev/slot=blue'
    """
    return ",".join(f"{key}={value}" for key, value in labels.items())


def deployed_of(item: Object) -> Deployed:
    """A Deployment's specification and status."""
    metadata, spec, status = item["metadata"], item["spec"], item.get("status", {})
    refused = next((condition.get("message", "") for condition in status.get("conditions", ())
                    if condition["type"] == "ReplicaFailure" and condition["status"] == "True"), "")  # fmt: skip
    return Deployed(
        version=metadata["resourceVersion"],
        annotations=metadata.get("annotations", {}),
        template=seen_template(item),
        owner=next((owner["uid"] for owner in metadata.get("ownerReferences", ())), ""),
        replicas=spec.get("replicas", 1),
        total=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        current=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        refused=refused,
    )


def pods_of(items: Iterable[Object]) -> Pods:
    """What the pods of a slot say together; of several reasons the first by pod name."""
    items = sorted(items, key=_name)
    leaving = [pod for pod in items if pod["metadata"].get("deletionTimestamp")]
    staying = [pod for pod in items if pod not in leaving]
    pending = next(filter(None, map(_unscheduled, staying)), "")
    return Pods(len(leaving), pending, next(filter(None, map(_trouble, staying)), ""))


def _unscheduled(pod: Object) -> str:
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason", "not scheduled"))
    return ""


def _trouble(pod: Object) -> str:
    """The first container that failed, and why: while it waits to be started again, and while it tries again."""
    status = pod.get("status", {})
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        state = container.get("state", {})
        waiting = state.get("waiting", {})
        stuck = waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing")
        ended = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
        if container.get("ready") or not (stuck or ended.get("exitCode")):
            continue
        reason = waiting["reason"] if stuck else "failed"
        return f"container {container['name']}: {reason}{_last_words(waiting, ended)}"[:450]
    return ""


def _last_words(waiting: Object, ended: Object) -> str:
    """How a container ended the last time; for one that never ran, why not."""
    if not ended:
        return f": {waiting.get('message', '')}"
    said = " ".join(str(ended.get("message", "")).split())[-300:]
    return f" after exit code {ended['exitCode']} ({ended.get('reason', '')})" + (f": {said}" if said else "")


def scaler_of(item: Object) -> Scaler:
    """An autoscaler's bounds."""
    return Scaler(
        item["metadata"]["resourceVersion"], item["spec"].get("minReplicas"), item["spec"]["maxReplicas"]
    )


def _traffic(found: Listing, policy: Policy) -> Traffic:
    traffic = policy.traffic
    service = found.get("Service", policy.model)
    route = found.get("HTTPRoute", traffic.route) if traffic.backend == "gateway" else None
    preview = found.get("HTTPRoute", traffic.preview_route) if traffic.backend == "gateway" else None
    return Traffic(
        _route_pointer(route, policy) if route else None,
        _route_pointer(preview, policy) if preview else None,
        _service_pointer(service, policy) if service else None,
    )


def _route_pointer(route: Object, policy: Policy) -> Pointer:
    found = route["spec"].get("rules", [])
    slot = next((slot for slot in names.SLOTS if holds(found, rules(policy, {slot: 100}))), None)
    weights = {} if slot else _weights(policy, found)
    return Pointer(route["metadata"]["resourceVersion"], slot, _accepted(route), weights)


def _weights(policy: Policy, found: Any) -> Weights:
    """The weights of rules that the driver wrote for two slots; empty for any others."""
    try:
        told = [reference["weight"] / 100 for reference in found[0]["backendRefs"]]
        weights = dict(zip(names.SLOTS, told, strict=True))
    except (LookupError, TypeError, ValueError):
        return {}
    return weights if holds(found, rules(policy, weights)) else {}


def _accepted(route: Object) -> bool:
    """Whether a gateway has taken in the route as it is now. Says when rules are known, not yet when they are obeyed."""
    generation = route["metadata"].get("generation", 0)
    return any(
        condition["type"] == "Accepted" and condition["status"] == "True"
        and condition.get("observedGeneration", 0) >= generation
        for parent in route.get("status", {}).get("parents", ())
        for condition in parent.get("conditions", ())
    )  # fmt: skip


def _service_pointer(service: Object, policy: Policy) -> Pointer:
    selector = service["spec"].get("selector")
    slot = next((slot for slot in names.SLOTS if selector == slot_labels(policy.model, slot)), None)
    return Pointer(service["metadata"]["resourceVersion"], slot)


def _name(item: Mapping[str, Any]) -> str:
    return str(item["metadata"]["name"])


def probe_rows(probe: str) -> list[Any]:
    """The rows of a probe annotation; none if there is no annotation or it is not what it should be."""
    try:
        found = json.loads(probe)["rows"] if probe else []
    except (ValueError, KeyError, TypeError):
        return []
    return found if isinstance(found, list) else []
