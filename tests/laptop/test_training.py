"""The whole flow on one machine: from a project file to a registered bundle, and what happens when something is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.laptop.projects import write_tumour_project

pytestmark = [pytest.mark.xdist_group("flow"), pytest.mark.slow, pytest.mark.timeout(600)]


def fairlead(
    root: Path, *arguments: str, seed: str = "random", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in *root*, in a process with the hash seed *seed*."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_TRACKING", "FAIRLEAD_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", *arguments],
        cwd=root, capture_output=True, text=True, check=False, timeout=400,
        env={**clean, "PYTHONHASHSEED": seed, **environment},
    )  # fmt: skip


def digest_of(root: Path) -> str:
    return str(json.loads((root / ".fairlead" / "last-run.json").read_text())["bundle"])


def format_of(root: Path) -> str:
    bundle = root / ".fairlead" / "store" / "bundles" / digest_of(root) / "bundle.json"
    return str(json.loads(bundle.read_text())["format"])


def run_digest(root: Path, *arguments: str, seed: str = "random") -> str:
    ran = fairlead(root, "run", *arguments, seed=seed)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return digest_of(root)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A project that has run once, and what was printed."""
    root = write_tumour_project(tmp_path_factory.mktemp("first") / "tumour", workers=2)
    ran = fairlead(root, "run", seed="1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return root, ran


def test_the_first_run_passes_without_a_champion_and_becomes_it(first):
    root, ran = first
    assert "not applicable" in ran.stdout
    assert "champion" in fairlead(root, "models", "list").stdout


def test_every_stage_is_a_nested_mlflow_run_below_one_parent(first):
    from mlflow import MlflowClient

    root, _ = first
    client = MlflowClient(f"sqlite:///{root}/.fairlead/mlflow.db")
    experiment = client.get_experiment_by_name("tumour")
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    [parent] = [run for run in runs if run.data.tags.get("fairlead.run")]
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    stages = sorted(run.data.tags["fairlead.stage"] for run in nested if "fairlead.stage" in run.data.tags)
    assert stages == ["bundle", "data", "model", "search", "search"]
    assert {run.info.status for run in runs if "fairlead.stage" in run.data.tags} == {"FINISHED"}
    assert parent.data.tags["fairlead.bundle"] == digest_of(root)


def stage_run(client, stage: str):
    experiment = client.get_experiment_by_name("tumour")
    [run] = client.search_runs([experiment.experiment_id], f"tags.`fairlead.stage` = '{stage}'")
    return run


def test_the_pages_for_people_are_there(first):
    root, _ = first
    [run] = (root / ".fairlead" / "runs").iterdir()
    assert sorted(page.name for page in (run / "pages").iterdir()) == [
        "bundle.html",
        "data.html",
        "model.html",
    ]


def test_off_a_terminal_progress_is_json_lines(first):
    _, ran = first
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    ended = [line["task"] for line in lines if line["event"] == "TaskEnded"]
    assert sorted(ended) == ["bundle", "data", "model", "search", "search-2"]


def test_plan_says_that_nothing_would_change(first):
    root, _ = first
    planned = fairlead(root, "plan").stdout
    assert planned.count("unchanged") == 4
    assert digest_of(root)[:16] in planned


def test_kfps_own_runner_gives_the_same_bundle(first, tmp_path):
    root, _ = first
    other = write_tumour_project(tmp_path / "tumour", workers=2)
    assert run_digest(other, "--runner", "reference") == digest_of(root)


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("logistic", "onnx"),
        ("{name: hist_gradient_boosting, space: {max_iter: [20]}}", "onnx"),
        ("{name: hist_gradient_boosting, space: {max_iter: [20], native_categories: [true]}}", "treelite"),
        ("{use: 'own:make', space: {}}", "skops"),
    ],
    ids=["onnx", "trees", "treelite", "skops"],
)
def test_the_same_inputs_give_the_same_digest_and_a_changed_row_another(tmp_path, candidate, expected):
    digests = []
    for number, (seed, change) in enumerate((("1", None), ("2", None), ("1", {3: 11.5}))):
        root = write_tumour_project(
            tmp_path / str(number), candidate=candidate, change=change, with_category=expected == "treelite"
        )
        (root / "own.py").write_text(
            "from sklearn.naive_bayes import GaussianNB\n\n"
            "class Own(GaussianNB):\n    pass\n\n"
            "def make():\n    return Own()\n"
        )
        digests.append(run_digest(root, seed=seed))
        assert format_of(root) == expected
    assert digests[0] == digests[1] != digests[2]


def test_a_run_logs_to_the_server_that_mlflow_tracking_uri_names(first, tmp_path, mlflow_server):
    from mlflow import MlflowClient

    root = write_tumour_project(tmp_path / "tumour")
    ran = fairlead(root, "run", MLFLOW_TRACKING_URI=mlflow_server)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    client = MlflowClient(mlflow_server)
    version = client.get_model_version_by_alias("tumour", "champion")
    assert version.tags["fairlead.bundle.digest"] == digest_of(root)
    logged = {found.path for found in client.list_artifacts(stage_run(client, "model").info.run_id)}
    assert {"model.html", "figures", "evaluation.json"} <= logged
    assert not (root / ".fairlead" / "mlflow.db").exists()


def test_a_served_bundle_answers_what_the_model_was_asked_in_training(first):
    import httpx

    from fairlead.cli.demo import serving

    root, _ = first
    bundle = root / ".fairlead" / "store" / "bundles" / digest_of(root)
    body = json.loads((bundle / "attestations" / "examples.json").read_text())
    [table] = root.glob(".fairlead/runs/*/fairlead-training-*/model/candidate/predictions.parquet")
    import pyarrow.parquet as pq

    trained = pq.read_table(table).slice(0, len(body["rows"]))
    with serving(bundle) as url:
        answers = httpx.post(f"{url}/predict", json=body).json()["predictions"]
    assert [answer["label"] for answer in answers] == trained.column("predicted").to_pylist()
    assert [answer["probability"] for answer in answers] == pytest.approx(
        trained.column("probability.true").to_pylist(), abs=1e-4
    )


def test_a_missed_gate_ends_the_run_with_its_reason_and_registers_nothing(tmp_path):
    gate = "    - {metric: roc_auc, at_least: 0.9999}\n"
    root = write_tumour_project(tmp_path / "tumour", gates=gate)
    ran = fairlead(root, "run")
    assert ran.returncode == 5
    assert "roc_auc" in ran.stderr
    assert "0.9999" in ran.stderr
    assert "no versions yet" in fairlead(root, "models", "list").stdout
    assert "failed" in fairlead(root, "runs").stdout


def test_a_run_that_is_killed_leaves_nothing_half_written_and_the_next_one_gives_the_same_bundle(
    first, tmp_path
):
    root = write_tumour_project(tmp_path / "tumour", workers=2)
    killed = subprocess.Popen(
        [sys.executable, "-m", "fairlead.cli.main", "run"], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    snapshots = root / ".fairlead" / "store" / "snapshots"
    until = time.monotonic() + 120
    while not snapshots.is_dir() and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (root / ".fairlead" / "last-run.json").exists()
    reference, _ = first
    assert run_digest(root) == digest_of(reference)
