"""Pod Security's profile `restricted`, and what this project asks of every pod beyond it, as rules on a pod spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
"""The kinds of volume the profile allows."""


def faults_of(pod: dict[str, Any]) -> list[str]:
    """Each rule that *pod* breaks, in words."""
    found = [*_pod_faults(pod)]
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        found += [f"{container['name']}: {fault}" for fault in _container_faults(container)]
    return found


def _pod_faults(pod: dict[str, Any]) -> Iterator[str]:
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "may run as root"
    if security.get("runAsUser") != 65532 or security.get("runAsGroup") != 65532:
        yield "has no numeric user and group, or another than the images'"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares a namespace of the node"
    if pod.get("enableServiceLinks") is not False:
        yield "gets an environment variable for each Service"
    for volume in pod.get("volumes", []):
        if not set(volume) - {"name"} <= VOLUMES:
            yield f"mounts a volume of a kind that is not allowed: {volume['name']}"


def _container_faults(container: dict[str, Any]) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root file system"
    if security.get("privileged"):
        yield "is privileged"
    if "/tmp" not in [mount["mountPath"] for mount in container.get("volumeMounts", [])]:
        yield "has no /tmp it can write to"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "takes a port of the node"
    if not {"cpu", "memory"} <= set(container.get("resources", {}).get("requests", {})):
        yield "asks for no CPU or memory"
    if "memory" not in container["resources"].get("limits", {}):
        yield "has no limit of memory"
    if container["image"].endswith(":latest"):
        yield "uses the tag latest"
