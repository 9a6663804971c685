"""A training run as pods on a real cluster: each stage a container, artifacts in an S3 store, runs in an MLflow server.

The images `pipeline`, `tools` and `versitygw` must be on the cluster. The test's own process pushes the project and follows the
run from outside the pods, as a person does.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.kubernetes import Cluster, Namespace, until
from tests.laptop.projects import write_tumour_project

pytestmark = pytest.mark.release  # the smoke set trains by pods too
BUCKET = "fairlead"
KEYS = {"AWS_ACCESS_KEY_ID": "fairlead", "AWS_SECRET_ACCESS_KEY": "fairlead-secret"}
SAFE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RULES = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "watch", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "delete"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "delete"]},
]


def server(name: str, image: str, port: int, command: list[str], env: dict[str, str]) -> list[dict]:
    """A Deployment with one pod, and its Service."""
    labels = {"app": name}
    probe = (
        {"httpGet": {"path": "/health", "port": port}}
        if name == "tracking"
        else {"tcpSocket": {"port": port}}
    )
    container = {
        "name": name, "image": image, "command": command, "securityContext": SAFE,
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "ports": [{"containerPort": port}],
        "readinessProbe": {**probe, "periodSeconds": 1, "timeoutSeconds": 5},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "data", "mountPath": "/data"}],
    }  # fmt: skip
    spec = {
        "securityContext": POD, "enableServiceLinks": False, "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "data", "emptyDir": {}}],
    }  # fmt: skip
    deployment = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }  # fmt: skip
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": port}]},
    }  # fmt: skip
    return [deployment, service]


def platform(cluster: Cluster) -> list[dict]:
    """What the platform chart gives a namespace of runs, and a store and an MLflow server for this test alone."""
    tag = os.environ.get("FAIRLEAD_TEST_TAG", "0.1.0")
    mlflow = (
        "mlflow server --host 0.0.0.0 --port 5000 --backend-store-uri sqlite:////data/mlflow.db --workers 1 "
        "--serve-artifacts --artifacts-destination /data/artifacts --allowed-hosts *"
    )
    store = ["/versitygw", "--port", ":7070", "posix", "/data"]
    return [
        *server("tracking", cluster.image("pipeline", tag), 5000, mlflow.split(), {"HOME": "/tmp"}),
        *server("store", cluster.image("versitygw", "1.8.0"), 7070, store,
                {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "fairlead-runner"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "fairlead-task"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "runner"}, "rules": RULES},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "runner"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "runner"},
         "subjects": [{"kind": "ServiceAccount", "name": "fairlead-runner"}]},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "fairlead-store"}, "stringData": KEYS},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fairlead-environment"}, "data": {
            "MLFLOW_TRACKING_URI": "http://tracking:5000", "FAIRLEAD_STORE": f"s3://{BUCKET}/test",
            "AWS_ENDPOINT_URL": "http://store:7070", "AWS_REGION": "us-east-1"}},
    ]  # fmt: skip


@dataclass
class Runs:
    """A namespace of runs, and how to call the command line against it."""

    namespace: Namespace
    environment: dict[str, str]
    tag: str

    def start(self, *words: str, project: Path) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "fairlead.cli.main",
            *words,
            "--namespace",
            self.namespace.name,
            "-C",
            str(project),
        ]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def call(self, *words: str, project: Path, seconds: float = 900) -> tuple[int, str]:
        with self.start(*words, project=project) as process:
            said, _ = process.communicate(timeout=seconds)
        return process.returncode, said

    def run(self, *words: str, project: Path) -> tuple[int, str]:
        images = ("--image", self.namespace.cluster.image("pipeline", self.tag),
                  "--tools-image", self.namespace.cluster.image("tools", self.tag))  # fmt: skip
        return self.call("run", "--on", "pods", *images, *words, project=project)

    def task_pods(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self.namespace.pods("fairlead.dev/task")]


@pytest.fixture(scope="module")
def runs(cluster: Cluster, new_namespace) -> Iterator[Runs]:
    tag = os.environ.get("FAIRLEAD_TEST_TAG", "0.1.0")
    if cluster.tool:
        cluster.control(
            "load",
            *(cluster.image(name, tag) for name in ("pipeline", "tools")),
            cluster.image("versitygw", "1.8.0"),
        )
    namespace = new_namespace("runs")
    namespace.apply(*platform(cluster))
    namespace.rollout("store", "tracking", seconds=240)
    with forwarded(namespace, "store", 7070) as endpoint:
        environment = {
            **os.environ, **KEYS, "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "FAIRLEAD_STORE": f"s3://{BUCKET}/test",
        }  # fmt: skip
        make_bucket(environment)
        yield Runs(namespace, environment, tag)


class forwarded:
    """A Service's port on this machine's loopback, as kubectl forwards it."""

    def __init__(self, namespace: Namespace, service: str, port: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.local = free.getsockname()[1]
        command = [
            "kubectl",
            "-n",
            namespace.name,
            "port-forward",
            f"service/{service}",
            f"{self.local}:{port}",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def __enter__(self) -> str:
        def answers() -> bool:
            with socket.socket() as attempt:
                return attempt.connect_ex(("127.0.0.1", self.local)) == 0

        until("the forwarded port answers", answers)
        return f"http://127.0.0.1:{self.local}"

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def make_bucket(environment: dict[str, str]) -> None:
    from pyarrow.fs import S3FileSystem

    S3FileSystem(
        access_key=environment["AWS_ACCESS_KEY_ID"], secret_key=environment["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=environment["AWS_ENDPOINT_URL"], region="us-east-1", allow_bucket_creation=True,
    ).create_dir(BUCKET)  # fmt: skip


@pytest.fixture(scope="module")
def project(runs: Runs, tmp_path_factory) -> Path:
    """The tumour project, its rows in the store."""
    root = write_tumour_project(tmp_path_factory.mktemp("project") / "tumour", workers=2)
    from fairlead.adapters.s3 import filesystem

    with filesystem(runs.environment).open_output_stream(f"{BUCKET}/rows.csv") as stream:
        stream.write((root / "rows.csv").read_bytes())
    text = (root / "fairlead.yaml").read_text().replace("uri: rows.csv", f"uri: s3://{BUCKET}/rows.csv")
    (root / "fairlead.yaml").write_text(text + "run: {resources: {requests: {cpu: 50m, memory: 128Mi}}}\n")
    return root


@pytest.fixture(scope="module")
def finished(runs: Runs, project: Path) -> str:
    code, said = runs.run(project=project)
    assert code == 0, said
    return said


def test_a_run_gives_a_bundle_in_the_store(runs, finished):
    assert "bundle " in finished
    assert all(f'"task": "{task}"' in finished for task in ("data", "search", "search-2", "model", "bundle"))


def test_gates_and_pages_are_fetched(finished, project):
    assert "passed" in finished
    (folder,) = (project / ".fairlead" / "runs").iterdir()
    assert sorted(page.name for page in (folder / "pages").iterdir()) == [
        "bundle.html",
        "data.html",
        "model.html",
    ]


def test_pods_of_tasks_that_did_their_work_are_gone(runs, finished):
    assert runs.task_pods() == []


def test_the_run_is_listed_as_finished(runs, finished, project):
    code, said = runs.call("runs", "--on", "pods", project=project)
    assert (code, "finished" in said) == (0, True), said


def test_a_run_that_ended_can_be_followed_again(runs, finished, project):
    (folder,) = (project / ".fairlead" / "runs").iterdir()
    code, said = runs.call("runs", "--on", "pods", "--follow", folder.name, project=project)
    assert (code, "bundle " in said) == (0, True), said


def test_a_second_run_of_the_same_project_searches_no_more(runs, finished, project):
    code, said = runs.run(project=project)
    assert code == 0, said
    assert said.count("has finished before") == 2


def test_a_missing_image_fails_within_bounds_and_is_named(runs, project, finished):
    began = time.monotonic()
    code, said = runs.call(
        "run", "--on", "pods", "--image", "localhost/fairlead/none:1",
        "--tools-image", runs.namespace.cluster.image("tools", runs.tag),
        project=project,
    )  # fmt: skip
    assert code != 0
    assert "the image localhost/fairlead/none:1 cannot be pulled" in said
    assert time.monotonic() - began < 300


def test_a_failed_gate_shows_the_gates_and_registers_nothing(runs, project, finished, tmp_path):
    root = tmp_path / "strict"
    subprocess.run(["cp", "-r", str(project), str(root)], check=True)
    text = (root / "fairlead.yaml").read_text().replace("at_least: 0.9,", "at_least: 0.99999,")
    (root / "fairlead.yaml").write_text(text)
    code, said = runs.run(project=root)
    assert code == 5, said
    assert "failed" in said


def test_an_orchestrator_that_is_killed_goes_on_where_it_was(runs, project, finished, tmp_path):
    root = tmp_path / "again"
    subprocess.run(["cp", "-r", str(project), str(root)], check=True)
    (root / "fairlead.yaml").write_text(
        (root / "fairlead.yaml").read_text().replace("trials: 2", "trials: 3")
    )
    images = (
        "--image",
        runs.namespace.cluster.image("pipeline", runs.tag),
        "--tools-image",
        runs.namespace.cluster.image("tools", runs.tag),
    )
    with runs.start("run", "--on", "pods", *images, project=root) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("{") and json.loads(line).get("event") == "TaskStarted" and '"search"' in line:
                kill_orchestrator(runs)
        code = process.wait()
    said = "".join(lines)
    assert code == 0, said
    assert said.count('"event": "TaskEnded", "failed": "", "seconds"') >= 4
    assert "has finished before" in said


def kill_orchestrator(runs: Runs) -> None:
    for pod in runs.namespace.pods("job-name"):
        if pod["status"]["phase"] == "Running":
            runs.namespace.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")
