"""MLflow's SQLite database as a file: copied while in use, checked, and brought to the schema of the MLflow installed here."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

import mlflow.store.db_migrations
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

KEPT = "backups"
"""Folder beside the database for copies of it that stay on the volume."""


class Trouble(Exception):
    """Something a person must decide; the message says what and the ways out."""


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite URI; None for another database.

    >>> sqlite_file("sqlite:////mlflow/mlflow.db")
    PosixPath('/mlflow/mlflow.db')
    >>> sqlite_file("postgresql://db/mlflow") is None
    True
    """
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def copy(source: Path, target: Path) -> None:
    """Write a consistent copy of the database *source*, which may be in use, to *target*: whole or not at all.

    In one step, which holds writers up for as long as the copy takes: they wait up to 20 s (MLflow's busy_timeout). In many
    small steps, each write in between would start the copy anew.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    # Not read-only: what a killed server left half written is rolled back when the file is opened.
    opened = sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True)
    with closing(opened) as live, closing(sqlite3.connect(unfinished)) as copied:
        live.backup(copied)
    check(unfinished)
    _to_disk(unfinished)
    unfinished.replace(target)


def replace(database: Path, new: Path) -> None:
    """Put the file *new* in the place of *database*, which no process may have open."""
    for suffix in ("-journal", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    _to_disk(new)
    new.replace(database)
    _to_disk(database.parent)


def check(database: Path) -> None:
    """Read the whole file.

    Raises:
        Trouble: It is not a sound database.
    """
    try:
        with closing(sqlite3.connect(database)) as opened:
            [(verdict,)] = opened.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        raise Trouble(f"{database} is not a sound database: {error}") from error
    if verdict != "ok":
        raise Trouble(f"{database} is not a sound database: {verdict}")


def revision(database: Path) -> str | None:
    """The revision of the schema in *database*; None if MLflow has not made it yet."""
    if not database.exists():
        return None
    with closing(sqlite3.connect(database)) as opened:
        tables = opened.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
        found = opened.execute("SELECT version_num FROM alembic_version").fetchall() if tables else []
    return str(found[0][0]) if found else None


def _config() -> Config:
    folder = Path(next(iter(mlflow.store.db_migrations.__path__)))
    config = Config(folder / "alembic.ini")
    config.set_main_option("script_location", str(folder))
    return config


@cache
def _schema() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def newest() -> str:
    """The revision that the MLflow installed here works with."""
    return str(_schema().get_current_head())


def outdated(have: str | None) -> bool:
    """Whether a schema of revision *have* must be upgraded before this MLflow can use it.

    Raises:
        Trouble: This MLflow does not know it: a newer one has made it.
    """
    if have is None or have == newest():
        return False
    try:
        _schema().get_revision(have)
    except CommandError as error:
        raise Trouble(
            f"the database has the schema {have}, which MLflow {mlflow.__version__} does not know: "
            "a newer MLflow has upgraded it. Install that version again; or go back to the copy made before the upgrade, "
            "with restore.from=before-REVISION "
            f"(folder {KEPT} on the volume), without what was logged since."
        ) from error
    return True


def migrate(uri: str) -> None:
    """Run the migrations that `mlflow db upgrade` runs, here, because the command line takes many seconds to start.

    An empty database gets the tables that the first of them builds on.

    Raises:
        Trouble: One failed.
    """
    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.begin() as connection:
            if MigrationContext.configure(connection).get_current_revision() is None:
                _first_tables(connection)
        with (
            engine.begin() as connection
        ):  # the migrations open another connection, which must see the tables
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "heads")
    except (CommandError, sqlalchemy.exc.SQLAlchemyError) as error:
        raise Trouble(f"MLflow's upgrade of the schema failed: {error}") from error
    finally:
        engine.dispose()


def _first_tables(connection: sqlalchemy.Connection) -> None:
    from mlflow.store.tracking.dbmodels.initial_models import Base  # noqa: PLC0415 - takes seconds, and is needed once

    Base.metadata.create_all(connection)


def migrated(database: Path, to: Path) -> None:
    """Make an upgraded copy of *database* at *to*; *database* itself is only read."""
    copy(database, to)
    migrate(f"sqlite:///{to}")
    check(to)
    if revision(to) != newest():
        raise Trouble(f"the upgrade ended at the schema {revision(to)} instead of {newest()}")


def _to_disk(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
