"""The objects of a run as plain mappings: a Job with its ConfigMap, and a pod a task.

All of them fit the restricted Pod Security profile: no root, no privileges, no capabilities, the default seccomp profile; and the
root file system is read-only. A task's pod has no token of the Kubernetes API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairlead.flows.settings import ENVIRONMENT, ENVIRONMENT_MAP, STORE_SECRET, USER
from fairlead.records import JsonRecord
from fairlead.runners.pods.compiled import Executor, object_name
from fairlead.runners.pods.task import Assignment

RUN_LABEL = "fairlead.dev/run"
TASK_LABEL = "fairlead.dev/task"
PROJECT_LABEL = "fairlead.dev/project"
RUNNER_ACCOUNT = "fairlead-runner"
TASK_ACCOUNT = "fairlead-task"
REQUEST_FOLDER = "/etc/fairlead"
FLOW_FILE, REQUEST_FILE = "flow.yaml", "request.json"

KEPT_SECONDS = 24 * 3600
"""How long a finished Job, its ConfigMap and the pods of failed tasks stay to be looked at."""
RESTARTS = 5
"""How often the orchestrator is started again after it was killed or evicted; each time it goes on where it was."""


@dataclass(frozen=True, slots=True)
class RunRequest(JsonRecord):
    """What the orchestrator is asked to run; beside it lies the compiled flow."""

    name: str
    project: str
    """The project's name: the MLflow experiment."""
    namespace: str
    parameters: dict[str, Any] = field(default_factory=dict)
    service_account: str = TASK_ACCOUNT
    """Identity of the tasks' pods."""
    pending_seconds: int = 600
    """How long a task's pod may wait for a node."""


def job_of(request: RunRequest, image: str, pull: Mapping[str, Any]) -> dict[str, Any]:
    """The Job that orchestrates a run. *pull* holds pull policy and pull secrets as in a pod's specification."""
    container = {
        "name": "orchestrator",
        "image": image,
        "imagePullPolicy": pull.get("imagePullPolicy", "IfNotPresent"),
        "command": ["python3", "-m", "fairlead.runners.pods.orchestrate", REQUEST_FOLDER],
        "env": _variables({**ENVIRONMENT, "PYTHONUNBUFFERED": "1"}),
        "envFrom": [
            {"configMapRef": {"name": ENVIRONMENT_MAP, "optional": True}},
            {"secretRef": {"name": STORE_SECRET, "optional": True}},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": _container_context(),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - of the container
            {"name": "request", "mountPath": REQUEST_FOLDER, "readOnly": True},
        ],
    }
    pod = {
        "serviceAccountName": RUNNER_ACCOUNT,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": _pod_context(),
        "imagePullSecrets": pull.get("imagePullSecrets", []),
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "request", "configMap": {"name": request.name}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": request.name, "labels": labels_of(request)},
        "spec": {
            "backoffLimit": RESTARTS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "podFailurePolicy": {"rules": _when_to_give_up()},
            "template": {"metadata": {"labels": labels_of(request)}, "spec": pod},
        },
    }


def _when_to_give_up() -> list[dict[str, Any]]:
    """A failed run is not tried again; an orchestrator that was killed or moved away is."""
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": list(range(1, 10))}},
    ]


