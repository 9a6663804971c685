"""The section ``run`` of the project file: how tasks run as containers, on Kubeflow Pipelines or as plain pods.

Runs on a laptop ignore it. What stands at its top holds for every task; a key given below ``tasks.NAME`` replaces the same key
for that task alone.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fairlead.spec.base import SpecModel

TaskName = Literal["data", "search", "model", "bundle"]
TASKS: tuple[TaskName, ...] = ("data", "search", "model", "bundle")

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_OWN_VARIABLES = ("FAIRLEAD_", "MLFLOW_RUN_ID", "KFP_")
_RESERVED_LABELS = "fairlead.dev/"


def seconds_of(duration: str) -> int:
    """A duration in seconds.

    >>> seconds_of("90s"), seconds_of("2h")
    (90, 7200)
    """
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def is_fixed(image: str) -> bool:
    """Whether an image's name has a digest or a tag that is meant to stay. Any other image changes behind its name.

    >>> [is_fixed(image) for image in ("a/b@sha256:12", "host:5000/b:1.2", "host:5000/b", "b:latest")]
    [True, True, False, False]
    """
    name = image.rsplit("/", 1)[-1]
    return "@sha256:" in name or (":" in name and not name.endswith(":latest"))


def _not_latest(image: str) -> str:
    if not is_fixed(image):
        raise ValueError(
            "must have a fixed tag or a digest, because a result is remembered by the image's name"
        )
    return image


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("must be a name for an environment variable: letters, digits and _")
    if name.startswith(_OWN_VARIABLES):
        raise ValueError(f"{name} is set by whoever starts the task")
    return name


def _label(key: str) -> str:
    if key.startswith(_RESERVED_LABELS):
        raise ValueError(f"keys below {_RESERVED_LABELS} are fairlead's own")
    return key


def _not_expressible(what: str, way_out: str) -> BeforeValidator:
    def refuse(value: Any) -> None:
        if value is None:  # not said, which is how a project reads that was written out and in again
            return
        raise ValueError(f"kfp-kubernetes 2.17 has no way to say it for a {what}; {way_out}")

    return BeforeValidator(refuse)


Image = Annotated[str, AfterValidator(_not_latest)]
"""An image reference with a fixed tag or, better, a digest."""
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
"""A Kubernetes quantity: ``500m``, ``2``, ``4Gi``. In quotes, when it is a bare number."""
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}[smhd]$")]
"""A whole number and a unit: ``90s``, ``30m``, ``2h``, ``1d``."""
VariableName = Annotated[str, AfterValidator(_variable)]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
LabelKey = Annotated[str, AfterValidator(_label)]


class Amounts(SpecModel):
    """An amount of each resource; what is not given is left to the cluster."""

    cpu: Quantity | None = None
    memory: Quantity | None = None


class Accelerator(SpecModel):
    """An extended resource, such as a GPU."""

    kind: str = Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")
    """The resource's name: ``nvidia.com/gpu``."""
    count: int = Field(ge=1, le=64)


class Resources(SpecModel):
    """What a task's container asks for and may use."""

    requests: Amounts = Amounts(cpu="250m", memory="512Mi")
    """Reserved on the node. Small, so that a first run fits anywhere."""
    limits: Amounts = Amounts(memory="4Gi")
    """A task that takes more memory is killed and says so. No limit of CPU by default: it would only slow an idle node."""
    accelerator: Accelerator | None = None


class SecretUse(SpecModel):
    """A Secret of the namespace, as environment variables, as files, or both."""

    name: ObjectName
    env: dict[str, VariableName] = Field(default_factory=dict)
    """Key in the Secret to environment variable."""
    mount: str | None = Field(default=None, pattern=r"^/[^:]*$")
    """Folder with one file a key."""
    optional: bool = False
    """Whether the task starts without it."""

    @model_validator(mode="after")
    def _is_used(self) -> Self:
        if not self.env and self.mount is None:
            raise ValueError("needs env (key: VARIABLE) or mount (a folder), or it has no effect")
        return self


class ConfigMapUse(SecretUse):
    """A ConfigMap of the namespace, as environment variables, as files, or both."""


class Toleration(SpecModel):
    """A taint of nodes that tasks put up with. Without ``key`` (and with ``operator: Exists``) all taints."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    seconds: int | None = Field(default=None, ge=0)
    """With ``NoExecute``: how long a running task may stay."""

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("operator Exists takes no value")
        if self.key is None and self.operator != "Exists":
            raise ValueError("without a key, operator must be Exists")
        return self


class NodeExpression(SpecModel):
    """One condition on a node's labels."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: tuple[str, ...] = ()


