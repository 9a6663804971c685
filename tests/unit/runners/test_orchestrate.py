"""A run as pods, with processes for pods: what runs, what is passed on, what is skipped, and how it fails."""

import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fake_pods import ProcessPods, evicted, status
from tiny_flow import compiled

from fairlead.adapters.progress import Event
from fairlead.adapters.settings import Settings
from fairlead.adapters.store import open_store
from fairlead.errors import FairleadError, ProjectError
from fairlead.runners.events import RunEnded, TaskEnded, TaskStarted
from fairlead.runners.pods import artifacts
from fairlead.runners.pods.cluster import Ended
from fairlead.runners.pods.manifests import RunRequest
from fairlead.runners.pods.orchestrate import run_request
from fairlead.spec.run import Run

RESULT = "0:2:good,1:2:good,2:2:good"


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    """One database: making its tables takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def settings(tracking, tmp_path):
    return Settings(
        f"sqlite:///{tracking}/mlflow.db", (tracking / "artifacts").as_uri(), str(tmp_path / "store")
    )


@pytest.fixture
def pods(settings):
    return pods_for(settings)


def pods_for(settings):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # an image has its python3 first on the PATH
    return ProcessPods(
        {"PATH": path, "FAIRLEAD_STORE": settings.store, "MLFLOW_TRACKING_URI": settings.tracking_uri}
    )


def request_of(project: str = "good", name: str = "tiny-20260101-000000-aaaaaa") -> RunRequest:
    return RunRequest(name=name, project="tiny", namespace="runs", parameters={"project": project})


def run(settings, pods, request=None, flow=None) -> tuple[RunEnded, list]:
    told: list = []
    ended = run_request(request or request_of(), flow or compiled(), settings, pods, told.append, "uid")
    return ended, told


class Finished:
    """A run that went well, its pods, and where everything is."""

    def __init__(self, settings):
        self.settings, self.pods = settings, pods_for(settings)
        self.ended, self.told = run(settings, self.pods)
        self.started = list(self.pods.started)

    def tasks_of(self, name: str, flow: str | None = None) -> list[str]:
        """The tasks that another run, or this one again, starts pods for."""
        self.pods.started.clear()
        assert run(self.settings, self.pods, request_of(name=name), flow)[0].bundle == RESULT
        return sorted(self.pods.tasks())


@pytest.fixture(scope="module")
def finished(tracking, tmp_path_factory):
    store = tmp_path_factory.mktemp("finished") / "store"
    return Finished(
        Settings(f"sqlite:///{tracking}/mlflow.db", (tracking / "artifacts").as_uri(), str(store))
    )


ALL = ["data", "model", "search", "search-2", "search-3"]


def test_a_run_gives_the_flow_s_output(finished):
    assert finished.ended.bundle == RESULT


def test_each_task_is_one_pod_and_search_workers_run_side_by_side(finished):
    assert sorted(pod["metadata"]["labels"]["fairlead.dev/task"] for pod in finished.started) == ALL
    assert finished.pods.most_at_once == 3


def test_progress_of_a_stage_and_each_task_s_start_and_end_are_told(finished):
    assert Event("data", "note", "two rows") in finished.told
    assert TaskStarted("search-3") in finished.told
    assert (
        sorted(event.task for event in finished.told if isinstance(event, TaskEnded) and not event.failed)
        == ALL
    )
    assert isinstance(finished.told[-1], RunEnded)


def test_an_artifact_that_a_task_did_not_write_is_no_error(finished):
    assert finished.ended.artifacts["model/curves"] == artifacts.EMPTY


def test_pods_that_did_their_work_are_deleted(finished):
    assert {pod["metadata"]["name"] for pod in finished.started} <= set(finished.pods.deleted)


def test_the_run_is_one_mlflow_run_that_every_task_is_told_of(finished):
    from fairlead.adapters.tracking import client_of

    run_id = finished.ended.mlflow_run
    parent = client_of(finished.settings).get_run(run_id)
    assert (parent.info.status, parent.data.tags["fairlead.bundle"]) == ("FINISHED", RESULT)
    environments = [pod["spec"]["containers"][0]["env"] for pod in finished.started]
    assert all({"name": "FAIRLEAD_PARENT_RUN", "value": run_id} in found for found in environments)


def test_a_run_that_was_killed_goes_on_with_what_has_no_record(finished):
    assert finished.tasks_of(request_of().name) == []


def test_a_run_that_goes_on_keeps_its_mlflow_run(finished):
    assert run(finished.settings, finished.pods)[0].mlflow_run == finished.ended.mlflow_run


def test_another_run_uses_the_search_of_the_same_inputs_and_does_the_rest_again(finished):
    assert finished.tasks_of("tiny-20260102-000000-aaaaaa") == ["data", "model"]


def test_without_caching_another_run_does_everything_again(finished):
    flow = compiled(Run(caching=False))
    assert finished.tasks_of("tiny-20260103-000000-aaaaaa", flow) == ALL


def test_another_image_does_everything_again(finished):
    assert finished.tasks_of("tiny-20260104-000000-aaaaaa", compiled(Run(image="x/pipeline:2"))) == ALL


def test_an_assignment_is_one_argument_of_the_pod_s_command(finished):
    command = finished.started[0]["spec"]["containers"][0]["command"]
    assert command[:3] == ["python3", "-m", "fairlead.runners.pods.task"]
    assert json.loads(command[3])["executor_input"]["inputs"]["parameterValues"] == {"project": "good"}


def test_a_stage_s_own_error_is_the_run_s_and_what_it_had_written_is_kept(settings, pods):
    ended, told = run(settings, pods, request_of("bad"))
    error = FairleadError.from_json(ended.error)
    assert (type(error).__name__, error.message) == ("GateFailed", "a bar was missed")
    assert ended.artifacts["model/scores"].startswith("artifacts:")
    assert [event.task for event in told if isinstance(event, TaskEnded) and event.failed] == ["model"]


def test_a_crash_shows_the_last_lines_of_the_pod_s_log(settings, pods):
    ended, _told = run(settings, pods, request_of("crash"))
    assert "ValueError: a bug of the stage" in FairleadError.from_json(ended.error).message


def test_a_failed_pod_is_kept_to_be_looked_at(settings, pods):
    run(settings, pods, request_of("crash"))
    assert not any("-model-" in name for name in pods.deleted)


def test_an_evicted_pod_is_replaced(settings, pods):
    evictions = iter([True, True])
    pods.before = lambda pod: (
        evicted(pod) if "-data-" in pod["metadata"]["name"] and next(evictions, False) else None
    )
    ended, told = run(settings, pods)
    assert ended.bundle == RESULT
    assert len({pod["metadata"]["name"] for pod in pods.started if "-data-" in pod["metadata"]["name"]}) == 3
    assert any("evicted" in event.text for event in told if isinstance(event, Event))


def test_a_pod_that_is_evicted_again_and_again_fails_the_run(settings, pods):
    pods.before = evicted
    ended, _told = run(settings, pods)
    assert len(pods.started) == 4
    assert "evicted" in FairleadError.from_json(ended.error).message


def test_a_failed_task_is_tried_again_as_often_as_retries_says(settings, pods):
    flow = compiled(Run(retries=1)).replace("backoffDuration: 10s", "backoffDuration: 0s")
    failures = iter([True])

    def once(pod):
        if next(failures, False):
            return Ended(status(pod, 1))
        return None

    pods.before = once
    ended, _told = run(settings, pods, flow=flow)
    assert ended.bundle == RESULT
    assert len(pods.started) == 6


def test_a_failure_that_a_retry_mended_is_not_the_run_s_reason(settings, pods):
    flow = compiled(Run(retries=1)).replace("backoffDuration: 10s", "backoffDuration: 0s")
    failures = iter([True])
    pods.before = lambda pod: Ended(status(pod, 1)) if next(failures, False) else None
    ended, _told = run(settings, pods, request_of("bad"), flow)
    assert FairleadError.from_json(ended.error).message == "a bar was missed"


def test_a_flow_that_cannot_be_obeyed_starts_nothing(settings, pods):
    flow = compiled() + "        exec-extra: {}\n"
    flow = flow.replace(
        "imagePullPolicy: IfNotPresent",
        "imagePullPolicy: IfNotPresent\n          enabledSharedMemory: {size: 1Gi}",
        1,
    )
    with pytest.raises(ProjectError, match="enabledSharedMemory"):
        run(settings, pods, flow=flow)
    assert pods.started == []


def test_an_artifact_that_is_gone_from_the_store_is_told_as_such(tmp_path):
    with pytest.raises(FairleadError, match="has no artifacts"):
        artifacts.fetch(open_store(str(tmp_path / "store")), "artifacts:" + "0" * 64, tmp_path / "x")
