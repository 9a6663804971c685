"""A whole training run, a task at a time, in a sealed room with a real MLflow server and a real S3 server."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.conftest import free_port
from tests.contract.launcher import Task, run_task
from tests.contract.room import Room, sealed_room, wait_for_port, why_not_sealed
from tests.laptop.projects import write_tumour_project
from tests.programs import find
from tests.s3 import BUCKET, S3Server

from fairlead import telemetry


@dataclass
class Services:
    """What a task may talk to, inside the room."""

    room: Room
    store: S3Server
    tracking: str

    @property
    def environment(self) -> dict[str, str]:
        """What the ConfigMap and the Secret of a namespace give each task, and no more."""
        return {
            **telemetry.OFF,
            **self.store.environment,
            "MLFLOW_TRACKING_URI": self.tracking,
            "FAIRLEAD_STORE": f"s3://{BUCKET}/team",
        }


@pytest.fixture(scope="session")
def room() -> Iterator[Room]:
    reason = why_not_sealed()
    if reason:
        pytest.skip(f"no room can be sealed: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="fairlead-contract-"))
    folder.chmod(0o755)
    try:
        with sealed_room(folder) as made:
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def services(room: Room) -> Iterator[Services]:
    versitygw = find("versitygw")
    if versitygw is None:
        pytest.skip(
            "no S3 server: versitygw is not installed (`go install github.com/versity/versitygw/cmd/versitygw@latest`)"
        )
    # Its own place may be a folder that the room does not show.
    executable = shutil.copy2(versitygw, room.folder / "versitygw")
    store = S3Server(str(executable), room.folder / "s3", free_port(), prefix=room.enter)
    port = free_port()
    store.start()
    mlflow = _start_mlflow(room, port)
    try:
        wait_for_port(room, store.port)
        wait_for_port(room, port)
        yield Services(room, store, f"http://127.0.0.1:{port}")
    finally:
        mlflow.terminate()
        mlflow.wait(timeout=20)
        store.stop()


def _start_mlflow(room: Room, port: int) -> "subprocess.Popen[bytes]":
    folder = room.folder / "mlflow"
    folder.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
               "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
               "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
    environment = {
        **os.environ,
        **telemetry.OFF,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "TMPDIR": str(room.folder / "tmp"),
    }
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([*room.enter, *command], env=environment, stdout=log, stderr=log)


@pytest.fixture(scope="session")
def project(services: Services) -> str:
    """A project whose rows are in the object store, pushed; the pipeline's one value."""
    room = services.room
    root = write_tumour_project(room.folder / "project", workers=1)
    rows = services.store.folder() / "data"
    rows.mkdir()
    shutil.copyfile(root / "rows.csv", rows / "rows.csv")
    spec = root / "fairlead.yaml"
    spec.write_text(spec.read_text().replace("uri: rows.csv", f"uri: s3://{BUCKET}/data/rows.csv"))
    pushed = room.run(
        ["fairlead", "push", "-C", str(root)],
        {**services.environment, "HOME": str(room.folder)},
        as_root=True,
    )
    assert pushed.returncode == 0, pushed.stderr
    return pushed.stdout.strip()


@pytest.fixture(scope="session")
def data(services: Services, project: str) -> Task:
    return run_task(services.room, "data", services.environment, {"project": project, "source_root": ""})


@pytest.fixture(scope="session")
def search(services: Services, project: str, data: Task) -> Task:
    given = {"dataset": [data.artifact("dataset")]}
    return run_task(services.room, "search", services.environment, {"project": project, "worker": 0}, given)


@pytest.fixture(scope="session")
def model(services: Services, project: str, data: Task, search: Task) -> Task:
    given = {"dataset": [data.artifact("dataset")], "trials": [search.artifact("trials")]}
    return run_task(services.room, "model", services.environment, {"project": project}, given)


@pytest.fixture(scope="session")
def bundle(services: Services, project: str, model: Task) -> Task:
    given = {"candidate": [model.artifact("candidate")]}
    return run_task(services.room, "bundle", services.environment, {"project": project}, given)
