"""The contract between a component and a pipeline backend, each component run as KFP's launcher runs it."""

import json

import pytest
from tests.contract.conftest import Services
from tests.contract.launcher import Task, compiled, run_task
from tests.s3 import BUCKET

pytestmark = pytest.mark.xdist_group("contract")  # all share one run

NAMES = ("data", "search", "model", "bundle")


@pytest.fixture(params=NAMES)
def task(request: pytest.FixtureRequest) -> Task:
    return request.getfixturevalue(request.param)


def test_a_task_succeeds_as_an_unknown_user_with_nothing_to_write_to_and_no_network(task: Task) -> None:
    assert task.ended.returncode == 0, task.log[-3000:]


def test_every_declared_output_is_written(task: Task) -> None:
    declared = compiled()["components"][f"comp-{task.name}"]["outputDefinitions"]
    # Metrics have no file: what a UI shows of them is in their metadata.
    files = [
        name for name, spec in declared["artifacts"].items() if not spec["artifactType"]["schemaTitle"].endswith("Metrics")
    ]  # fmt: skip
    assert [name for name in files if not (task.folder / name).exists()] == []
    assert set(task.output["artifacts"]) == set(declared["artifacts"])
    assert set(task.output.get("parameterValues", {})) == set(declared.get("parameters", {}))


def test_nothing_is_left_beside_the_outputs(task: Task) -> None:
    outputs = {*task.output["artifacts"], "output_metadata.json", "parameters"}
    assert {path.name for path in task.folder.iterdir()} <= outputs


def test_the_temporary_folder_is_empty_again(services: Services, bundle: Task) -> None:
    left = {path.name for path in (services.room.folder / "tmp").iterdir()}
    # KFP's own command makes tmp.XXXXXXXXXX for the component's source and leaves it.
    assert {name for name in left if not name.startswith("tmp.")} == set(NAMES)


def test_the_data_task_says_which_search_workers_follow(data: Task) -> None:
    assert data.value == [0]


def test_the_snapshot_is_named_by_its_content_and_its_source(data: Task) -> None:
    assert len(data.metadata("dataset")["digest"]) == 64
    assert data.metadata("dataset")["source"] == f"csv s3://{BUCKET}/data/rows.csv"


def test_rows_by_split_are_metrics(data: Task) -> None:
    rows = data.metadata("rows")
    assert rows["train"] + rows["valid"] + rows["test"] + rows["quarantined"] == 569


def test_metrics_and_curves_are_where_a_ui_reads_them(model: Task) -> None:
    assert model.metadata("scores")["roc_auc"] > 0.9
    curve = model.metadata("curves")["confidenceMetrics"]
    assert {"confidenceThreshold", "falsePositiveRate", "recall"} <= curve[0].keys()


def test_the_bundle_is_in_the_object_store_as_one_tar(services: Services, bundle: Task) -> None:
    uri = f"s3://{BUCKET}/team/bundles/{bundle.value}.tar"
    assert bundle.metadata("bento")["uri"] == uri
    assert (services.store.folder() / "team" / "bundles" / f"{bundle.value}.tar").stat().st_size > 10_000


def test_the_fetched_bundle_is_the_one_that_was_built(services: Services, bundle: Task) -> None:
    to = services.room.folder / "tmp" / "bundle" / "fetched"
    uri = bundle.metadata("bento")["uri"]
    command = ["fairlead", "bundle", "fetch", uri, "--digest", bundle.value, "--to", str(to)]
    first = services.room.run(command, services.environment)
    again = services.room.run(command, services.environment)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert "already" in again.stdout
    assert json.loads((to / "bundle.json").read_bytes())["digest"] == bundle.value
    services.room.run(["rm", "-r", str(to)], {})


def test_parameters_in_mlflow_never_have_the_name_of_an_input(services: Services, bundle: Task) -> None:
    inputs = {
        name for component in compiled()["components"].values()
        for name in component.get("inputDefinitions", {}).get("parameters", {})
    }  # fmt: skip
    logged = logged_parameters(services)
    assert set(logged) == set(NAMES)
    assert all(logged[name] for name in ("data", "model", "bundle"))
    assert not inputs & {name for names in logged.values() for name in names}


def logged_parameters(services: Services) -> dict[str, list[str]]:
    """Names of the parameters that each stage logged."""
    script = """
import json
from mlflow import MlflowClient
client = MlflowClient()
[experiment] = [found for found in client.search_experiments() if found.name == "tumour"]
runs = client.search_runs([experiment.experiment_id], filter_string="tags.`fairlead.stage` != ''")
print(json.dumps({run.info.run_name: sorted(run.data.params) for run in runs}))
"""
    asked = services.room.run(["python3", "-c", script], services.environment)
    assert asked.returncode == 0, asked.stderr
    return dict(json.loads(asked.stdout))


# ------------------------------------------------------------------------------------------------ how it fails


def failed(services: Services, label: str, project: str, **changes: str) -> Task:
    environment = {
        **services.environment,
        **{name: value for name, value in changes.items() if name.isupper()},
    }
    environment = {name: value for name, value in environment.items() if value}
    parameters = {"project": project, "source_root": changes.get("source_root", "")}
    task = run_task(services.room, "data", environment, parameters, label=label)
    services.room.run(["rm", "-rf", str(task.folder)], {}, as_root=True)
    return task


def last_lines(task: Task) -> str:
    return "\n".join(task.log.strip().splitlines()[-4:])


def test_the_reason_of_a_failure_is_in_the_last_lines_of_the_log(services: Services, project: str) -> None:
    task = failed(services, "wrong-digest", project[:-4] + "0000")
    assert task.ended.returncode != 0
    assert "was asked for" in last_lines(task)
    assert "push again" in last_lines(task)


@pytest.mark.parametrize("missing", ["MLFLOW_TRACKING_URI", "FAIRLEAD_STORE"])
def test_a_task_that_would_log_or_store_into_its_own_container_is_refused(
    services: Services, project: str, missing: str
) -> None:
    task = failed(services, "unset", project, **{missing: ""})
    assert f"{missing} is not set" in last_lines(task)
    assert "fairlead-environment" in last_lines(task)


def test_a_failed_task_writes_no_output(services: Services, project: str) -> None:
    assert failed(services, "no-output", project[:-4] + "0000").output == {}


def test_a_relative_source_is_refused_where_there_is_no_project_folder(services: Services) -> None:
    from tests.laptop.projects import write_tumour_project

    room = services.room
    root = write_tumour_project(room.folder / "relative")
    pushed = room.run(
        ["fairlead", "push", "-C", str(root)],
        {**services.environment, "HOME": str(room.folder)},
        as_root=True,
    )
    task = failed(services, "relative-source", pushed.stdout.strip())
    assert "data.source.uri is the relative path 'rows.csv'" in last_lines(task)
    assert "s3://" in last_lines(task)
