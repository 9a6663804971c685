"""The small programs the platform chart ships: backup, restore, and upgrade of MLflow's database, with real databases."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy
from tests.programs import find

FILES = Path(__file__).resolve().parents[2] / "helm/fairlead-platform/files"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
OLDER = "75868b020152"
"""A revision of MLflow's schema that later ones build on."""


NAMES = ("database", "place", "backup", "server", "prepare", "rehearse", "bucket")


@pytest.fixture(scope="session")
def programs() -> Iterator[dict[str, ModuleType]]:
    """The programs as modules. They import each other by bare names, as they lie side by side in the pod."""
    sys.path.insert(0, str(FILES))
    try:
        yield {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(FILES))
        for name in NAMES:
            sys.modules.pop(name, None)


@dataclass(frozen=True)
class Done:
    """How a program ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(
    programs: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Runs a program's main with an environment. In this process: MLflow takes seconds to import."""

    def run_main(name: str, *arguments: str, **environment: str) -> Done:
        with monkeypatch.context() as patched:
            for key, value in environment.items():
                patched.setenv(key, value)
            code = programs[name].main(*arguments)
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return run_main


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two databases by MLflow's own migrations: of an older MLflow and of this one, each with one experiment."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base

    folder = tmp_path_factory.mktemp("made")
    older, present = folder / "older.db", folder / "mlflow.db"
    for file, revision in ((older, OLDER), (present, "heads")):
        engine = sqlalchemy.create_engine(f"sqlite:///{file}")
        if file == older:
            Base.metadata.create_all(engine)
        with engine.begin() as connection:
            config = _get_alembic_config(str(engine.url))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        engine.dispose()
        if file == older:
            shutil.copy(older, present)
    note(older, "of an older MLflow")
    note(present, "first")
    return older, present


@pytest.fixture(scope="session")
def made(databases: tuple[Path, Path]) -> Path:
    """A database as the MLflow installed here makes it."""
    return databases[1]


def note(file: Path, name: str) -> None:
    """Add an experiment."""
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute(
            "INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES (?, 'active', 'default')",
            (name,),
        )


def noted(file: Path) -> list[str]:
    """Names of the experiments."""
    with closing(sqlite3.connect(file)) as opened:
        return [name for (name,) in opened.execute("SELECT name FROM experiments ORDER BY experiment_id")]


@pytest.fixture
def volume(made: Path, tmp_path: Path) -> Path:
    """MLflow's volume: database and two artifacts."""
    folder = tmp_path / "volume"
    (folder / "artifacts/1/run/artifacts").mkdir(parents=True)
    (folder / "artifacts/1/run/artifacts/model.onnx").write_bytes(b"model")
    (folder / "artifacts/1/run/artifacts/report.html").write_text("report")
    shutil.copy(made, folder / "mlflow.db")
    return folder


@pytest.fixture
def environment(volume: Path, tmp_path: Path) -> dict[str, str]:
    """What the chart tells the programs."""
    return {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{volume}/mlflow.db",
        "ARTIFACTS": str(volume / "artifacts"),
        "BACKUPS": str(tmp_path / "backups"),
        "KEEP": "2",
    }


# -------------------------------------------------------------------------------------- backup and restore


def test_a_restored_database_is_the_one_that_was_backed_up(
    run: Run, environment: dict[str, str], volume: Path
) -> None:
    assert run("backup", **environment).returncode == 0
    note(volume / "mlflow.db", "after the backup")
    done = run("prepare", **environment, RESTORE_FROM="latest")
    assert done.returncode == 0, done.stderr
    assert noted(volume / "mlflow.db") == noted_without("after the backup", volume)


def noted_without(name: str, volume: Path) -> list[str]:
    [kept] = (volume / "backups").glob("replaced-by-*.db")
    assert name in noted(kept)
    return [other for other in noted(kept) if other != name]


