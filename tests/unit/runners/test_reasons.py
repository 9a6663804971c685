"""Why a pod failed, from what the API shows of it."""

import pytest

from fairlead.errors import GateFailed
from fairlead.runners.pods.reasons import Patience, PodDisrupted, failure_of, give_up

PREEMPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}


def waiting(reason: str, message: str = "") -> dict:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"status": {"phase": "Pending", "containerStatuses": [{"image": "x:1", "state": state}]}}


def ended(code: int = 1, reason: str = "Error", message: str = "") -> dict:
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return {
        "spec": {"containers": [{"resources": {"limits": {"memory": "1Gi"}}}], "activeDeadlineSeconds": 60},
        "status": {"phase": "Failed", "containerStatuses": [{"state": state}]},
    }


def unschedulable() -> dict:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: insufficient memory"}
    return {"status": {"phase": "Pending", "conditions": [condition]}}


@pytest.mark.parametrize(
    ("pod", "soon", "late", "says"),
    [
        pytest.param(waiting("ImagePullBackOff"), 5, 130, "the image x:1 cannot be pulled", id="image missing"),
        pytest.param(waiting("ErrImagePull"), 5, 130, "the image x:1 cannot be pulled", id="registry down"),
        pytest.param(waiting("CreateContainerConfigError", "secret db not found"), 5, 40, "secret db not found", id="no secret"),
        pytest.param(unschedulable(), 300, 700, "insufficient memory", id="unschedulable"),
        pytest.param({"status": {"phase": "Pending"}}, 600, 800, "has not started after 800 s", id="no reason known"),
    ],
)  # fmt: skip
def test_a_pod_that_does_not_start_is_waited_for_within_bounds(pod, soon, late, says):
    assert give_up(pod, soon, Patience()) is None
    assert says in str(give_up(pod, late, Patience()))


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_an_image_that_can_never_be_pulled_is_not_waited_for(reason):
    assert give_up(waiting(reason), 0, Patience()) is not None


def test_a_container_that_is_being_made_is_waited_for():
    assert give_up(waiting("ContainerCreating"), 300, Patience()) is None


def test_a_pod_that_succeeded_has_no_reason():
    assert failure_of({"status": {"phase": "Succeeded"}}) is None


def test_the_stage_s_own_error_is_given_back_as_it_was():
    error = GateFailed("roc_auc is 0.6", hint="Lower the bar.")
    found = failure_of(ended(message=error.to_json()))
    assert isinstance(found, GateFailed)
    assert (found.message, found.hint) == (error.message, error.hint)


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        pytest.param(ended(137, "OOMKilled"), "more memory than its limit of 1Gi", id="out of memory"),
        pytest.param(
            {**ended(), "status": {"phase": "Failed", "reason": "DeadlineExceeded"}},
            "time-out of 60 s",
            id="time-out",
        ),
        pytest.param(ended(3), "ended with code 3; the last lines of its log:\nlast", id="crash"),
        pytest.param(
            {"status": {"phase": "Failed", "message": "node is gone"}}, "node is gone", id="nothing known"
        ),
    ],
)
def test_a_failure_is_named_by_its_cause(pod, says):
    found = failure_of(pod, ["last"])
    assert says in str(found)
    assert not isinstance(found, PodDisrupted)


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(None, id="deleted"),
        pytest.param({"status": {"phase": "Failed", "reason": "Evicted", "message": "disk"}}, id="evicted"),
        pytest.param(
            {"status": {"phase": "Failed", "conditions": [PREEMPTED]}},
            id="preempted",
        ),
    ],
)  # fmt: skip
def test_a_pod_that_the_cluster_took_away_may_be_tried_again(pod):
    assert isinstance(failure_of(pod), PodDisrupted)