def config_map_of(request: RunRequest, flow: str, job_uid: str) -> dict[str, Any]:
    """The ConfigMap that the orchestrator reads; it goes with the Job."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": request.name,
            "labels": labels_of(request),
            "ownerReferences": [owner_of(request.name, job_uid)],
        },
        "data": {FLOW_FILE: flow, REQUEST_FILE: request.to_json()},
    }


def labels_of(request: RunRequest) -> dict[str, str]:
    """Labels of everything that belongs to a run."""
    return {
        "app.kubernetes.io/name": "fairlead",
        "app.kubernetes.io/component": "run",
        RUN_LABEL: request.name,
        PROJECT_LABEL: request.project,
    }


def owner_of(job: str, uid: str) -> dict[str, Any]:
    """The reference by which an object goes when the Job goes."""
    return {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": uid, "controller": False}


def pod_name(run: str, function: str, key: str, attempt: int) -> str:
    """A pod's name: the same for the same attempt at the same work, so that a restarted orchestrator joins it.

    A run's name has at most 45 characters (:func:`run_name`), so this one has at most 63.

    >>> pod_name("fraud-20260102-030405-abcdef", "search", "0123456789ab", 1)
    'fraud-20260102-030405-abcdef-search-012345-1'
    """
    return f"{run}-{function}-{key[:6]}-{attempt}"


def pod_of(
    request: RunRequest,
    executor: Executor,
    task: str,
    assignment: Assignment,
    environment: Mapping[str, str],
    job_uid: str,
) -> dict[str, Any]:
    """The pod of one attempt at a task.

    Args:
        request: The run.
        executor: What the compiled YAML says of the task.
        task: The task's name in this run (``search-2``).
        assignment: Handed to :mod:`fairlead.runners.pods.task`.
        environment: Variables beside those of the YAML.
        job_uid: Of the Job, whose end takes the pod along.
    """
    platform = executor.platform
    volumes, mounts = _volumes(platform)
    metadata = platform.get("podMetadata", {})
    container = {
        "name": "task",
        "image": executor.container["image"],
        "imagePullPolicy": platform.get("imagePullPolicy", "IfNotPresent"),
        "command": ["python3", "-m", "fairlead.runners.pods.task", assignment.to_line()],
        "env": [*_variables(_declared(executor)), *_from_objects(platform), *_variables(environment)],
        "resources": _resources(executor.container.get("resources", {})),
        "securityContext": _container_context(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],  # noqa: S108 - of the container
    }
    spec: dict[str, Any] = {
        "serviceAccountName": request.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": _pod_context(platform.get("securityContext", {})),
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes],
        **_scheduling(platform),
    }
    if "activeDeadlineSeconds" in platform:
        spec["activeDeadlineSeconds"] = int(platform["activeDeadlineSeconds"])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(request.name, executor.name, assignment.key, assignment.attempt),
            "labels": {**metadata.get("labels", {}), **labels_of(request), TASK_LABEL: task},
            "annotations": dict(metadata.get("annotations", {})),
            "ownerReferences": [owner_of(request.name, job_uid)],
        },
        "spec": spec,
    }


def _pod_context(asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    asked = asked or {}
    user = int(asked.get("runAsUser", USER))
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": int(asked.get("runAsGroup", user)),
        "fsGroup": int(asked.get("runAsGroup", user)),  # so that volumes can be written
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _container_context() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _variables(values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in sorted(values.items())]


def _declared(executor: Executor) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in executor.container.get("env", ())}


def _from_objects(platform: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Variables from Secrets, ConfigMaps and the pod's own fields."""
    kinds = (
        ("secretAsEnv", "secretKeyRef", "secretKey"),
        ("configMapAsEnv", "configMapKeyRef", "configMapKey"),
    )
    found = [
        {"name": pair["envVar"], "valueFrom": {reference: {
            "name": object_name(setting, use), "key": pair[key], "optional": bool(use.get("optional"))}}}
        for setting, reference, key in kinds
        for use in platform.get(setting, ())
        for pair in use["keyToEnv"]
    ]  # fmt: skip
    fields = [
        {"name": use["name"], "valueFrom": {"fieldRef": {"fieldPath": use["fieldPath"]}}}
        for use in platform.get("fieldPathAsEnv", ())
    ]
    return [*found, *fields]


