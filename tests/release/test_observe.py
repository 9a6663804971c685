"""What the driver reads from pods that do not become ready."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.release.observe import pods_of

RAN = {
    "exitCode": 7,
    "reason": "Error",
    "message": "error: this is the bundle 12ab,\n  but 34cd was asked for\n",
}
KILLED = {"exitCode": 137, "reason": "OOMKilled"}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}

TROUBLES: dict[str, tuple[dict[str, Any], str]] = {
    "is on its way": ({"state": {"waiting": {"reason": "PodInitializing"}}}, ""),
    "runs for the first time": ({"state": {"running": {}}}, ""),
    "has done its work": ({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}, ""),
    "has recovered": ({"ready": True, "state": {"running": {}}, "lastState": {"terminated": KILLED}}, ""),
    "has no image": (
        {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}},
        "container fetch: ErrImagePull: not found",
    ),
    "waits after an error": (
        {"state": BACK_OFF, "lastState": {"terminated": RAN}},
        (
            "container fetch: CrashLoopBackOff after exit code 7 (Error): "
            "error: this is the bundle 12ab, but 34cd was asked for"
        ),
    ),
    "has just failed": (
        {"state": {"terminated": KILLED}},
        "container fetch: failed after exit code 137 (OOMKilled)",
    ),
    "tries again": (
        {"state": {"running": {}}, "lastState": {"terminated": KILLED}},
        "container fetch: failed after exit code 137 (OOMKilled)",
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_the_reason_of_a_pod_that_is_not_ready_is_its_containers_last_words(name: str) -> None:
    status, said = TROUBLES[name]
    pod = {
        "metadata": {"name": "m-blue-1"},
        "status": {"initContainerStatuses": [{"name": "fetch", **status}]},
    }
    assert pods_of([pod]).trouble == said
