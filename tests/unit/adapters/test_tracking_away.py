"""MLflow goes away in the middle of a stage and comes back: the stage goes on, and nothing logged before is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from tests.conftest import free_port, wait_for
from tests.unit.adapters.test_tracking import bundle, workspace

from fairlead import telemetry
from fairlead.adapters import tracking
from fairlead.adapters.registry import MlflowRegistry
from fairlead.adapters.settings import Settings
from fairlead.adapters.tracking import MlflowTracker, check_reachable
from fairlead.errors import ServiceError

pytestmark = pytest.mark.xdist_group("mlflow")

AWAY = 20
"""Seconds: as long as a pod takes that is started again."""


@dataclass
class Server:
    """An MLflow server that can be killed and started again on its port."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
                   "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db",
                   "--artifacts-destination", str(self.folder / "artifacts")]  # fmt: skip
        environment = {**os.environ, **telemetry.OFF, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("mlflow"), free_port())
    made.start()
    assert made.process is not None
    wait_for(f"{made.url}/health", made.process, made.folder / "log")
    yield made
    made.kill()


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Settings:
    return Settings.from_environment({"MLFLOW_TRACKING_URI": server.url}, tmp_path)


@pytest.mark.slow
def test_a_server_killed_in_mid_stage_and_back_after_twenty_seconds_loses_nothing(
    server: Server, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text("<p>")
    tracker = MlflowTracker.open(settings, workspace("away"), "data")
    tracker.params({"before": 1})
    tracker.metrics({"before": 1.0})
    tracker.artifact(tmp_path / "page.html", "before")
    server.kill()
    back = threading.Timer(AWAY, server.start)
    back.start()
    started = time.monotonic()
    tracker.artifact(tmp_path / "page.html", "after")
    assert time.monotonic() - started > AWAY - 1
    tracker.params({"after": 2})
    tracker.metrics({"after": 2.0})
    for number in range(3):
        tracker.trial("study", number, {"C": 0.1 * number}, 0.5, seconds=1.0)
    tracker.close(None)
    back.join()

    client = MlflowClient(server.url)
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"data.before": "1", "data.after": "2"}
    assert run.data.metrics == {"before": 1.0, "after": 2.0}
    assert {
        found.path for name in ("before", "after") for found in client.list_artifacts(tracker.run_id, name)
    } == {"before/page.html", "after/page.html"}


def test_a_run_whose_first_answer_was_lost_is_there_once(settings: Settings) -> None:
    client = tracking.client_of(settings)
    experiment = tracking.experiment_of(client, settings, "lost-run").experiment_id
    twice = _asked_twice(client, "create_run")
    tracking.create_run(twice, experiment, "data", {})
    assert len(client.search_runs([experiment])) == 1


def test_a_version_whose_first_answer_was_lost_is_registered_once(settings: Settings) -> None:
    registry = MlflowRegistry(settings)
    run = MlflowTracker.open(settings, workspace("lost-version"), "bundle").run_id
    registry._client = _asked_twice(registry._client, "create_model_version")
    registered = registry.register(bundle("lost-version", "aa"), run, {}, {})
    assert [found.version for found in registry.versions("lost-version")] == [registered.version] == [1]
    assert registered.aliases == ("champion",)


def _asked_twice(client: MlflowClient, name: str) -> MlflowClient:
    """The client, but that the server hears *name* twice, as when the connection breaks before the first answer."""

    class Twice:
        def __getattr__(self, asked: str) -> object:
            real = getattr(client, asked)
            if asked != name:
                return real

            def both(*args: object, **given: object) -> object:
                real(*args, **given)
                return real(*args, **given)

            return both

    return Twice()  # type: ignore[return-value]


def test_a_batch_that_arrives_twice_counts_once(settings: Settings) -> None:
    tracker = MlflowTracker.open(settings, workspace("twice"), "data")
    client = MlflowClient(settings.tracking_uri)
    for _ in range(2):
        client.log_batch(
            tracker.run_id, metrics=[Metric("rows", 7.0, 1, 0)], params=[Param("data.seed", "1")]
        )
    assert len(client.get_metric_history(tracker.run_id, "rows")) == 1


@pytest.mark.parametrize("gone", ["0" * 32, "not an id"], ids=["deleted", "of another server"])
def test_a_task_whose_given_run_is_gone_opens_its_own(settings: Settings, gone: str) -> None:
    tracker = MlflowTracker.open(replace(settings, run_id=gone), workspace("gone"), "data")
    tracker.close(None)
    run = MlflowClient(settings.tracking_uri).get_run(tracker.run_id)
    assert (run.info.run_name, run.info.status) == ("data", "FINISHED")


def test_a_given_run_that_was_deleted_is_not_logged_to(settings: Settings) -> None:
    given = MlflowTracker.open(settings, workspace("deleted"), "outer").run_id
    MlflowClient(settings.tracking_uri).delete_run(given)
    assert MlflowTracker.open(replace(settings, run_id=given), workspace("deleted"), "data").run_id != given


def test_whoever_can_wait_outlasts_a_server_that_starts(tmp_path: Path) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    port = free_port()

    def answer_once() -> None:
        with HTTPServer(("127.0.0.1", port), Healthy) as late:
            late.handle_request()

    threading.Timer(1, answer_once).start()
    check_reachable(f"http://127.0.0.1:{port}", patience=30)


def test_whoever_cannot_wait_is_told_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(ServiceError, match="does not answer"):
        check_reachable(f"http://127.0.0.1:{free_port()}")
    assert time.monotonic() - started < 2
