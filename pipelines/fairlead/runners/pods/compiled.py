"""What the compiled YAML says of each task, and what of it pods of our own cannot obey.

The YAML is KFP's: the first document is the graph with a container an executor, the second what ``kfp-kubernetes`` adds to the
pods. Whatever is not known here is refused before anything starts: a setting that is silently dropped is a toleration that does
not tolerate, or a Secret that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from fairlead.errors import ProjectError
from fairlead.runners.task import parse_command


@dataclass(frozen=True, slots=True)
class Executor:
    """One task's container and pod settings, by the names that KFP's YAML uses."""

    name: str
    """The component function's name."""
    container: Mapping[str, Any]
    platform: Mapping[str, Any]
    shares_results: bool = False
    """Whether another run's result may stand for this task's (KFP's ``enableCache``)."""

    @property
    def command(self) -> list[str]:
        """Command and arguments, with KFP's placeholder for the executor input."""
        return [*self.container.get("command", ()), *self.container.get("args", ())]


def executors_of(text: str) -> dict[str, Executor]:
    """The executors of a compiled flow, by component function.

    Raises:
        ProjectError: A setting cannot be obeyed by the pods runner; all such settings are named.
    """
    graph, platform = _documents(text)
    settings = platform.get("platforms", {}).get("kubernetes", {})
    pods = settings.get("deploymentSpec", {}).get("executors", {})
    tasks = _tasks_by_executor(graph)
    found, refused = {}, [f"{key}: a pipeline-wide setting" for key in settings if key != "deploymentSpec"]
    for label, spec in graph["deploymentSpec"]["executors"].items():
        refused += [f"{label}: {why}" for why in _refusals(spec, pods.get(label, {}))]
        if "container" in spec and not refused:
            executor = _executor(spec["container"], pods.get(label, {}), tasks.get(label, {}))
            found[executor.name] = executor
    if refused:
        raise ProjectError(
            "the pods runner cannot obey what the compiled pipeline asks for:\n  "
            + "\n  ".join(sorted(refused)),
            hint="Leave these settings out, or run it on Kubeflow Pipelines: --on kubeflow.",
        )
    return found


def _executor(container: Mapping[str, Any], platform: Mapping[str, Any], task: Mapping[str, Any]) -> Executor:
    command = [*container.get("command", ()), *container.get("args", ())]
    return Executor(
        name=parse_command(command).function,
        container=container,
        platform=platform,
        shares_results=bool(task.get("cachingOptions", {}).get("enableCache")),
    )


def _documents(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    documents = list(yaml.safe_load_all(text))
    return documents[0], documents[1] if len(documents) > 1 else {}


def _tasks_by_executor(graph: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The task that runs each executor; each component of our flows is one task."""
    components = graph["components"]
    dags = [graph["root"], *components.values()]
    found: dict[str, Mapping[str, Any]] = {}
    for dag in dags:
        for task in dag.get("dag", {}).get("tasks", {}).values():
            label = components[task["componentRef"]["name"]].get("executorLabel")
            if label is not None:
                found[label] = task
    return found


_CONTAINER = {"image", "command", "args", "env", "resources"}
_PLATFORM = {
    "activeDeadlineSeconds", "configMapAsEnv", "configMapAsVolume", "emptyDirMounts", "fieldPathAsEnv",
    "genericEphemeralVolume", "imagePullPolicy", "imagePullSecret", "nodeAffinity", "nodeSelector", "podMetadata",
    "pvcMount", "secretAsEnv", "secretAsVolume", "securityContext", "tolerations",
}  # fmt: skip
_NAMED_BY = {
    "configMapAsEnv": "configMapNameParameter", "configMapAsVolume": "configMapNameParameter",
    "secretAsEnv": "secretNameParameter", "secretAsVolume": "secretNameParameter",
    "imagePullSecret": "secretNameParameter", "pvcMount": "pvcNameParameter",
}  # fmt: skip
"""Settings that name an object, and the key that holds the name; it may be a value that only a run knows."""


def _refusals(spec: Mapping[str, Any], platform: Mapping[str, Any]) -> Iterator[str]:
    """What of one executor cannot be obeyed, in words."""
    if "container" not in spec:
        yield f"it is not a container ({', '.join(spec)})"
        return
    container = spec["container"]
    yield from (f"container.{key}" for key in container if key not in _CONTAINER)
    yield from (key for key in platform if key not in _PLATFORM)
    yield from _refused_command(container)
    yield from _refused_names(platform)
    yield from _refused_user(platform.get("securityContext", {}))


def _refused_command(container: Mapping[str, Any]) -> Iterator[str]:
    try:
        parse_command([*container.get("command", ()), *container.get("args", ())])
    except ValueError:
        yield "it is not a lightweight Python component"


def _refused_names(platform: Mapping[str, Any]) -> Iterator[str]:
    for key, name in _NAMED_BY.items():
        for use in platform.get(key, ()):
            if _constant(use.get(name, {})) is None:
                yield f"{key} by a value that only a run knows"
    for key, dynamic in (("tolerations", "tolerationJson"), ("nodeAffinity", "nodeAffinityJson")):
        if any(dynamic in use for use in platform.get(key, ())):
            yield f"{key} by a value that only a run knows"
    if "nodeSelectorJson" in platform.get("nodeSelector", {}):
        yield "nodeSelector by a value that only a run knows"


def _refused_user(context: Mapping[str, Any]) -> Iterator[str]:
    if int(context.get("runAsUser", 1)) == 0 or context.get("runAsNonRoot") is False:
        yield "securityContext: root, which the restricted Pod Security profile forbids"


def _constant(parameter: Mapping[str, Any]) -> str | None:
    value = parameter.get("runtimeValue", {}).get("constant")
    return None if value is None else str(value)


def object_name(setting: str, use: Mapping[str, Any]) -> str:
    """The name of the Secret, ConfigMap or claim that one entry of *setting* is about."""
    return str(_constant(use[_NAMED_BY[setting]]))