class NodeAffinity(SpecModel):
    """Nodes that a task must run on or, with a weight, had better run on. Several terms without weight are alternatives."""

    match: tuple[NodeExpression, ...] = Field(min_length=1)
    """All of these hold."""
    weight: int | None = Field(default=None, ge=1, le=100)
    """Makes it a preference, from 1 (slight) to 100."""


class Workspace(SpecModel):
    """Space on a volume for what a task writes aside: temporary files go there instead of memory-backed or node storage.

    With ``size`` each task gets a volume of its own, which goes with its pod. With ``claim`` all tasks share an existing claim;
    it must be ReadWriteMany, or all tasks must be pinned to one node by ``node_selector``. User 65532 must be able to write
    there.
    """

    size: Quantity | None = None
    storage_class: str | None = None
    """Default: the cluster's default class."""
    claim: ObjectName | None = None

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.size is None) == (self.claim is None):
            raise ValueError("needs either size (a volume a task) or claim (an existing one)")
        if self.claim is not None and self.storage_class is not None:
            raise ValueError("storage_class goes with size; an existing claim has its class")
        return self


class TaskSettings(SpecModel):
    """How one task runs."""

    resources: Resources = Resources()
    timeout: Duration = "1h"
    """The pod is killed after this time. Always set: a pipeline backend waits for ever for a pod that cannot start."""
    retries: int = Field(default=0, ge=0, le=10)
    """How often a failed task is started again. Upstream's configuration of Argo Workflows makes Kubeflow Pipelines ignore this
    for a container that exits with an error (its ``workflowDefaults`` replace the retry policy); stages retry transient faults
    of MLflow and the store themselves. The pods runner obeys it, and starts evicted pods again anyway."""
    caching: bool = True
    """Whether a task is skipped when the same image has run the same code on the same inputs before. Of itself only ``search``
    may be: rows change behind an unchanged name (``data``), and so do the champion (``model``) and the registry (``bundle``).
    To skip those too, say so below ``tasks``."""
    env: dict[VariableName, str] = Field(default_factory=dict)
    secrets: tuple[SecretUse, ...] = ()
    config_maps: tuple[ConfigMapUse, ...] = ()
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node must have."""
    node_affinity: tuple[NodeAffinity, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    labels: dict[LabelKey, str] = Field(default_factory=dict)
    """Labels for the pod."""
    annotations: dict[LabelKey, str] = Field(default_factory=dict)
    """Annotations for the pod."""
    workspace: Workspace | None = None
    priority_class: Annotated[
        None, _not_expressible("task", "set the namespace's default priority class instead")
    ] = None
    """Refused, with the way out: a setting that no backend would obey is worse than none."""
    runtime_class: Annotated[
        None, _not_expressible("task", "choose nodes with node_selector, or have an admission policy set it")
    ] = None
    """Refused, as ``priority_class``."""


class TaskOverrides(SpecModel):
    """Settings of single tasks. A key given here replaces the same key of ``run``."""

    data: TaskSettings = TaskSettings()
    search: TaskSettings = TaskSettings()
    model: TaskSettings = TaskSettings()
    bundle: TaskSettings = TaskSettings()


class Run(TaskSettings):
    """How tasks run as containers. Every key has a default that works on a cluster as fairlead's charts set it up."""

    image: Image | None = None
    """The image of every task, best by digest. Default: ``fairlead/pipeline`` in this version."""
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    pull_secrets: tuple[ObjectName, ...] = ()
    """Secrets of the namespace with the registry's credentials."""
    service_account: ObjectName | None = None
    """Identity of the tasks' pods. Default: ``fairlead-task`` for the pods runner (no rights, no token), the backend's own for
    Kubeflow Pipelines, where it holds for a whole run."""
    tasks: TaskOverrides = TaskOverrides()

    def for_task(self, name: TaskName) -> TaskSettings:
        """The settings of one task: what is given for it, else what is given for all, else the defaults.

        >>> run = Run.model_validate({"timeout": "2h", "tasks": {"model": {"timeout": "8h"}}})
        >>> run.for_task("model").timeout, run.for_task("bundle").timeout
        ('8h', '2h')
        >>> run.for_task("search").caching, run.for_task("data").caching
        (True, False)
        """
        own = cast("TaskSettings", getattr(self.tasks, name))
        values = {key: getattr(self, key) for key in TaskSettings.model_fields}
        values["caching"] = self.caching and name == "search"
        values |= {key: getattr(own, key) for key in own.model_fields_set}
        return TaskSettings.model_construct(**values)
