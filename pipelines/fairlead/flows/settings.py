"""How every task of every flow runs as a container: the one place where it is said.

Fixed settings come first (they make a task run as any user, on a read-only root file system, without reporting usage), then the
section ``run`` of the project file. All of it ends up in the compiled YAML, so that Kubeflow Pipelines, which knows nothing
of fairlead, and the pods runner obey the same text.
"""

from __future__ import annotations

from typing import Any

from kfp import kubernetes
from kfp.dsl import PipelineTask

from fairlead import telemetry
from fairlead.flows.threads import ONE_THREAD
from fairlead.spec.run import Run, TaskName, TaskSettings, Workspace, seconds_of

USER = 65532
"""The user of all images. Numeric, because a kubelet that must not start root cannot judge a name."""

ENVIRONMENT = {
    # The user may have no home, and the root file system may be read-only; /tmp is always writable.
    "HOME": "/tmp",  # noqa: S108 - of a container of its own
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108
    "XDG_CACHE_HOME": "/tmp/cache",  # noqa: S108
    **telemetry.OFF,
    **ONE_THREAD,
}
"""Environment of every task."""

STORE_SECRET = "fairlead-store"  # noqa: S105 - the name of a Secret, not its content
STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
ENVIRONMENT_MAP = "fairlead-environment"
ENVIRONMENT_KEYS = (
    "MLFLOW_TRACKING_URI", "FAIRLEAD_STORE", "AWS_ENDPOINT_URL", "AWS_REGION", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip
"""Where things are, from objects of fixed names in the namespace of the run; each is optional, and each of its keys."""

WORKSPACE = "/workspace"


def apply(task: PipelineTask, name: TaskName, run: Run) -> None:
    """Apply the fixed settings and the section ``run`` to the task *name*."""
    settings = run.for_task(name)
    _surroundings(task)
    _container(task, settings, run)
    _pod(task, settings, run)
    _objects(task, settings)
    if settings.workspace is not None:
        _workspace(task, settings.workspace)


def _surroundings(task: PipelineTask) -> None:
    for variable, value in ENVIRONMENT.items():
        task.set_env_variable(variable, value)
    kubernetes.use_secret_as_env(
        task, STORE_SECRET, dict(zip(STORE_KEYS, STORE_KEYS, strict=True)), optional=True
    )
    kubernetes.use_config_map_as_env(
        task, ENVIRONMENT_MAP, dict(zip(ENVIRONMENT_KEYS, ENVIRONMENT_KEYS, strict=True)), optional=True
    )


def _container(task: PipelineTask, settings: TaskSettings, run: Run) -> None:
    if run.image is not None:
        task.set_container_image(run.image)
    for variable, value in sorted(settings.env.items()):
        task.set_env_variable(variable, value)
    _resources(task, settings)
    # cache_key is left alone: no code of the 2.17 backend reads it.
    task.set_caching_options(enable_caching=settings.caching)
    if settings.retries:
        task.set_retry(settings.retries, backoff_duration="10s", backoff_factor=2, backoff_max_duration="5m")


def _resources(task: PipelineTask, settings: TaskSettings) -> None:
    wanted = settings.resources
    given = (
        (wanted.requests.cpu, task.set_cpu_request),
        (wanted.requests.memory, task.set_memory_request),
        (wanted.limits.cpu, task.set_cpu_limit),
        (wanted.limits.memory, task.set_memory_limit),
    )
    for amount, setter in given:
        if amount is not None:
            setter(amount)
    if wanted.accelerator is not None:
        task.set_accelerator_type(wanted.accelerator.kind)
        task.set_accelerator_limit(wanted.accelerator.count)


def _pod(task: PipelineTask, settings: TaskSettings, run: Run) -> None:
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    kubernetes.set_timeout(task, seconds_of(settings.timeout))
    kubernetes.set_image_pull_policy(task, run.pull_policy)
    if run.pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(run.pull_secrets))
    for key, value in sorted(settings.labels.items()):
        kubernetes.add_pod_label(task, key, value)
    for key, value in sorted(settings.annotations.items()):
        kubernetes.add_pod_annotation(task, key, value)
    _placement(task, settings)


def _placement(task: PipelineTask, settings: TaskSettings) -> None:
    for key, value in sorted(settings.node_selector.items()):
        kubernetes.add_node_selector(task, key, value)
    for term in settings.node_affinity:
        expressions = [expression.model_dump(mode="json") for expression in term.match]
        kubernetes.add_node_affinity(task, match_expressions=expressions, weight=term.weight)
    for toleration in settings.tolerations:
        kubernetes.add_toleration(
            task,
            key=toleration.key,
            operator=toleration.operator,
            value=toleration.value,
            effect=toleration.effect,
            toleration_seconds=toleration.seconds,
        )


def _objects(task: PipelineTask, settings: TaskSettings) -> None:
    kinds: tuple[tuple[Any, Any, Any], ...] = (
        (settings.secrets, kubernetes.use_secret_as_env, kubernetes.use_secret_as_volume),
        (settings.config_maps, kubernetes.use_config_map_as_env, kubernetes.use_config_map_as_volume),
    )
    for uses, as_env, as_volume in kinds:
        for use in uses:
            if use.env:
                as_env(task, use.name, dict(use.env), optional=use.optional)
            if use.mount is not None:
                as_volume(task, use.name, mount_path=use.mount, optional=use.optional)


def _workspace(task: PipelineTask, workspace: Workspace) -> None:
    task.set_env_variable("TMPDIR", WORKSPACE)
    if workspace.claim is not None:
        kubernetes.mount_pvc(task, pvc_name=workspace.claim, mount_path=WORKSPACE)
        return
    kubernetes.add_ephemeral_volume(
        task,
        volume_name="workspace",
        mount_path=WORKSPACE,
        access_modes=["ReadWriteOnce"],
        size=str(workspace.size),
        storage_class_name=workspace.storage_class,
    )
