"""MLflow's database on a PostgreSQL server: brought to the schema of the MLflow installed here, by one process at a time."""

from __future__ import annotations

import database
import sqlalchemy
from alembic.migration import MigrationContext

LOCK = 0x6661_6972_6C65_6164
"""Key of the advisory lock that a process holds while it upgrades: the letters of fairlead."""


def upgrade(uri: str) -> None:
    """Upgrade the schema in place if it is older. PostgreSQL changes a schema in one transaction: all of it or nothing.

    A new database is made here too: MLflow's servers lock a file against each other for that, which two pods do not share.
    There is no copy to go back to: back the database up by PostgreSQL's own means before a new version of MLflow.
    """
    engine = sqlalchemy.create_engine(
        uri, poolclass=sqlalchemy.NullPool
    )  # closed with its lock, whatever happens
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
        have = MigrationContext.configure(connection).get_current_revision()
        connection.rollback()  # a transaction left open could hold up the upgrade; the lock is the session's
        said = f"the schema is {have}: nothing to upgrade"
        if have is None or database.outdated(have):
            database.migrate(uri)
            how = f"upgraded the database from {have}" if have else "made a new database"
            said = f"{how}: the schema is {database.newest()}"
        print(said, flush=True)  # noqa: T201
