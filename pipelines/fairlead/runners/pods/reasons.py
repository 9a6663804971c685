"""Why a pod failed or will never start, told from its status in words a person can act on.

A pod is taken as the API's JSON. Failures that are the cluster's (eviction, preemption, a node that goes) may be tried again;
those of the task may not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.errors import FairleadError, ServiceError

IMAGE_SECONDS = 120
"""How long an image may fail to be pulled: a registry may be down for a moment, a wrong name stays wrong."""
CONFIG_SECONDS = 30
"""How long a pod may lack a Secret, a ConfigMap or a volume that it names."""
_NEVER = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", *_NEVER)
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


class PodFailed(ServiceError):
    """A pod could not run its task to the end, for a reason that is not the task's."""


class PodDisrupted(PodFailed):
    """A pod was taken away by the cluster. It may be tried again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a pod may take to start."""

    pending_seconds: float = 600
    """Without a node: it may have to be added first."""


def give_up(pod: Mapping[str, Any], waited: float, patience: Patience) -> PodFailed | None:
    """The reason to stop waiting for a pod that has not started after *waited* seconds; None to wait on.

    >>> pod = {"status": {"phase": "Pending", "containerStatuses": [
    ...     {"image": "x:1", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}]}}
    >>> give_up(pod, 5, Patience())
    >>> print(give_up(pod, 200, Patience()).message)
    the image x:1 cannot be pulled (ImagePullBackOff): not found
    """
    for status in _containers(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _NEVER or (reason in _IMAGE and waited > IMAGE_SECONDS):
            return PodFailed(
                f"the image {status.get('image')} cannot be pulled ({reason}): {message}",
                hint="Is its name right, is it in the registry, and are run.pull_secrets given if it is private?",
            )
        if reason in _CONFIG and waited > CONFIG_SECONDS:
            return PodFailed(f"the container cannot be made ({reason}): {message}")
    unscheduled = _condition(pod, "PodScheduled")
    if unscheduled.get("status") == "False" and waited > patience.pending_seconds:
        return PodFailed(
            f"no node takes the pod after {waited:.0f} s: {unscheduled.get('message', '')}",
            hint="Ask for less in run.resources, or look at run.node_selector, run.node_affinity and run.tolerations.",
        )
    if waited > patience.pending_seconds + IMAGE_SECONDS and _phase(pod) == "Pending":
        return PodFailed(f"the pod has not started after {waited:.0f} s")
    return None


def failure_of(pod: Mapping[str, Any] | None, last_lines: Sequence[str] = ()) -> FairleadError | None:
    """Why a pod that has ended failed; None if it succeeded.

    Args:
        pod: As the API shows it; None if it is gone.
        last_lines: The end of its log, shown when nothing better is known.

    Returns:
        The stage's own error where it left one; else :class:`PodDisrupted` or :class:`PodFailed`.
    """
    if pod is None:
        return PodDisrupted("the pod was deleted while it ran")
    if _phase(pod) == "Succeeded":
        return None
    status = pod.get("status", {})
    message = status.get("message", "")
    if status.get("reason") == "DeadlineExceeded":
        seconds = pod.get("spec", {}).get("activeDeadlineSeconds")
        return PodFailed(f"it took longer than its time-out of {seconds} s", hint="run.timeout sets it.")
    disruption = _condition(pod, "DisruptionTarget")
    if status.get("reason") in ("Evicted", "Preempting", "NodeLost", "Shutdown", "Terminated"):
        return PodDisrupted(f"the pod was evicted ({status['reason']}): {message}")
    if disruption.get("status") == "True":
        return PodDisrupted(
            f"the pod was taken away ({disruption.get('reason')}): {disruption.get('message', '')}"
        )
    return _of_container(pod, last_lines)


def _of_container(pod: Mapping[str, Any], last_lines: Sequence[str]) -> FairleadError:
    ended = next(
        (found for status in _containers(pod) if (found := status.get("state", {}).get("terminated"))), None
    )
    if ended is None:
        return PodFailed(
            f"the pod ended as {_phase(pod)}: {pod.get('status', {}).get('message', 'no reason given')}"
        )
    if ended.get("reason") == "OOMKilled":
        limit = _limit(pod)
        return PodFailed(
            f"it was killed because it took more memory than its limit{' of ' + limit if limit else ''} (OOMKilled)",
            hint="run.resources.limits.memory sets it, for one task below run.tasks.",
        )
    if own := _left_by_task(ended.get("message") or ""):
        return own
    shown = "\n".join(last_lines[-8:]) or ended.get("message") or "its log is empty"
    return PodFailed(f"it ended with code {ended.get('exitCode')}; the last lines of its log:\n{shown}")


def _left_by_task(message: str) -> FairleadError | None:
    try:
        return FairleadError.from_json(message)
    except (ValueError, KeyError, TypeError, json.JSONDecodeError):
        return None


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = pod.get("status", {})
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def _condition(pod: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions = pod.get("status", {}).get("conditions") or ()
    return next((found for found in conditions if found.get("type") == kind), {})


def _phase(pod: Mapping[str, Any]) -> str:
    return str(pod.get("status", {}).get("phase", "Unknown"))


def _limit(pod: Mapping[str, Any]) -> str:
    containers = pod.get("spec", {}).get("containers") or [{}]
    return str((containers[0].get("resources") or {}).get("limits", {}).get("memory", ""))
