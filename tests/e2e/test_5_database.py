"""MLflow's database as a platform has it for years: on PostgreSQL or a volume, upgraded, uninstalled, used by the clock."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from tests.e2e.installed import LITTLE, Platform, bare_platform, write_small_project
from tests.e2e.kubernetes import Cluster, CommandFailed, Namespace, Object, request, until

pytestmark = pytest.mark.release

OLDER = "75868b020152"
"""A revision of MLflow's schema that later ones build on, and that the next one can be taken back to."""

DOWNGRADE = f"""
import os, sqlalchemy, sys
sys.path.insert(0, "/scripts")
import database
from alembic import command
engine = sqlalchemy.create_engine(os.environ["MLFLOW_BACKEND_STORE_URI"])
with engine.begin() as connection:
    config = database._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "{OLDER}")
"""
"""Run in MLflow's own pod, by MLflow's own migrations: the tables are those of an older MLflow, with the rows they had."""

REVISION = """
import os, sqlalchemy
with sqlalchemy.create_engine(os.environ["MLFLOW_BACKEND_STORE_URI"]).connect() as connection:
    print(connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar())
"""

TRACKING = "deployment/platform-tracking"
SMALL = {"resources": LITTLE, "allowedHosts": ["127.0.0.1:*"]}


@contextmanager
def database_of(postgres: str) -> Iterator[str]:
    """The URI of a new database beside the one of *postgres*, as Secrets for the chart hold it."""
    import psycopg

    name = f"mlflow_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield postgres.replace("postgresql://", "postgresql+psycopg://").rsplit("/", 1)[0] + f"/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def on_postgres(
    cluster: Cluster,
    new_namespace: Callable[..., Namespace],
    postgres: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Platform]:
    """A platform whose MLflow is two servers: runs in PostgreSQL by a Secret, artifacts in the store."""
    with database_of(postgres) as uri:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "mlflow-database"},
            "stringData": {"uri": uri},
        }
        tracking = {**SMALL, "replicas": 2, "database": {"existingSecret": "mlflow-database"}}
        platform = bare_platform(
            cluster, new_namespace, tmp_path_factory.mktemp("clock") / "tumour",
            tracking=tracking, backup={"enabled": False},
        )  # fmt: skip
        platform.home.apply(secret)
        platform.install()
        yield platform
        platform.home.helm("uninstall", "platform", "--wait")


@pytest.fixture(scope="module")
def on_a_volume(
    cluster: Cluster, new_namespace: Callable[..., Namespace], tmp_path_factory: pytest.TempPathFactory
) -> Platform:
    """A platform whose MLflow is one server with SQLite on a volume that is kept."""
    tracking = {**SMALL, "volume": {"size": "1Gi", "keep": True}}
    platform = bare_platform(cluster, new_namespace, tmp_path_factory.mktemp("none"), tracking=tracking)
    platform.install()
    return platform


def log_a_run(platform: Platform) -> str:
    """A run with a metric and an artifact, logged from outside the pods; gives its id."""
    from fairlead import telemetry

    telemetry.switch_off()
    from mlflow import MlflowClient

    with platform.reached() as environment:
        client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
        run = client.create_run(client.create_experiment(f"kept-{uuid.uuid4().hex[:6]}"))
        client.log_metric(run.info.run_id, "accuracy", 0.75)
        client.log_text(run.info.run_id, "what was measured", "note.txt")
        client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def read_run(platform: Platform, run: str) -> tuple[str, float, str]:
    """Status, metric and artifact of a run. Each of the three comes over a connection of its own."""
    with platform.reached() as environment:
        address = environment["MLFLOW_TRACKING_URI"].removeprefix("http://")
        found = request(address, f"/api/2.0/mlflow/runs/get?run_id={run}", seconds=60).json()["run"]
        note = request(address, f"/get-artifact?run_id={run}&path=note.txt", seconds=60).text
    return found["info"]["status"], found["data"]["metrics"][0]["value"], note


LOGGED = ("FINISHED", 0.75, "what was measured")


def in_mlflow(platform: Platform, code: str) -> str:
    """What *code* printed, run in a pod of MLflow."""
    return platform.home.kubectl("exec", TRACKING, "-c", "mlflow", "--", "python3", "-c", code)


def upgraded(platform: Platform, version: int = 3, **changes: Any) -> str:
    """Upgrade the release so that new MLflow pods start; gives what their init container said."""
    platform.install(version=version, podAnnotations={"upgrade": f"run-{uuid.uuid4().hex[:6]}"}, **changes)
    newest = max(servers(platform), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return platform.home.kubectl("logs", newest["metadata"]["name"], "-c", "prepare")


def servers(platform: Platform) -> list[Object]:
    """The pods of MLflow's server."""
    return platform.home.pods("app.kubernetes.io/component=tracking")


def test_two_servers_on_postgresql_share_runs_and_artifacts(on_postgres: Platform) -> None:
    pods = servers(on_postgres)
    assert len(pods) == 2
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods] == [0, 0]
    assert not [v for pod in pods for v in pod["spec"]["volumes"] if "persistentVolumeClaim" in v]
    run = log_a_run(on_postgres)
    # A connection goes to one of two pods by chance: that 40 reads all meet the same one does not happen.
    assert {read_run(on_postgres, run) for _ in range(20)} == {LOGGED}


def test_an_older_schema_on_postgresql_is_upgraded_before_any_server_is_replaced(
    on_postgres: Platform, helm_version: int
) -> None:
    run = log_a_run(on_postgres)
    newest = in_mlflow(on_postgres, REVISION)
    in_mlflow(on_postgres, DOWNGRADE)
    assert in_mlflow(on_postgres, REVISION) == OLDER != newest
    said = upgraded(on_postgres, version=helm_version)
    # The Job was first: the init container of the new servers found nothing left to do.
    assert said == f"the schema is {newest}: nothing to upgrade"
    assert in_mlflow(on_postgres, REVISION) == newest
    assert read_run(on_postgres, run) == LOGGED