def test_artifacts_lost_from_the_volume_come_back(
    run: Run, environment: dict[str, str], volume: Path
) -> None:
    run("backup", **environment)
    shutil.rmtree(volume / "artifacts")
    done = run("prepare", **environment, RESTORE_FROM="latest")
    assert (volume / "artifacts/1/run/artifacts/model.onnx").read_bytes() == b"model"
    assert "2 artifacts were listed; brought back: 2" in done.stdout


def test_everything_comes_back_on_an_empty_volume(
    run: Run, environment: dict[str, str], volume: Path
) -> None:
    run("backup", **environment)
    before = noted(volume / "mlflow.db")
    shutil.rmtree(volume)
    volume.mkdir()
    assert run("prepare", **environment, RESTORE_FROM="latest").returncode == 0
    assert noted(volume / "mlflow.db") == before


def test_a_restarted_pod_does_not_restore_again(run: Run, environment: dict[str, str], volume: Path) -> None:
    run("backup", **environment)
    run("prepare", **environment, RESTORE_FROM="latest")
    note(volume / "mlflow.db", "since the restore")
    again = run("prepare", **environment, RESTORE_FROM="latest")
    assert "was restored before" in again.stdout
    assert "since the restore" in noted(volume / "mlflow.db")


def test_a_restore_that_was_killed_before_it_was_written_down_keeps_what_was_replaced(
    run: Run, environment: dict[str, str], volume: Path
) -> None:
    run("backup", **environment)
    note(volume / "mlflow.db", "after the backup")
    run("prepare", **environment, RESTORE_FROM="latest")
    (volume / "restored").unlink()
    assert run("prepare", **environment, RESTORE_FROM="latest").returncode == 0
    assert noted(volume / "mlflow.db") == noted_without("after the backup", volume)


@pytest.mark.parametrize("then", ["latest#2", ""], ids=["a suffix", "empty in between"])
def test_the_same_backup_can_be_restored_again_on_purpose(
    run: Run, then: str, environment: dict[str, str], volume: Path
) -> None:
    run("backup", **environment)
    run("prepare", **environment, RESTORE_FROM="latest")
    note(volume / "mlflow.db", "unwanted")
    run("prepare", **environment, RESTORE_FROM=then)
    run("prepare", **environment, RESTORE_FROM=then or "latest")
    assert "unwanted" not in noted(volume / "mlflow.db")


def test_a_backup_that_was_changed_is_not_restored(
    run: Run, environment: dict[str, str], volume: Path, made: Path
) -> None:
    run("backup", **environment)
    [stored] = Path(environment["BACKUPS"]).glob("*/mlflow.db")
    shutil.copy(made, stored)
    note(stored, "forged")
    before = noted(volume / "mlflow.db")
    done = run("prepare", **environment, RESTORE_FROM="latest")
    assert done.returncode == 1
    assert "is not what was backed up" in done.stderr
    assert noted(volume / "mlflow.db") == before


def test_an_unknown_backup_is_refused_and_the_known_ones_are_named(
    run: Run, environment: dict[str, str]
) -> None:
    run("backup", **environment)
    [known] = (path.name for path in Path(environment["BACKUPS"]).iterdir() if path.name != "artifacts")
    done = run("prepare", **environment, RESTORE_FROM="20200101T000000Z")
    assert done.returncode == 1
    assert (
        f"there is no backup 20200101T000000Z in {environment['BACKUPS']}; there are: {known}" in done.stderr
    )


def test_what_a_killed_server_left_half_written_is_not_in_the_backup(
    environment: dict[str, str], volume: Path, programs: dict[str, ModuleType], tmp_path: Path
) -> None:
    # Another process dies in the middle of a transaction that has reached the file: a hot journal stays behind.
    die = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "c.execute('PRAGMA cache_size=1'); c.execute('BEGIN IMMEDIATE');"
        "c.executemany(\"INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES (?, 'active', 'default')\","
        "[(f'half {n}' * 50,) for n in range(2000)]); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", die, str(volume / "mlflow.db")], check=False)
    assert (volume / "mlflow.db-journal").exists()
    programs["database"].copy(volume / "mlflow.db", tmp_path / "copy.db")
    assert noted(tmp_path / "copy.db") == noted(volume / "mlflow.db")
    assert not [name for name in noted(tmp_path / "copy.db") if name.startswith("half")]


