"""The command line: what verbs write, what they refuse, and with which exit code."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.cli import main as command_line

PROJECT = """
apiVersion: fairlead/v1
name: small
problem: {statement: find it, owner: me}
data: {source: {kind: csv, uri: rows.csv}, target: y}
model: {task: classification, candidates: [logistic]}
"""
CONTRACT = "apiVersion: fairlead.contract/v1\ncolumns: {x: {type: number}, y: {type: boolean}}\n"


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def fairlead(capsys, monkeypatch, tmp_path):
    """Call the command line in an empty folder; gives exit code and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["fairlead", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        printed = capsys.readouterr()
        return Result(int(ended.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "fairlead.yaml").write_text(PROJECT)
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    (tmp_path / "rows.csv").write_text("x,y\n1,true\n2,false\n")
    return tmp_path


def test_help_lists_the_exit_codes(fairlead):
    result = fairlead("--help")
    assert result.code == 0
    assert "5 a gate was missed" in " ".join(result.out.split())


def test_importing_the_command_line_loads_nothing_heavy():
    heavy = ("pandas", "sklearn", "mlflow", "kfp", "pyarrow", "bentoml", "pydantic", "rich.console", "numpy")
    script = f"import sys, fairlead.cli.main; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.parametrize(
    "verb", ["check", "plan", "run", "serve", "push", "runs", "data infer", "models list"]
)
def test_a_verb_outside_a_project_says_where_it_looked_and_what_to_do(fairlead, verb, tmp_path):
    result = fairlead(*verb.split())
    assert result.code == 2
    assert f"no fairlead.yaml in {tmp_path}" in result.err
    assert "fairlead init" in result.err


def test_a_mistake_in_the_project_file_is_one_message_without_a_traceback(fairlead, project):
    (project / "fairlead.yaml").write_text(PROJECT.replace("target:", "taget:"))
    result = fairlead("plan")
    assert result.code == 2
    assert "line 5" in result.err
    assert "did you mean 'target'?" in result.err
    assert "Traceback" not in result.err


def test_init_writes_a_project_file_that_loads_and_its_schema(fairlead, tmp_path):
    from fairlead.spec import load_project

    assert fairlead("init", "Churn 2026").code == 0
    assert load_project(tmp_path / "Churn 2026" / "fairlead.yaml").name == "churn"
    assert (tmp_path / "Churn 2026" / ".fairlead" / "project.schema.json").is_file()


def test_init_never_overwrites(fairlead, project):
    result = fairlead("init", ".")
    assert (result.code, (project / "fairlead.yaml").read_text()) == (2, PROJECT)


@pytest.mark.parametrize("name", ["fraud", "spam", "demand", "segments"])
def test_init_copies_an_example_that_loads(fairlead, tmp_path, name):
    from fairlead.adapters.archives import read_project

    assert fairlead("init", "mine", "--example", name).code == 0
    assert read_project(tmp_path / "mine")[0].name == name


def test_init_names_the_examples_when_asked_for_one_that_is_not_there(fairlead):
    result = fairlead("init", "mine", "--example", "frad")
    assert result.code == 2
    assert "fraud" in result.err


def test_push_prints_a_value_that_opens(fairlead, project, tmp_path):
    from fairlead.adapters.archives import unpack

    result = fairlead("push")
    assert unpack(result.out.strip(), tmp_path / "unpacked").project.name == "small"


def test_compile_writes_the_pipeline_with_the_image_for_every_task(fairlead, tmp_path):
    import yaml

    assert fairlead("compile", "--image", "registry.example/pipeline:7").code == 0
    spec, _platform = yaml.safe_load_all((tmp_path / "training.yaml").read_text())
    images = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
    assert images == {"registry.example/pipeline:7"}


@pytest.mark.parametrize(
    "image", ["fairlead/pipeline", "fairlead/pipeline:latest", "localhost:5000/pipeline"]
)
def test_compile_refuses_an_image_without_a_fixed_tag(fairlead, image):
    result = fairlead("compile", "--image", image)
    assert result.code == 2
    assert "fixed tag or a digest" in result.err


def test_check_fast_reads_only_the_files(fairlead, project):
    (project / "rows.csv").unlink()
    result = fairlead("check", "--fast")
    assert (result.code, result.out) == (
        0,
        "✓ project file and contract: small, task classification, 2 columns\n",
    )


def test_check_reports_every_part_and_fails_with_the_first_ones_code(fairlead, project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    (project / "rows.csv").unlink()
    result = fairlead("check")
    assert result.code == 3
    assert "✗ data source" in result.out
    assert "✗ MLflow" in result.out


def test_run_refuses_an_unreachable_mlflow_server_before_any_work(fairlead, project, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    result = fairlead("run")
    assert result.code == 8
    assert "http://127.0.0.1:1 does not answer" in result.err
    assert not (project / ".fairlead" / "runs").exists()


def test_serve_without_a_champion_says_how_to_get_one(fairlead, project):
    result = fairlead("serve")
    assert result.code == 9
    assert "fairlead run" in result.err


def test_a_port_in_use_is_said_before_anything_is_loaded():
    from fairlead.cli.serve import refuse_taken_port
    from fairlead.errors import ServiceError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"port {port} on 127.0.0.1 cannot be used"):
            refuse_taken_port("127.0.0.1", port)


def test_models_list_of_a_project_that_never_ran_says_so(fairlead, project):
    assert "has no versions yet" in fairlead("models", "list").out


def test_runs_of_a_project_that_never_ran_says_so(fairlead, project):
    assert "no runs yet" in fairlead("runs").out


def test_check_says_that_a_source_has_only_a_header(fairlead, project):
    (project / "rows.csv").write_text("x,y\n")
    result = fairlead("check")
    assert (result.code, "csv rows.csv has no rows" in result.out) == (3, True)


def test_a_file_that_cannot_be_written_is_one_message(fairlead):
    result = fairlead("compile", "--out", "no-such-folder/training.yaml")
    assert (result.code, result.err) == (
        8,
        "error: no-such-folder/training.yaml: No such file or directory\n",
    )


def test_a_contract_outside_the_project_cannot_be_pushed(fairlead, project):
    (project / "contract.yaml").rename(project.parent / "elsewhere.yaml")
    (project / "fairlead.yaml").write_text(
        PROJECT.replace("target: y", "target: y, contract: ../elsewhere.yaml")
    )
    result = fairlead("push")
    assert (result.code, "lies outside the project's folder" in result.err) == (2, True)


def test_check_says_a_mistake_in_the_project_file_once(fairlead, project):
    (project / "fairlead.yaml").write_text(PROJECT.replace("target", "tarrget"))
    result = fairlead("check")
    assert (result.code, result.out.count("did you mean 'target'?")) == (2, 1)


def test_check_says_that_the_state_folder_cannot_be_written(fairlead, project):
    (project / ".fairlead").write_text("a file where a folder must be")
    result = fairlead("check")
    assert (result.code, ".fairlead cannot be written: File exists" in result.out) == (8, True)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("--archive", "s3://b/p/projects/d.tar@sha256:d"), "--archive means nothing to the runner 'local'"),
        (("--detach",), "--detach means nothing to the runner 'local'"),
        (("--on", "kubeflow", "--resume", "x"), "--resume means nothing to the runner 'kubeflow'"),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else "",
)
def test_run_refuses_an_option_that_its_runner_would_drop(fairlead, project, given, named):
    result = fairlead("run", *given)
    assert (result.code, named in result.err) == (2, True)


@pytest.mark.parametrize(
    "verb",
    [("runs", "--on", "pods"), ("driver", "--namespaces", "a", "--lease-namespace", "b", "--once")],
    ids=["runs", "driver"],
)
@pytest.mark.parametrize(
    ("text", "said"),
    [("not: [yaml", "flow sequence"), ("apiVersion: v1", "current-context"), ("", "No configuration found")],
    ids=["no-yaml", "no-config", "none"],
)
def test_an_unusable_kubeconfig_is_one_message(fairlead, project, monkeypatch, tmp_path, verb, text, said):
    if text:
        (tmp_path / "kubeconfig").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    result = fairlead(*verb)
    assert (result.code, result.err.startswith("error: there is no cluster to talk to")) == (2, True)
    assert said in result.err
