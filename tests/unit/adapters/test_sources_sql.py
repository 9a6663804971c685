"""Databases as sources: SQLite, and a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy

from fairlead.adapters.sources.sql import SqlQuery
from fairlead.errors import DataError, ProjectError, ServiceError
from fairlead.spec.project import SqlSource


def query(
    uri: str, sql: str = "SELECT * FROM payments ORDER BY id", root: Path | None = None, **environment: str
) -> SqlQuery:
    return SqlQuery(SqlSource(kind="sql", uri=uri, query=sql), root, environment)


@pytest.fixture
def payments(tmp_path: Path) -> Path:
    """A folder with a SQLite file."""
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE payments (id INTEGER, amount REAL, note TEXT)")
        connection.executemany("INSERT INTO payments VALUES (?, ?, ?)", [(1, 9.5, "ok"), (2, None, None)])
    return tmp_path


def test_sqlite_rows_are_read(payments: Path) -> None:
    [batch] = query("sqlite:///shop.db", root=payments).batches()

    assert batch.to_pylist() == [
        {"id": 1, "amount": 9.5, "note": "ok"},
        {"id": 2, "amount": None, "note": None},
    ]


def test_a_missing_sqlite_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no SQLite file .*none\.db"):
        query("sqlite:///none.db", root=tmp_path)
    assert not (tmp_path / "none.db").exists()


def test_a_query_that_fails_says_why(payments: Path) -> None:
    with pytest.raises(DataError, match="no such table: absent"):
        list(query("sqlite:///shop.db", "SELECT * FROM absent", payments).batches())


def test_an_environment_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(ProjectError, match="needs the environment variable SHOP_PASSWORD") as error:
        query("postgresql://me:${SHOP_PASSWORD}@db/shop")
    assert "export SHOP_PASSWORD" in error.value.hint


def test_the_description_hides_the_password() -> None:
    assert "s3cret" not in query("postgresql://me:${PW}@db/shop", PW="s3cret").description


def test_what_is_no_database_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(ProjectError, match="not a database URL") as error:
        query("${PW}", PW="s3cret")
    assert "s3cret" not in str(error.value)


def test_a_database_has_no_fingerprint(payments: Path) -> None:
    assert query("sqlite:///shop.db", root=payments).fingerprint() is None


def test_a_database_that_cannot_be_reached_is_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(ServiceError, match=f"cannot connect to postgresql.*{port}"):
        list(query(f"postgresql://nobody@127.0.0.1:{port}/none").batches())


# ----------------------------------------------------------------------------------------------- PostgreSQL


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of a real PostgreSQL server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("no PostgreSQL below /usr/lib/postgresql (Debian: apt-get install postgresql)")
    binaries = found[-1]
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("running as root without setpriv: PostgreSQL refuses to run as root")
    # As root the server runs as nobody: its folder must not lie below one that only root may enter.
    folder = Path(tempfile.mkdtemp(prefix="fairlead-pg-", dir="/tmp"))
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if as_nobody:
        os.chown(folder, 65534, 65534)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        subprocess.run([*as_nobody, binaries / "initdb", "-D", folder / "data", "-U", "fairlead", "-A", "trust", "-E", "UTF8",
                        "--no-sync"], cwd=folder, check=True, capture_output=True)  # fmt: skip
        server = subprocess.Popen(
            [*as_nobody, binaries / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder,
             "-F"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            url = f"postgresql://fairlead@127.0.0.1:{port}/postgres"
            _wait_for(url)
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # SIGTERM would wait for open connections
            server.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(url: str) -> None:
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    until = time.monotonic() + 30
    while True:
        try:
            with engine.connect():
                break
        except sqlalchemy.exc.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE payments AS SELECT n AS id, (n * 0.01)::numeric(12, 2) AS amount, "
            "timestamp '2020-01-01' + n * interval '1 minute' AS at, n %% 7 = 0 AS returned, 'note ' || n AS note "
            "FROM generate_series(1, 50000) AS n"
        )
    engine.dispose()


def test_postgresql_types_arrive(postgres: str) -> None:
    [batch] = query(postgres, "SELECT * FROM payments ORDER BY id LIMIT 7").batches()

    assert batch.to_pylist()[-1] == {
        "id": 7, "amount": Decimal("0.07"), "at": datetime(2020, 1, 1, 0, 7), "returned": True, "note": "note 7",
    }  # fmt: skip


def test_postgresql_rows_come_in_chunks_from_the_server(postgres: str) -> None:
    sizes = [batch.num_rows for batch in query(postgres)._chunks()]

    assert sizes == [20_000, 20_000, 10_000]


def test_all_postgresql_rows_arrive_in_order(postgres: str) -> None:
    ids = pa.concat_arrays([batch.column("id") for batch in query(postgres).batches()])

    assert ids.to_pylist() == list(range(1, 50_001))


def test_a_query_is_taken_literally(postgres: str) -> None:
    sql = "SELECT id::text AS a, ' :x 12:30 %s' AS b FROM payments WHERE id % 50000 = 0"

    [batch] = query(postgres, sql).batches()

    assert batch.to_pylist() == [{"a": "50000", "b": " :x 12:30 %s"}]


def test_postgresql_says_what_is_wrong_with_a_query(postgres: str) -> None:
    with pytest.raises(DataError, match='column "amuont" does not exist'):
        list(query(postgres, "SELECT amuont FROM payments").batches())
