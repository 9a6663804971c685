"""The rows of one query, through SQLAlchemy, streamed by the server in chunks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import sqlalchemy
from sqlalchemy.engine import URL

from fairlead.adapters.sources.batches import batch_of, coalesced
from fairlead.errors import DataError, ProjectError, ServiceError
from fairlead.spec.project import SqlSource

_CHUNK = 20_000
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class SqlQuery:
    """The rows of one SELECT."""

    def __init__(
        self, source: SqlSource, root: Path | None, environment: Mapping[str, str] | None = None
    ) -> None:
        """Fill in the environment's variables; no connection is made yet.

        Raises:
            ProjectError: A variable is not set, or the URL is not one that SQLAlchemy can use.
        """
        self.query = source.query
        self.url = _url(_filled_in(source.uri, os.environ if environment is None else environment), root)
        self.description = (
            f"sql {self.url.render_as_string(hide_password=True)}: {' '.join(source.query.split())}"
        )

    def fingerprint(self) -> str | None:
        """None: only reading can tell whether the rows of a table have changed."""
        return None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, in the query's own order.

        Raises:
            ServiceError: The database cannot be reached.
            DataError: The query is refused.
        """
        return coalesced(self._chunks())

    def _chunks(self) -> Iterator[pa.RecordBatch]:
        try:
            engine = sqlalchemy.create_engine(self.url)
        except (sqlalchemy.exc.ArgumentError, ImportError) as cause:
            raise ProjectError(f"data.source.uri {self._shown()} cannot be used: {cause}") from cause
        try:
            with self._connected(engine) as connection:
                # A colon would start a parameter; the query has none.
                result = connection.execute(sqlalchemy.text(self.query.replace(":", r"\:")))
                names = list(result.keys())
                for rows in result.partitions(_CHUNK):
                    yield batch_of(dict(zip(names, zip(*rows, strict=True), strict=True)))
        except sqlalchemy.exc.SQLAlchemyError as cause:
            reason = str(getattr(cause, "orig", None) or cause).strip()
            raise DataError(
                f"the query failed on {self._shown()}: {reason}", hint=f"The query: {self.query}"
            ) from cause
        finally:
            engine.dispose()

    def _connected(self, engine: sqlalchemy.Engine) -> sqlalchemy.Connection:
        try:
            connection = engine.connect()
        except sqlalchemy.exc.SQLAlchemyError as cause:
            reason = str(getattr(cause, "orig", None) or cause).strip()
            raise ServiceError(f"cannot connect to {self._shown()}: {reason}") from cause
        return connection.execution_options(stream_results=True, max_row_buffer=_CHUNK)

    def _shown(self) -> str:
        return self.url.render_as_string(hide_password=True)


def _filled_in(uri: str, environment: Mapping[str, str]) -> str:
    missing = [name for name in _VARIABLE.findall(uri) if name not in environment]
    if missing:
        raise ProjectError(
            f"data.source.uri needs the environment variable {missing[0]}, which is not set",
            hint=f"Set it before the run: export {missing[0]}=…",
        )
    return _VARIABLE.sub(lambda match: environment[match[1]], uri)


def _url(text: str, root: Path | None) -> URL:
    try:
        url = sqlalchemy.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError) as cause:
        raise ProjectError(
            "data.source.uri is not a database URL",
            hint="For example sqlite:///rows.db or postgresql+psycopg://user:${PASSWORD}@host/database.",
        ) from cause
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")  # the driver that the extra `sql` installs
    if not url.drivername.startswith("sqlite") or not url.database or url.database == ":memory:":
        return url
    # SQLite would create a missing file and then complain about a missing table.
    path = Path(url.database) if root is None else root / url.database
    if not path.is_absolute():
        raise DataError(
            f"data.source.uri names the SQLite file {url.database!r} by a relative path, but there is no project folder here",
            hint="Give its absolute path, or a database server, for runs outside your own machine.",
        )
    if not path.is_file():
        raise DataError(
            f"there is no SQLite file {path}", hint="data.source.uri is relative to the project file."
        )
    return url.set(database=str(path))
