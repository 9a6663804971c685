"""All of fairlead on a cluster, installed as a platform engineer installs it: both charts, a trained project, a served model."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import yaml
from tests.e2e.kubernetes import Answer, Cluster, CommandFailed, Namespace, Object, request, run, until
from tests.laptop.projects import write_tumour_project

ROOT = Path(__file__).resolve().parents[2]
PLATFORM_CHART = ROOT / "helm" / "fairlead-platform"
MODEL_CHART = ROOT / "helm" / "fairlead-model"
KEYS = {"AWS_ACCESS_KEY_ID": "e2e-access", "AWS_SECRET_ACCESS_KEY": "e2e-secret-key"}
BUCKET = "fairlead"
ROWS = 20_000
IMAGES = ("pipeline", "serve", "tools", "mlflow")
# The node has two cores, and a pod that only waits needs next to nothing.
LITTLE = {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "1Gi"}}


@contextmanager
def reached(namespace: Namespace, service: str, port: int) -> Iterator[str]:
    """HOST:PORT of a Service: on the test cluster, whose DNS this process has, its own name; elsewhere a forwarded port."""
    if namespace.cluster.tool:
        yield f"{service}.{namespace.name}.svc.cluster.local:{port}"
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        local = free.getsockname()[1]
    words = ["kubectl", "-n", namespace.name, "port-forward", f"service/{service}", f"{local}:{port}"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", local)) == 0

    try:
        until(f"the forwarded port of {service}", answers)
        yield f"127.0.0.1:{local}"
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Platform:
    """The platform chart's release, and the namespaces it looks after.

    Attributes:
        home: Namespace of the release `platform`.
        runs: Where task pods run.
        serving: Where models are served.
        elsewhere: A second namespace of models.
        project: A copy of the fraud example, its rows in the store.
    """

    home: Namespace
    runs: Namespace
    serving: Namespace
    elsewhere: Namespace
    project: Path
    values: Object = field(repr=False)

    @property
    def cluster(self) -> Cluster:
        """Where all of it is."""
        return self.home.cluster

    def install(self, *words: str, version: int = 3, **changes: Any) -> None:
        """Install or upgrade the platform, with *changes* to its values."""
        with values_file({**self.values, **changes}) as file:
            self.home.helm("upgrade", "--install", "platform", PLATFORM_CHART, "-f", file, "--wait",
                           "--timeout=300s", *words, version=version, seconds=330)  # fmt: skip

    @contextmanager
    def reached(self) -> Iterator[dict[str, str]]:
        """The environment of a command line outside the pods: with MLflow and the store."""
        with ExitStack() as open_ports:
            store = open_ports.enter_context(reached(self.home, "platform-store", 7070))
            tracking = open_ports.enter_context(reached(self.home, "platform-tracking", 5000))
            yield {
                **os.environ, **KEYS, "AWS_ENDPOINT_URL": f"http://{store}", "AWS_REGION": "us-east-1",
                "FAIRLEAD_STORE": f"s3://{BUCKET}/store", "MLFLOW_TRACKING_URI": f"http://{tracking}",
            }  # fmt: skip

    def fairlead(self, *words: str, seconds: float = 900) -> str:
        """What `fairlead` printed, run in the project's folder. Raises CommandFailed."""
        with self.reached() as environment:
            command = [sys.executable, "-m", "fairlead.cli.main", *words, "-C", str(self.project)]
            done = subprocess.run(
                command, env=environment, text=True, capture_output=True, timeout=seconds, check=False
            )
        if done.returncode:
            raise CommandFailed(command, done.returncode, done.stdout[-3000:] + done.stderr[-3000:])
        return done.stdout

    def train(self, seed: int) -> Object:
        """Run the flow as pods with this seed of the search; gives the chart values of the bundle it made."""
        path = self.project / "fairlead.yaml"
        project = yaml.safe_load(path.read_text())
        project["model"]["search"]["seed"] = seed
        path.write_text(yaml.safe_dump(project, sort_keys=False))
        images = ("--image", self.cluster.image("pipeline"), "--tools-image", self.cluster.image("tools"))
        self.fairlead("run", "--on", "pods", "--namespace", self.runs.name, *images)
        which = "champion" if seed == 0 else "challenger"
        return dict(yaml.safe_load(self.fairlead("bundle", "values", which))["bundle"])


