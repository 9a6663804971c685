"""Kubernetes objects the driver writes, as plain mappings: pure functions of intent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fairlead.release import names
from fairlead.release.actions import Notice, Weights
from fairlead.release.journal import Stamp
from fairlead.release.policy import Policy

Object = dict[str, Any]
"""A Kubernetes object in its JSON form."""


def digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of canonical JSON.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def plain_template(template: Mapping[str, Any]) -> Object:
    """A pod template as the API server answers it, without the slot's label and the empty timestamp.

    >>> plain_template({"metadata": {"creationTimestamp": None, "labels": {"fairlead.dev/slot": "blue", "a": "b"}}, "spec": {}})
    {'metadata': {'labels': {'a': 'b'}}, 'spec': {}}
    """
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if value is not None}
    labels = {key: value for key, value in metadata.get("labels", {}).items() if key != names.SLOT}
    return {**template, "metadata": {**metadata, "labels": labels}}


def slot_template(stamp: Stamp, model: str, slot: str) -> Object:
    """The pod template of a slot's Deployment."""
    metadata = stamp.template["metadata"]
    labels = {**metadata.get("labels", {}), names.MODEL: model, names.SLOT: slot}
    return {**stamp.template, "metadata": {**metadata, "labels": labels}}


def seen_template(deployment: Mapping[str, Any]) -> Object:
    """A Deployment's pod template as the API server answers it, without empty fields of its metadata."""
    template = deployment["spec"]["template"]
    return {
        **template,
        "metadata": {key: value for key, value in template["metadata"].items() if value is not None},
    }


def slot_labels(model: str, slot: str) -> dict[str, str]:
    """What selects the pods of a slot."""
    return {names.MODEL: model, names.SLOT: slot}


def slot_annotations(stamp: Stamp) -> dict[str, str]:
    """What a Deployment says about its revision."""
    said = {names.REVISION: stamp.revision, names.BUNDLE: stamp.bundle, names.PROBE: stamp.probe}
    return {key: value for key, value in said.items() if value}


def owner_reference(policy: str, uid: str) -> Object:
    """Owned by the policy ConfigMap: when the chart is uninstalled, the garbage collector removes the rest."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": policy, "uid": uid}


def deployment(
    namespace: str, policy: Policy, slot: str, stamp: Stamp, replicas: int, owner: Object
) -> Object:
    """The Deployment of a slot. Old pods go only when new ones are ready."""
    template = slot_template(stamp, policy.model, slot)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": names.slot_name(policy.model, slot),
            "namespace": namespace,
            "labels": template["metadata"]["labels"],
            "annotations": slot_annotations(stamp),
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": max(policy.ready_seconds, 60),
            "selector": {"matchLabels": slot_labels(policy.model, slot)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "template": template,
        },
    }


def event(namespace: str, policy: str, uid: str, notice: Notice, now: float) -> Object:
    """An event on the policy ConfigMap."""
    at = datetime.fromtimestamp(now, tz=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{policy}.", "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": policy,
            "namespace": namespace,
            "uid": uid,
        },
        "reason": notice.reason,
        "message": notice.message[:1000],
        "type": "Warning" if notice.warning else "Normal",
        "eventTime": at,
        "action": "Release",
        "reportingComponent": names.MANAGER,
        "reportingInstance": names.MANAGER,
    }


def rules(policy: Policy, weights: Weights) -> list[Object]:
    """All rules of the HTTPRoute: one back end a slot that has a weight. Weights are told in hundredths of a percent.

    A slot without weight is left out instead of given weight 0: a gateway then has no reason to look at pods that are about to
    go, and a slot without pods can make no part of the route unresolved.
    """
    prefix = policy.traffic.path_prefix
    rule: Object = {"matches": [{"path": {"type": "PathPrefix", "value": prefix}}]}
    if policy.traffic.strip_prefix:
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
        rule["filters"] = [{"type": "URLRewrite", "urlRewrite": rewrite}]
    backends = [
        {
            "group": "",
            "kind": "Service",
            "name": names.slot_name(policy.model, slot),
            "port": 80,
            "weight": round(100 * weights[slot]) if len(weights) > 1 else 100,
        }
        for slot in names.SLOTS
        if slot in weights
    ]
    return [{**rule, "backendRefs": backends}]


def pod_url(pod: Mapping[str, Any]) -> str:
    """Where a pod's port ``http`` is; empty while it has no address, or is gone.

    >>> pod = {"status": {"podIP": "10.0.0.7"}, "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]}}
    >>> pod_url(pod), pod_url({**pod, "status": {}})
    ('http://10.0.0.7:8080', '')
    """
    address = pod.get("status", {}).get("podIP", "")
    ports = (
        port["containerPort"]
        for container in pod["spec"].get("containers", ())
        for port in container.get("ports", ())
        if port.get("name") == "http"
    )
    return f"http://{address}:{next(ports, 8080)}" if address else ""


def holds(found: Any, wanted: Any) -> bool:
    """Whether *found* says all that *wanted* says. Defaults that the API server added do not matter; list items do.

    >>> holds({"a": 1, "added": 2}, {"a": 1})
    True
    >>> holds([1, 2], [1])
    False
    """
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and holds(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(holds, found, wanted))
    return bool(found == wanted)