def test_a_backup_taken_while_a_server_writes_is_sound(
    run: Run, environment: dict[str, str], volume: Path, made: Path
) -> None:
    write = (
        "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], timeout=20)\nprint('writing', flush=True)\n"
        "for n in range(10**9):\n"
        '    with c: c.execute("INSERT INTO experiments (name, lifecycle_stage, workspace)"'
        "\" VALUES (?, 'active', 'default')\", (f'{n}',))"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", write, str(volume / "mlflow.db")], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        done = run("backup", **environment)
    finally:
        writer.kill()
        writer.communicate()
    assert done.returncode == 0, done.stderr
    [stored] = Path(environment["BACKUPS"]).glob("*/mlflow.db")
    with closing(sqlite3.connect(stored)) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert set(noted(made)) <= set(noted(stored))


def test_only_the_newest_backups_are_kept(
    environment: dict[str, str], programs: dict[str, ModuleType]
) -> None:
    made = [programs["backup"].back_up(environment, NOON + timedelta(days=day)) for day in range(4)]
    backups = programs["place"].Place.open(environment["BACKUPS"])
    assert programs["backup"].names(backups) == made[-2:]
    assert {name.split("/")[0] for name, _ in backups.listed()} == {*made[-2:], "artifacts"}


def test_an_artifact_goes_from_the_backups_with_the_last_backup_that_lists_it(
    environment: dict[str, str], volume: Path, programs: dict[str, ModuleType]
) -> None:
    report = "artifacts/1/run/artifacts/report.html"
    kept = []
    for day in range(4):
        if day == 1:
            (volume / report).unlink()
        programs["backup"].back_up(environment, NOON + timedelta(days=day))
        kept.append((Path(environment["BACKUPS"]) / report).exists())
    assert kept == [True, True, False, False]


def test_a_backup_without_its_record_does_not_count(
    environment: dict[str, str], programs: dict[str, ModuleType]
) -> None:
    first = programs["backup"].back_up(environment, NOON)
    second = programs["backup"].back_up(environment, NOON + timedelta(days=1))
    (Path(environment["BACKUPS"]) / second / "backup.json").unlink()
    backups = programs["place"].Place.open(environment["BACKUPS"])
    assert programs["backup"].names(backups) == [first]


def test_there_is_nothing_to_back_up_before_the_first_start(
    run: Run, environment: dict[str, str], volume: Path
) -> None:
    (volume / "mlflow.db").unlink()
    done = run("backup", **environment)
    assert done.returncode == 1
    assert "nothing was backed up" in done.stderr


# ------------------------------------------------------------------------------------------------ upgrade


@pytest.fixture
def older(databases: tuple[Path, Path], volume: Path) -> Path:
    """The database on the volume, as an older MLflow left it."""
    return Path(shutil.copy(databases[0], volume / "mlflow.db"))


def test_an_older_schema_is_upgraded_and_nothing_is_lost(
    run: Run, environment: dict[str, str], older: Path, programs: dict[str, ModuleType]
) -> None:
    done = run("prepare", **environment)
    assert done.returncode == 0, done.stderr
    assert programs["database"].revision(older) == programs["database"].newest()
    assert "of an older MLflow" in noted(older)


def test_the_database_before_the_upgrade_is_kept_and_can_be_restored(
    run: Run, environment: dict[str, str], older: Path
) -> None:
    run("prepare", **environment)
    note(older, "since the upgrade")
    done = run("prepare", **environment, RESTORE_FROM=f"before-{OLDER}")
    assert done.returncode == 0, done.stderr
    assert noted(older) == ["of an older MLflow"]


def test_the_rehearsal_changes_nothing_but_keeps_a_copy(
    run: Run, environment: dict[str, str], older: Path, programs: dict[str, ModuleType]
) -> None:
    before = older.read_bytes()
    done = run("rehearse", **environment)
    assert "works; it is made when the old server has stopped" in done.stdout, done.stderr
    assert older.read_bytes() == before
    assert sorted(path.name for path in older.parent.rglob("*.db")) == [f"before-{OLDER}.db", "mlflow.db"]


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    run: Run, environment: dict[str, str], older: Path
) -> None:
    with closing(sqlite3.connect(older)) as opened, opened:
        opened.execute("DROP TABLE jobs")  # which the migration changes
    before = older.read_bytes()
    for program in ("rehearse", "prepare"):
        done = run(program, **environment)
        assert done.returncode == 1
        assert "MLflow's upgrade of the schema failed" in done.stderr
        assert older.read_bytes() == before