@contextmanager
def values_file(values: Object) -> Iterator[Path]:
    """Chart values as a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        yield Path(file.name)


def install_platform(cluster: Cluster, make: Any, folder: Path) -> Platform:
    """Everything of :class:`Platform`, from nothing."""
    platform = bare_platform(cluster, make, folder / "fraud")
    platform.install()
    _write_project(platform)
    return platform


def bare_platform(cluster: Cluster, make: Any, project: Path, **changes: Any) -> Platform:
    """Namespaces, and the values to install a platform with: the small ones of tests, and *changes*. Nothing is installed."""
    if cluster.tool:
        cluster.control("load", *map(cluster.image, IMAGES), cluster.image("versitygw", "1.8.0"))
    home, runs = make("platform"), make("runs")
    serving, elsewhere = make("serving"), make("elsewhere")
    values: Object = {
        "images": {
            "tools": {"repository": f"{cluster.registry}/fairlead/tools"},
            "mlflow": {"repository": f"{cluster.registry}/fairlead/mlflow"},
            "versitygw": {"repository": f"{cluster.registry}/fairlead/versitygw", "tag": "1.8.0"},
        },
        "runs": {"namespaces": [runs.name]},
        "releases": {"namespaces": [serving.name, elsewhere.name]},
        "clients": {"credentials": {"create": True}},
        "store": {
            "credentials": {"accessKeyId": KEYS["AWS_ACCESS_KEY_ID"], "secretAccessKey": KEYS["AWS_SECRET_ACCESS_KEY"]},
            "server": {"resources": LITTLE, "volume": {"size": "2Gi"}},
        },
        "tracking": {"resources": LITTLE, "volume": {"size": "1Gi", "keep": False}, "allowedHosts": ["127.0.0.1:*"]},
        "driver": {"resources": LITTLE},
        "backup": {"enabled": True, "schedule": "0 0 1 1 *", "resources": LITTLE},
        **changes,
    }  # fmt: skip
    return Platform(home, runs, serving, elsewhere, project, values)


def _write_project(platform: Platform) -> None:
    """The fraud example with a few rows, kept in the store as a pipeline would read them."""
    from fairlead.adapters.s3 import filesystem

    root = platform.project
    shutil.copytree(ROOT / "examples" / "fraud", root)
    run(sys.executable, root / "generate.py", "--rows", str(ROWS), "--out", root / "data")
    with platform.reached() as environment:
        files = filesystem(environment)
        for file in sorted((root / "data").rglob("*.parquet")):
            with files.open_output_stream(f"{BUCKET}/transactions/{file.name}") as stream:
                stream.write(file.read_bytes())
    project = yaml.safe_load((root / "fairlead.yaml").read_text())
    project["data"]["source"]["uri"] = f"s3://{BUCKET}/transactions"
    project["model"]["search"] |= {"trials": 4, "folds": 2}
    # What few rows can show, the bars must not exceed: whether a model is good is not what is tested here.
    project["model"]["gates"] = [
        {"metric": "roc_auc", "at_least": 0.7, "better_than": "baseline", "by": 0.02}
    ]
    project["run"] = {"resources": {"requests": {"cpu": "50m", "memory": "256Mi"}}}
    (root / "fairlead.yaml").write_text(yaml.safe_dump(project, sort_keys=False))


def write_small_project(platform: Platform, **settings: Any) -> None:
    """A project of a few hundred rows in the platform's folder, the rows in its store; *settings* are those of `run`."""
    from fairlead.adapters.s3 import filesystem

    root = write_tumour_project(platform.project)
    with (
        platform.reached() as environment,
        filesystem(environment).open_output_stream(f"{BUCKET}/rows.csv") as stream,
    ):
        stream.write((root / "rows.csv").read_bytes())
    project = yaml.safe_load((root / "fairlead.yaml").read_text())
    project["data"]["source"]["uri"] = f"s3://{BUCKET}/rows.csv"
    project["run"] = {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}}, **settings}
    (root / "fairlead.yaml").write_text(yaml.safe_dump(project, sort_keys=False))


