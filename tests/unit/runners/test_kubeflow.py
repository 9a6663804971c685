"""The kubeflow runner with kfp's real client and a stand-in for the API server (see fake_kfp)."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fake_kfp import FakeKfp, task

from fairlead.adapters.progress import Event
from fairlead.adapters.settings import Settings
from fairlead.errors import NotFound, ServiceError
from fairlead.flows.compiled import compile_flow
from fairlead.runners.events import TaskEnded, TaskStarted
from fairlead.runners.kubeflow import Endpoint, Kubeflow, Refused, RunFailed, bundle_of

PARAMETERS = {"project": "s3://b/p/projects/d.tar@sha256:" + "d" * 64, "source_root": ""}


@pytest.fixture
def server():
    fake = FakeKfp()
    yield fake
    fake.close()


@pytest.fixture(scope="module")
def flow() -> str:
    return compile_flow("training")


def submit(server, flow, **options):
    kubeflow = Kubeflow(Endpoint(server.host, **options))
    return kubeflow, kubeflow.submit(
        flow, PARAMETERS, project="fraud", name="fraud-1", service_account="trainer"
    )


def follow(server, flow, *script, **options):
    told = []
    kubeflow, submitted = submit(server, flow)
    server.script = list(script)
    return kubeflow.follow(submitted.run_id, told.append, poll=0.01, **options), told


def test_every_parameter_is_given_explicitly_because_the_ui_compares_only_those(server, flow):
    _, submitted = submit(server, flow)
    assert server.runs[submitted.run_id]["runtime_config"]["parameters"] == PARAMETERS


def test_the_version_is_named_by_the_content_of_the_yaml(server, flow):
    submit(server, flow)
    submit(server, flow.replace("fairlead training", "another"))
    names = [
        version["display_name"]
        for version in server.versions.values()
        if version["pipeline_version_id"] != "first"
    ]
    assert len(names) == len(set(names)) == 2
    assert all(name.startswith("fairlead-training-") for name in names)


def test_a_version_that_is_there_is_used_again(server, flow):
    submit(server, flow)
    _, second = submit(server, flow)
    assert len(server.calls("POST /apis/v2beta1/pipelines/upload_version")) == 1
    reference = server.runs[second.run_id]["pipeline_version_reference"]
    assert server.versions[reference["pipeline_version_id"]]["display_name"].startswith("fairlead-training-")


def test_runs_of_a_project_are_one_experiment(server, flow):
    submit(server, flow)
    submit(server, flow)
    assert [found["display_name"] for found in server.experiments.values()] == ["fraud"]


def test_the_service_account_is_the_run_s(server, flow):
    _, submitted = submit(server, flow)
    assert server.runs[submitted.run_id]["service_account"] == "trainer"


def test_the_link_opens_the_run_in_the_ui(server, flow):
    _, submitted = submit(server, flow)
    assert submitted.link == f"{server.host}/#/runs/details/{submitted.run_id}"


def test_a_profile_s_namespace_is_sent(server, flow):
    submit(server, flow, namespace="team-a")
    assert next(iter(server.experiments.values()))["namespace"] == "team-a"
    assert server.calls("POST /apis/v2beta1/pipelines/upload")[0][2]["namespace"] == ["team-a"]


def test_the_token_is_sent_with_every_request(server, flow, tmp_path):
    server.token = "secret"
    (tmp_path / "token").write_text("secret\n")
    submit(server, flow, token_file=tmp_path / "token")
    headers = [call[3] for call in server.asked if not call[1].endswith("healthz")]
    assert headers
    assert {found.get("authorization", found.get("Authorization")) for found in headers} == {"Bearer secret"}


def test_in_a_pod_the_projected_token_is_used(server, flow, tmp_path, monkeypatch):
    server.token = "projected"
    (tmp_path / "token").write_text("projected")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(tmp_path / "token"))
    submit(server, flow)
    assert server.runs


def test_without_a_valid_token_the_way_out_is_told(server, flow):
    server.token = "secret"
    with pytest.raises(Refused, match="401") as caught:
        submit(server, flow)
    assert "--token-file" in caught.value.hint


def test_where_nothing_listens_the_way_out_is_told_at_once():
    with pytest.raises(ServiceError, match="does not answer") as caught:
        Kubeflow(Endpoint("http://127.0.0.1:9"))
    assert "--host" in caught.value.hint


def state(whole: str, *tasks: dict, **more) -> dict:
    return {"state": whole, "run_details": {"task_details": list(tasks)}, **more}


def test_tasks_are_told_once_when_they_start_and_end_and_drivers_are_not_told(server, flow):
    _, told = follow(
        server, flow,
        state("RUNNING", task("root-driver", "RUNNING"), task("data", "RUNNING")),
        state("RUNNING", task("data", "SUCCEEDED"), task("search", "RUNNING", "a"), task("search", "RUNNING", "b")),
        state("SUCCEEDED", task("data", "SUCCEEDED"), task("search", "SUCCEEDED", "a"), task("search", "SUCCEEDED", "b")),
    )  # fmt: skip
    assert told == [
        TaskStarted("data"), TaskEnded("data", 10.0), TaskStarted("search"), TaskStarted("search-2"),
        TaskEnded("search", 10.0), TaskEnded("search-2", 10.0),
    ]  # fmt: skip


def test_a_cached_task_is_said_to_be_cached(server, flow):
    _, told = follow(server, flow, state("SUCCEEDED", task("model", "SKIPPED")))
    assert Event("model", "note", "its result was in the backend's cache") in told


def test_a_failed_run_names_the_failed_task_and_its_reason(server, flow):
    with pytest.raises(RunFailed) as caught:
        follow(server, flow, state("FAILED", task("model", "FAILED", message="GateFailed: roc_auc is 0.6")))
    assert "model: GateFailed: roc_auc is 0.6" in str(caught.value)


def test_a_run_that_was_ended_by_somebody_is_no_success(server, flow):
    with pytest.raises(RunFailed, match="canceled"):
        follow(server, flow, state("CANCELED"))


def test_a_moment_s_fault_of_the_api_is_waited_out(server, flow):
    server.faults = 3
    run, _told = follow(server, flow, state("SUCCEEDED"))
    assert run.state == "SUCCEEDED"


def test_an_api_that_stays_away_ends_the_watching(server, flow):
    server.faults = 10_000
    with pytest.raises(ServiceError, match="503"):
        follow(server, flow, state("SUCCEEDED"), patience=0.2)


def test_the_bundle_of_a_run_is_found_in_mlflow_by_the_archive_s_digest(tmp_path):
    from fairlead.adapters.tracking import client_of

    settings = Settings(f"sqlite:///{tmp_path}/mlflow.db", (tmp_path / "artifacts").as_uri(), str(tmp_path))
    client = client_of(settings)
    experiment = client.create_experiment("fraud")
    now = int(datetime.now(UTC).timestamp() * 1000)
    tags = {"fairlead.stage": "bundle", "fairlead.code": "d" * 64}
    client.create_run(experiment, start_time=now - 5000, tags={**tags, "fairlead.bundle": "old"})
    client.create_run(experiment, start_time=now + 10, tags={**tags, "fairlead.bundle": "new"})
    client.create_run(
        experiment, start_time=now + 20, tags={**tags, "fairlead.code": "e", "fairlead.bundle": "other"}
    )
    assert bundle_of(settings, "d" * 64, now) == "new"
    with pytest.raises(NotFound, match="no bundle of it"):
        bundle_of(settings, "f" * 64, now)
