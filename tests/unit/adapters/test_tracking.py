"""MLflow tracking and registry, against a real server and a real database file."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from mlflow import MlflowClient

from fairlead.adapters.registry import MlflowRegistry
from fairlead.adapters.settings import Settings
from fairlead.adapters.tracking import (
    MlflowTracker,
    check_reachable,
    close_parent_run,
    list_parent_runs,
    open_parent_run,
)
from fairlead.errors import NotFound, ServiceError
from fairlead.records import Bundle, Dataset, Workspace
from fairlead.spec import parse_contract, parse_project

PROJECT = """
apiVersion: fairlead/v1
name: {name}
problem: {{statement: find it, owner: me}}
data: {{source: {{kind: csv, uri: x.csv}}, target: y}}
model: {{task: classification, candidates: [logistic]}}
"""
CONTRACT = "apiVersion: fairlead.contract/v1\ncolumns: {x: {type: number}, y: {type: boolean}}\n"


def workspace(name: str) -> Workspace:
    return Workspace(
        Path(), parse_project(PROJECT.format(name=name)), parse_contract(CONTRACT), digest="c0de"
    )


def bundle(name: str, digest: str) -> Bundle:
    return Bundle(
        path="",
        name=name,
        digest=digest,
        format="onnx",
        parity=(),
        candidate="logistic",
        dataset="d",
        uri="file:///b",
    )


@pytest.fixture(scope="module", params=["server", "sqlite"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    environment = {}
    if request.param == "server":
        environment = {"MLFLOW_TRACKING_URI": request.getfixturevalue("mlflow_server")}
    return Settings.from_environment(environment, tmp_path_factory.mktemp("state"))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.node.name.split("[")[0].replace("_", "-")[:38].rstrip("-")


pytestmark = pytest.mark.xdist_group("mlflow")


def run_of(settings: Settings, tracker: MlflowTracker):
    return MlflowClient(settings.tracking_uri).get_run(tracker.run_id)


def test_a_stage_logs_parameters_under_its_own_prefix(settings, name):
    tracker = MlflowTracker.open(settings, workspace(name), "data")
    tracker.params({"rows": 7})
    assert run_of(settings, tracker).data.params == {"data.rows": "7"}


def test_a_run_carries_the_digests_of_code_and_environment(settings, name):
    tracker = MlflowTracker.open(settings, workspace(name), "data")
    tags = run_of(settings, tracker).data.tags
    assert tags["fairlead.code"] == "c0de"
    assert len(tags["fairlead.lock"]) == 64


def test_more_metrics_than_mlflow_takes_at_once_all_arrive(settings, name):
    tracker = MlflowTracker.open(settings, workspace(name), "model")
    tracker.metrics({f"m{i:03}": float(i) for i in range(250)})
    assert len(run_of(settings, tracker).data.metrics) == 250


def test_a_file_and_a_folder_arrive_as_artifacts(settings, name, tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "data.html").write_text("<p>")
    tracker = MlflowTracker.open(settings, workspace(name), "data")
    tracker.artifact(tmp_path / "pages" / "data.html")
    tracker.artifact(tmp_path / "pages", "pages")
    client = MlflowClient(settings.tracking_uri)
    assert [found.path for found in client.list_artifacts(tracker.run_id)] == ["data.html", "pages"]
    assert [found.path for found in client.list_artifacts(tracker.run_id, "pages")] == ["pages/data.html"]


def test_the_snapshot_is_logged_as_an_input_with_its_digest(settings, name):
    import pandas as pd

    tracker = MlflowTracker.open(settings, workspace(name), "data")
    record = Dataset(path="", digest="ab" * 32, source="x.csv", rows={"train": 2})
    tracker.dataset(record, pd.DataFrame({"x": [1.0, 2.0]}), "training")
    [entry] = run_of(settings, tracker).inputs.dataset_inputs
    assert entry.dataset.digest == ("ab" * 32)[:36]
    assert json.loads(entry.dataset.profile)["num_rows"] == 2


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (ValueError("no"), "FAILED")], ids=["done", "failed"]
)
def test_closing_ends_the_run_with_its_outcome(settings, name, error, status):
    tracker = MlflowTracker.open(settings, workspace(name), "data")
    tracker.close(error)
    assert run_of(settings, tracker).info.status == status


def test_a_run_that_somebody_else_opened_is_continued_and_left_open(settings, name):
    given = MlflowTracker.open(settings, workspace(name), "outer")
    tracker = MlflowTracker.open(replace(settings, run_id=given.run_id), workspace(name), "data")
    tracker.params({"rows": 1})
    tracker.close(None)
    run = run_of(settings, given)
    assert (run.info.status, run.data.params) == ("RUNNING", {"data.rows": "1"})


def test_stages_are_nested_below_the_run_of_the_pipeline(settings, name):
    parent = open_parent_run(settings, name, {"fairlead.run": "r1"})
    tracker = MlflowTracker.open(replace(settings, parent_run=parent), workspace(name), "data")
    assert run_of(settings, tracker).data.tags["mlflow.parentRunId"] == parent


def test_pipeline_runs_are_listed_newest_first_with_their_outcome(settings, name):
    for run, status in (("r1", "FINISHED"), ("r2", "FAILED")):
        opened = open_parent_run(settings, name, {"fairlead.run": run})
        close_parent_run(settings, opened, status, {"fairlead.bundle": run}, {"roc_auc": 0.9})
    listed = list_parent_runs(settings, name, last=5)
    assert [(run.name, run.status, run.tags["fairlead.bundle"]) for run in listed] == [
        ("r2", "FAILED", "r2"), ("r1", "FINISHED", "r1")
    ]  # fmt: skip


def test_trials_are_kept_as_an_optuna_study_in_mlflow(settings, name):
    import optuna
    from mlflow.optuna.storage import MlflowStorage

    tracker = MlflowTracker.open(settings, workspace(name), "search")
    for number, value in enumerate((0.5, None, 0.7)):
        tracker.trial("study", number, {"candidate": "logistic", "C": 0.1 * number}, value, seconds=1.0)
    tracker.close(None)
    experiment = run_of(settings, tracker).info.experiment_id
    study = optuna.load_study(study_name="study", storage=MlflowStorage(experiment_id=experiment))
    values = sorted((trial.user_attrs["number"], trial.value) for trial in study.trials)
    assert values == [(0, 0.5), (1, None), (2, 0.7)]


def test_the_first_version_becomes_champion_and_the_next_challenger(settings, name):
    registry = MlflowRegistry(settings)
    run = MlflowTracker.open(settings, workspace(name), "bundle").run_id
    first = registry.register(bundle(name, "aa"), run, {"roc_auc": 0.1 + 0.2}, {})
    second = registry.register(bundle(name, "bb"), run, {}, {})
    assert (first.version, first.aliases, first.metrics) == (1, ("champion",), {"roc_auc": 0.1 + 0.2})
    assert (second.version, second.aliases) == (2, ("challenger",))


def test_registering_a_digest_again_changes_nothing(settings, name):
    registry = MlflowRegistry(settings)
    run = MlflowTracker.open(settings, workspace(name), "bundle").run_id
    assert registry.register(bundle(name, "aa"), run, {}, {}) == registry.register(
        bundle(name, "aa"), run, {}, {}
    )


def test_promoting_moves_the_alias_and_keeps_who_and_why(settings, name):
    registry = MlflowRegistry(settings)
    run = MlflowTracker.open(settings, workspace(name), "bundle").run_id
    registry.register(bundle(name, "aa"), run, {}, {})
    registry.register(bundle(name, "bb"), run, {}, {})
    promoted = registry.promote(name, 2, by="ada", why="reviewed")
    assert promoted.aliases == ("champion",)
    assert promoted.tags["fairlead.promoted.by"] == "ada"
    assert registry.champion(name) == promoted


def test_a_version_that_is_not_there_is_named_with_those_that_are(settings, name):
    registry = MlflowRegistry(settings)
    run = MlflowTracker.open(settings, workspace(name), "bundle").run_id
    registry.register(bundle(name, "aa"), run, {}, {})
    with pytest.raises(NotFound, match="no version 9; it has: 1"):
        registry.version(name, 9)


def test_a_model_that_was_never_registered_has_no_champion(settings):
    assert MlflowRegistry(settings).champion("never-registered") is None


def test_an_unreachable_server_is_an_error_that_names_it_and_the_way_out():
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:1 does not answer") as caught:
        check_reachable("http://127.0.0.1:1")
    assert "MLFLOW_TRACKING_URI" in caught.value.hint


def test_a_champion_on_a_later_page_of_versions_is_found(settings, name, monkeypatch):
    registry = MlflowRegistry(settings)
    run = MlflowTracker.open(settings, workspace(name), "bundle").run_id
    for digest in ("aa", "bb", "cc"):
        registry.register(bundle(name, digest), run, {}, {})
    whole = registry._client.search_model_versions
    monkeypatch.setattr(registry._client, "search_model_versions", partial(whole, max_results=1))
    champion = registry.champion(name)
    assert champion is not None
    assert champion.version == 1


def test_a_version_whose_run_was_killed_before_its_alias_becomes_champion_when_run_again(settings, name):
    registry = MlflowRegistry(settings)
    run = MlflowTracker.open(settings, workspace(name), "bundle").run_id
    registry.register(bundle(name, "aa"), run, {}, {})
    registry._client.delete_registered_model_alias(name, "champion")
    assert registry.register(bundle(name, "aa"), run, {}, {}).aliases == ("champion",)


@pytest.mark.parametrize(
    "uri",
    ["banana://x", "postgresql+psycopg://me:secret@127.0.0.1:1/mlflow"],
    ids=["no such kind", "not running"],
)
def test_a_database_that_cannot_be_used_is_said_before_work_starts_and_without_its_password(uri):
    with pytest.raises(ServiceError, match=r"MLFLOW_TRACKING_URI .* cannot be used") as caught:
        check_reachable(uri)
    assert "secret" not in str(caught.value)