def _volumes(platform: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes of the pod and where the container finds them."""
    sources: list[tuple[dict[str, Any], str, str | None]] = []
    for use in platform.get("secretAsVolume", ()):
        secret = {"secretName": object_name("secretAsVolume", use), "optional": bool(use.get("optional"))}
        sources.append(({"secret": secret}, use["mountPath"], None))
    for use in platform.get("configMapAsVolume", ()):
        named = {"name": object_name("configMapAsVolume", use), "optional": bool(use.get("optional"))}
        sources.append(({"configMap": named}, use["mountPath"], None))
    for use in platform.get("pvcMount", ()):
        claim = {"claimName": object_name("pvcMount", use)}
        sources.append(({"persistentVolumeClaim": claim}, use["mountPath"], use.get("subPath")))
    for use in platform.get("emptyDirMounts", ()):
        space = {key: use[key] for key in ("medium", "sizeLimit") if use.get(key)}
        sources.append(({"emptyDir": space}, use["mountPath"], None))
    sources.extend(
        ({"ephemeral": {"volumeClaimTemplate": {"spec": _claim(use)}}}, use["mountPath"], None)
        for use in platform.get("genericEphemeralVolume", ())
    )
    volumes = [{"name": f"volume-{number}", **source} for number, (source, _, _) in enumerate(sources)]
    mounts = [
        {"name": f"volume-{number}", "mountPath": path, **({"subPath": below} if below else {})}
        for number, (_, path, below) in enumerate(sources)
    ]
    return volumes, mounts


def _claim(use: Mapping[str, Any]) -> dict[str, Any]:
    named = {} if use.get("defaultStorageClass") else {"storageClassName": use.get("storageClassName")}
    return {
        "accessModes": list(use.get("accessModes", ("ReadWriteOnce",))),
        "resources": {"requests": {"storage": use["size"]}},
        **{key: value for key, value in named.items() if value},
    }


_AMOUNTS = (("resourceCpuRequest", "requests", "cpu"), ("resourceMemoryRequest", "requests", "memory"),
            ("resourceCpuLimit", "limits", "cpu"), ("resourceMemoryLimit", "limits", "memory"))  # fmt: skip


def _resources(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Requests and limits, in the quantities that were written (KFP keeps them beside its own numbers)."""
    found: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for key, side, resource in _AMOUNTS:
        if asked.get(key):
            found[side][resource] = str(asked[key])
    accelerator = asked.get("accelerator")
    if accelerator:
        kind = accelerator.get("resourceType") or accelerator["type"]
        found["limits"][kind] = str(accelerator.get("resourceCount") or accelerator["count"])
    return found


def _scheduling(platform: Mapping[str, Any]) -> dict[str, Any]:
    """Where the pod may run, and with which credentials its image is pulled."""
    spec: dict[str, Any] = {}
    if selector := platform.get("nodeSelector", {}).get("labels"):
        spec["nodeSelector"] = dict(selector)
    if tolerations := platform.get("tolerations"):
        spec["tolerations"] = [_toleration(entry) for entry in tolerations]
    if terms := platform.get("nodeAffinity"):
        spec["affinity"] = {"nodeAffinity": _affinity(terms)}
    if secrets := platform.get("imagePullSecret"):
        spec["imagePullSecrets"] = [{"name": object_name("imagePullSecret", use)} for use in secrets]
    return spec


def _toleration(entry: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: entry[key] for key in ("key", "operator", "value", "effect") if entry.get(key)}
    return plain | (
        {"tolerationSeconds": int(entry["tolerationSeconds"])} if "tolerationSeconds" in entry else {}
    )


def _affinity(terms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    required, preferred = [], []
    for term in terms:
        rule = {
            key: [_expression(entry) for entry in term[key]]
            for key in ("matchExpressions", "matchFields")
            if term.get(key)
        }
        if "weight" in term:
            preferred.append({"weight": int(term["weight"]), "preference": rule})
        else:
            required.append(rule)
    found: dict[str, Any] = {}
    if required:
        found["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": required}
    if preferred:
        found["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    return found


def _expression(entry: Mapping[str, Any]) -> dict[str, Any]:
    plain = {"key": entry["key"], "operator": entry["operator"]}
    return {**plain, **({"values": list(entry["values"])} if entry.get("values") else {})}


def run_name(project: str, stamp: str, digest: str) -> str:
    """A name for a run: project, time, and the archive's digest; at most 45 characters, because pods' names begin with it.

    >>> run_name("fraud", "20260102-030405", "abcdef0123")
    'fraud-20260102-030405-abcdef'
    """
    short = re.sub(r"-+$", "", project[:22])
    return f"{short}-{stamp}-{digest[:6]}"