def test_an_upgrade_of_two_servers_fails_no_request(on_postgres: Platform, load: Any) -> None:
    with platform_traffic(on_postgres, load) as traffic:
        upgraded(on_postgres)
        traffic.wait(50)
    traffic.require_no_errors()


@contextmanager
def platform_traffic(platform: Platform, load: Any) -> Iterator[Any]:
    """Requests to MLflow's Service, each over a connection of its own."""
    if platform.cluster.tool is None:
        pytest.skip(
            "a forwarded port leads to one pod for ever, and goes with it: only from inside is a Service seen"
        )
    address = f"platform-tracking.{platform.home.name}.svc:5000"
    with load(
        address=address, path="/version", keep_alive=False, threads=1, pause=0.05, seconds=300
    ) as traffic:
        yield traffic


def test_an_older_schema_in_sqlite_is_rehearsed_and_then_upgraded(on_a_volume: Platform) -> None:
    run = log_a_run(on_a_volume)
    newest = in_mlflow(on_a_volume, REVISION)
    in_mlflow(on_a_volume, DOWNGRADE)
    said = upgraded(on_a_volume)
    assert f"upgraded the database from the schema {OLDER} to {newest}" in said
    assert in_mlflow(on_a_volume, REVISION) == newest
    assert read_run(on_a_volume, run) == LOGGED
    kept = on_a_volume.home.kubectl("exec", TRACKING, "-c", "mlflow", "--", "ls", "/mlflow/backups")
    assert f"before-{OLDER}.db" in kept


def test_a_schema_of_a_newer_mlflow_stops_the_upgrade_and_the_server_runs_on(on_a_volume: Platform) -> None:
    """The reverse: the image was taken back without the database."""
    run = log_a_run(on_a_volume)
    newest = in_mlflow(on_a_volume, REVISION)
    (before,) = servers(on_a_volume)
    stamp(on_a_volume, "ffffffffffff")
    try:
        with pytest.raises(CommandFailed, match="pre-upgrade hooks failed"):
            on_a_volume.install(podAnnotations={"upgrade": "refused"})
        said = on_a_volume.home.kubectl("logs", "job/platform-upgrade")
        assert "which MLflow" in said
        assert "does not know" in said
    finally:
        stamp(on_a_volume, newest)
    (after,) = servers(on_a_volume)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert read_run(on_a_volume, run) == LOGGED


def stamp(platform: Platform, revision: str) -> None:
    """Write *revision* into the database as that of its schema."""
    in_mlflow(platform, f"""
import sqlite3
with sqlite3.connect("/mlflow/mlflow.db") as opened:
    opened.execute("UPDATE alembic_version SET version_num = '{revision}'")
""")  # fmt: skip


def test_a_reinstalled_platform_finds_the_volumes_that_were_kept(on_a_volume: Platform) -> None:
    run = log_a_run(on_a_volume)
    on_a_volume.home.helm("uninstall", "platform", "--wait")
    until("all running pods to go", lambda: not running(on_a_volume), 90)
    claims = {claim["metadata"]["name"] for claim in on_a_volume.home.get("persistentvolumeclaims")["items"]}
    assert "platform-tracking" in claims
    assert any("platform-store" in claim for claim in claims)
    on_a_volume.install()
    assert read_run(on_a_volume, run) == LOGGED


def running(platform: Platform) -> list[str]:
    """The pods that work, or are leaving. The Job of an upgrade that was refused stays, to be looked at."""
    pods = platform.home.get("pods")["items"]
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]


def test_a_schedule_trains_to_a_bundle_with_the_rights_the_chart_gives(on_postgres: Platform) -> None:
    platform = on_postgres
    write_small_project(platform)
    value = platform.fairlead("push").strip().splitlines()[-1]
    image = f"--image={platform.cluster.image('pipeline')}"
    # The identity of a schedule and of the run's own orchestrator; nothing but the chart gave it a right.
    schedule = {"name": "nightly", "schedule": "0 0 1 1 *", "project": value, "args": [image]}
    platform.install(schedules=[schedule])
    platform.runs.kubectl("create", "job", "tonight", "--from=cronjob/platform-nightly")
    until("the scheduled run to end", lambda: ended(platform.runs, "tonight"), 420, every=2)
    said = platform.runs.kubectl("logs", "job/tonight")
    assert platform.runs.get("job", "tonight")["status"].get("succeeded") == 1, said
    (run,) = runs_of(platform, "tumour")
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert run["info"]["status"] == "FINISHED"
    assert tags["fairlead.bundle"][:16] in said
    shown = yaml.safe_load(platform.fairlead("bundle", "values", "champion"))["bundle"]
    assert shown["digest"] == tags["fairlead.bundle"]


def ended(namespace: Namespace, job: str) -> bool:
    """Whether the Job is over, well or badly."""
    conditions = namespace.get("job", job)["status"].get("conditions") or ()
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def runs_of(platform: Platform, experiment: str) -> list[Object]:
    """The pipeline runs of an experiment, as MLflow shows them."""
    with platform.reached() as environment:
        address = environment["MLFLOW_TRACKING_URI"].removeprefix("http://")
        found = request(
            address, f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={experiment}"
        ).json()
        body = {
            "experiment_ids": [found["experiment"]["experiment_id"]],
            "filter": "tags.`fairlead.runner` = 'pods'",
        }
        return list(request(address, "/api/2.0/mlflow/runs/search", body=body).json()["runs"])