@dataclass
class Model:
    """One release of the model chart, in managed mode unless its values say else."""

    name: str
    namespace: Namespace
    values: Object = field(repr=False)

    @property
    def host(self) -> str:
        """The host name it answers under."""
        return str(self.values["traffic"]["host"])

    @property
    def rows(self) -> Object:
        """A request this model must answer."""
        return {"rows": self.values["bundle"]["probe"]["rows"]}

    def release(self, *words: str, version: int = 3, **changes: Any) -> None:
        """`helm upgrade --install` with the values so far and *changes*, which stay."""
        self.values |= changes
        with values_file(self.values) as file:
            self.namespace.helm(
                "upgrade", "--install", self.name, MODEL_CHART, "-f", file, *words, version=version
            )

    def rendered(self, version: int = 3) -> str:
        """What `helm template` prints for the present values."""
        with values_file(self.values) as file:
            return self.namespace.helm("template", self.name, MODEL_CHART, "-f", file, version=version)

    def journal(self) -> Object:
        """What the driver says of the release."""
        kept: Object = json.loads(
            self.namespace.get("configmap", f"{self.name}-release")["data"]["journal.json"]
        )
        return kept

    def predict(self) -> Answer:
        """Ask through the Gateway, once."""
        return request(self.namespace.cluster.gateway, "/predict", host=self.host, body=self.rows)

    def wait_until_served(self, digest: str = "", seconds: float = 240) -> None:
        """Wait until the Gateway's answers come from the bundle *digest*, by default that of the values."""
        wanted = (digest or self.values["bundle"]["digest"])[:16]

        def served() -> bool:
            answer = self.predict()
            return answer.status == 200 and answer.json()["version"] == wanted

        until(f"{self.name} answers from {wanted}", served, seconds)

    def pods(self) -> list[Object]:
        """Pods of both slots."""
        return self.namespace.pods(f"fairlead.dev/model={self.name},fairlead.dev/slot")

    def wait_until_settled(self, pods: int = 2, seconds: float = 120) -> None:
        """Wait until one slot has *pods* ready pods and the other none."""

        def settled() -> bool:
            found = self.pods()
            slots = {pod["metadata"]["labels"]["fairlead.dev/slot"] for pod in found}
            return len(slots) == 1 and len(found) == pods and all(map(is_ready, found))

        until(f"{self.name} has one slot with {pods} ready pods", settled, seconds)

    def uninstall(self) -> None:
        """`helm uninstall`, and wait until the pods are gone."""
        self.namespace.helm("uninstall", self.name, "--wait")
        until(f"the pods of {self.name} to go", lambda: not self.pods(), 60)


def is_ready(pod: Object) -> bool:
    """Whether the pod's readiness condition is true."""
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def model_of(platform: Platform, namespace: Namespace, name: str, bundle: Object, **changes: Any) -> Model:
    """A model to be released by :meth:`Model.release`: two small pods, a short window, a host of its own."""
    gateway = platform.cluster.gateway_reference
    values: Object = {
        "bundle": bundle,
        "images": {
            "serve": {"repository": f"{platform.cluster.registry}/fairlead/serve"},
            "tools": {"repository": f"{platform.cluster.registry}/fairlead/tools"},
        },
        "resources": {"requests": {"cpu": "50m", "memory": "160Mi"}, "limits": {"memory": "768Mi"}},
        "scale": {"minReplicas": 2, "maxReplicas": 4, "autoscale": False},
        "traffic": {
            "host": f"{name}.{namespace.name}.test",
            "gateway": {"name": gateway["name"], "namespace": gateway["namespace"]},
        },
        "release": {"windowSeconds": 15, "readySeconds": 180},
        "networkPolicy": {"platformNamespace": platform.home.name},
        **changes,
    }
    return Model(name, namespace, values)


def version_of(_: HTTPMessage, body: bytes) -> str:
    """Which bundle answered a request to /predict, for a Load."""
    return str(json.loads(body)["version"])