def test_a_schema_of_a_newer_mlflow_is_refused_with_the_ways_out(
    run: Run, environment: dict[str, str], volume: Path
) -> None:
    with closing(sqlite3.connect(volume / "mlflow.db")) as opened, opened:
        opened.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    done = run("prepare", **environment)
    assert done.returncode == 1
    assert "a newer MLflow has upgraded it" in done.stderr
    assert "restore.from=before-REVISION" in done.stderr


@pytest.mark.parametrize("program", ["prepare", "rehearse"])
def test_a_fresh_installation_has_nothing_to_upgrade(
    run: Run, program: str, environment: dict[str, str], volume: Path
) -> None:
    (volume / "mlflow.db").unlink()
    done = run(program, **environment)
    assert (done.returncode, done.stdout) == (0, "a new database\n")


def test_a_database_of_this_version_is_left_alone(
    run: Run, environment: dict[str, str], volume: Path
) -> None:
    before = (volume / "mlflow.db").read_bytes()
    done = run("prepare", **environment)
    assert "nothing to upgrade" in done.stdout
    assert (volume / "mlflow.db").read_bytes() == before


def test_a_damaged_database_is_not_copied(run: Run, environment: dict[str, str], volume: Path) -> None:
    with (volume / "mlflow.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)
    done = run("backup", **environment)
    assert done.returncode == 1
    assert "is not a sound database" in done.stderr


# --------------------------------------------------------------------------------------------- PostgreSQL


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """The URI of an empty database on a server of its own."""
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL: initdb and postgres are not on the PATH")
    if os.geteuid() == 0:
        yield from _postgres(tmp_path, initdb, server, user=65534)
    else:
        yield from _postgres(tmp_path, initdb, server, user=None)


def _postgres(folder: Path, initdb: str, server: str, user: int | None) -> Iterator[str]:
    data = folder / "data"
    data.mkdir()
    if user is not None:  # PostgreSQL refuses to run as root
        for path in (data, *data.parents):
            if path == Path("/tmp"):
                break
            path.chmod(0o755)
        shutil.chown(data, user, user)
    port = _free_port()
    subprocess.run(
        [initdb, "-D", str(data), "-U", "mlflow", "-A", "trust"],
        check=True,
        capture_output=True,
        user=user,
        cwd="/",
    )
    process = subprocess.Popen(
        [
            server,
            "-D",
            str(data),
            "-p",
            str(port),
            "-k",
            "",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
        ],
        user=user,
        cwd="/",
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        yield f"postgresql+psycopg://mlflow@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"nothing answers on port {port}")


def test_a_new_postgresql_database_is_made_by_the_first_of_two_servers(
    postgres: str, programs: dict[str, ModuleType], capfd: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor() as servers:
        list(servers.map(programs["server"].upgrade, [postgres, postgres]))
    newest = programs["database"].newest()
    assert capfd.readouterr().out.splitlines() == [
        f"made a new database: the schema is {newest}",
        f"the schema is {newest}: nothing to upgrade",
    ]
    with sqlalchemy.create_engine(postgres).connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT count(*) FROM experiments")).scalar() == 0


def test_two_servers_that_start_at_once_upgrade_postgresql_one_after_the_other(
    postgres: str, programs: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrades: list[str] = []
    at_once: list[int] = []

    def migrate(uri: str) -> None:
        upgrades.append(uri)
        at_once.append(len(upgrades) - len(ended))
        time.sleep(0.3)
        with sqlalchemy.create_engine(uri).begin() as connection:
            connection.execute(
                sqlalchemy.text("UPDATE alembic_version SET version_num = :head"), {"head": newest}
            )
        ended.append(uri)

    ended: list[str] = []
    newest = programs["database"].newest()
    with sqlalchemy.create_engine(postgres).begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE alembic_version (version_num varchar(32))"))
        connection.execute(sqlalchemy.text(f"INSERT INTO alembic_version VALUES ('{OLDER}')"))
    monkeypatch.setattr(programs["database"], "migrate", migrate)
    with ThreadPoolExecutor() as servers:
        list(servers.map(programs["server"].upgrade, [postgres, postgres]))
    assert (upgrades, at_once) == ([postgres], [1])


# ------------------------------------------------------------------------------------------- object store


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real S3 server on a folder; the environment points at it."""
    server = find("versitygw")
    if server is None:
        pytest.skip("no versitygw on the PATH")
    port = _free_port()
    objects, metadata = tmp_path / "objects", tmp_path / "metadata"
    objects.mkdir()
    metadata.mkdir()
    environment = {
        "VGW_PORT": f"127.0.0.1:{port}",
        "VGW_HEALTH": "/health",
        "ROOT_ACCESS_KEY": "key",
        "ROOT_SECRET_KEY": "secret",
    }
    process = subprocess.Popen(
        [server, "posix", f"--sidecar={metadata}", str(objects)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
    )
    _wait_for(port)
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_the_store_answers_the_health_check_of_the_chart(s3: str) -> None:
    with urllib.request.urlopen(f"{s3}/health", timeout=5) as answer:
        assert answer.status == 200


def test_the_bucket_is_made_once(run: Run, s3: str) -> None:
    first, second = run("bucket", "fairlead"), run("bucket", "fairlead")
    assert [first.stdout, second.stdout] == [
        "made the bucket fairlead\n",
        "the bucket fairlead is there\n",
    ], first.stderr


def test_backup_and_restore_go_through_the_object_store(
    run: Run, s3: str, environment: dict[str, str], volume: Path
) -> None:
    run("bucket", "fairlead")
    environment = {**environment, "BACKUPS": "s3://fairlead/backups"}
    before = noted(volume / "mlflow.db")
    done = run("backup", **environment)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(volume)
    volume.mkdir()
    done = run("prepare", **environment, RESTORE_FROM="latest")
    assert done.returncode == 0, done.stderr
    assert noted(volume / "mlflow.db") == before
    assert (volume / "artifacts/1/run/artifacts/report.html").read_text() == "report"


def test_artifacts_that_are_in_the_store_are_listed_and_missed(
    run: Run, s3: str, environment: dict[str, str], volume: Path, programs: dict[str, ModuleType]
) -> None:
    run("bucket", "fairlead")
    environment = {**environment, "BACKUPS": "s3://fairlead/backups", "ARTIFACTS": "s3://fairlead/mlflow"}
    mlflow = programs["place"].Place.open("s3://fairlead/mlflow")
    mlflow.put(volume / "artifacts/1/run/artifacts/model.onnx", "1/model.onnx")
    run("backup", **environment)
    mlflow.delete("1/model.onnx")
    done = run("prepare", **environment, RESTORE_FROM="latest")
    assert "1 artifacts were listed; not in s3://fairlead/mlflow any more: 1/model.onnx" in done.stdout, (
        done.stderr
    )
