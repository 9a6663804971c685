"""Sources in an object store, read from a real S3 server."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.s3 import S3Server

from fairlead.adapters.sources import open_source
from fairlead.errors import DataError, ServiceError
from fairlead.spec.project import CsvSource, JsonLinesSource, ParquetSource

pytestmark = pytest.mark.xdist_group("s3")

ROWS = pa.table({"x": ["1", "2", "3"], "y": ["a", "b", "c"]})


@pytest.fixture(scope="module")
def rows(s3_server: S3Server) -> Path:
    """A folder of the bucket with the same three rows in files of each kind."""
    folder = s3_server.folder() / "rows"
    folder.mkdir()
    pa.csv.write_csv(ROWS, folder / "all.csv")
    with pa.CompressedOutputStream(str(folder / "all.csv.gz"), "gzip") as out:
        pa.csv.write_csv(ROWS, out)
    for part in range(3):
        pq.write_table(ROWS.slice(part, 1), folder / f"part-{part}.parquet")
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS.to_pylist()))
    return folder


@pytest.mark.parametrize(
    "source",
    [
        CsvSource(kind="csv", uri="s3://models/rows/all.csv"),
        CsvSource(kind="csv", uri="s3://models/rows/all.csv.gz"),
        ParquetSource(kind="parquet", uri="s3://models/rows/part-*.parquet"),
        ParquetSource(kind="parquet", uri="s3://models/rows"),
        JsonLinesSource(kind="jsonl", uri="s3://models/rows/all.jsonl"),
    ],
    ids=["csv", "csv.gz", "parquet by pattern", "parquet folder", "jsonl"],
)
def test_rows_are_read_from_a_bucket(s3: S3Server, rows: Path, source: CsvSource) -> None:
    batches = list(open_source(source, None).batches())
    assert pa.Table.from_batches(batches).to_pylist() == ROWS.to_pylist()


def test_the_fingerprint_is_that_of_the_same_files_on_a_disk(s3: S3Server, rows: Path) -> None:
    remote = open_source(ParquetSource(kind="parquet", uri="s3://models/rows/part-*.parquet"), None)
    local = open_source(ParquetSource(kind="parquet", uri=str(rows / "part-*.parquet")), None)
    assert remote.fingerprint() == local.fingerprint()


def test_files_that_are_not_there_are_named(s3: S3Server, rows: Path) -> None:
    with pytest.raises(DataError, match="models/rows/none"):
        list(open_source(CsvSource(kind="csv", uri="s3://models/rows/none.csv"), None).batches())


def test_a_wrong_region_is_said(s3: S3Server, rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(ServiceError, match=f"at {s3.url} cannot be read") as caught:
        open_source(CsvSource(kind="csv", uri="s3://models/rows/all.csv"), None).fingerprint()
    assert "AWS_REGION" in caught.value.hint


def test_lines_are_not_asked_for_one_by_one(s3: S3Server, rows: Path) -> None:
    """Each request to an object store costs a round trip; a file smaller than a piece is one."""
    (rows / "many.jsonl").write_text("".join(f'{{"x": {row}}}\n' for row in range(100_000)))
    before = requests_for(s3, "many.jsonl")
    list(open_source(JsonLinesSource(kind="jsonl", uri="s3://models/rows/many.jsonl"), None).batches())
    assert requests_for(s3, "many.jsonl") - before <= 5


def requests_for(server: S3Server, name: str) -> int:
    return (server.root / "log").read_text().count(f"/{name}")
