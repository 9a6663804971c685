"""Files as sources: csv, parquet, jsonl, texts, images."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import TypeAdapter

from fairlead.adapters.sources import open_source
from fairlead.adapters.sources.batches import ROWS, coalesced
from fairlead.adapters.sources.email import html_text, parse_email
from fairlead.errors import DataError, ProjectError
from fairlead.records import Source
from fairlead.spec import project as spec


def source(root: Path | None, **entries: Any) -> Source:
    adapter: TypeAdapter[Any] = TypeAdapter(spec.Source)
    return open_source(adapter.validate_python(entries), root)


def rows(of: Source) -> list[dict[str, Any]]:
    return [row for batch in of.batches() for row in batch.to_pylist()]


# ------------------------------------------------------------------------------------------------------ csv


def test_csv_values_are_text_as_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,amount,at\n007, 1.50,\n")

    assert rows(source(tmp_path, kind="csv", uri="a.csv")) == [{"id": "007", "amount": " 1.50", "at": ""}]


@pytest.mark.parametrize(
    ("uri", "found"),
    [("days/1.csv", ["1"]), ("days", ["1", "2", "10"]), ("days/?.csv", ["1", "2"]), ("*/2.csv", ["2"])],
    ids=["file", "folder", "pattern", "pattern in the middle"],
)
def test_csv_files_are_found_by(tmp_path: Path, uri: str, found: list[str]) -> None:
    (tmp_path / "days" / ".hidden").mkdir(parents=True)
    for number in ("1", "2", "10"):
        (tmp_path / "days" / f"{number}.csv").write_text(f"n\n{number}\n")
    (tmp_path / "days" / ".hidden" / "3.csv").write_text("n\n3\n")
    (tmp_path / "days" / "readme.md").write_text("not data")

    assert sorted(row["n"] for row in rows(source(tmp_path, kind="csv", uri=uri))) == sorted(found)


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("c", "a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"n\n{name}\n")

    assert [row["n"] for row in rows(source(tmp_path, kind="csv", uri="."))] == ["a", "b", "c"]


def test_many_small_files_become_few_batches(tmp_path: Path) -> None:
    for number in range(305):
        (tmp_path / f"{number:03d}.csv").write_text("n\n" + "1\n" * 300)

    sizes = [batch.num_rows for batch in source(tmp_path, kind="csv", uri=".").batches()]

    assert sum(sizes) == 305 * 300
    assert len(sizes) == 2


def test_a_later_file_that_lacks_a_column_is_not_filled_in(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")

    names = [batch.schema.names for batch in source(tmp_path, kind="csv", uri=".").batches()]

    assert names == [["a", "b"], ["a", "c"]]


def test_columns_in_another_order_are_joined_by_name(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("b,a\n4,3\n")

    assert rows(source(tmp_path, kind="csv", uri=".")) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_csv_with_byte_order_mark_delimiter_and_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\ufeffname;price\nCafé;1,5\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("name;price\nCafé;1,5\n", encoding="latin-1")
    expected = [{"name": "Café", "price": "1,5"}]

    assert rows(source(tmp_path, kind="csv", uri="a.csv", delimiter=";")) == expected
    assert rows(source(tmp_path, kind="csv", uri="b.csv", delimiter=";", encoding="latin-1")) == expected


def test_csv_values_with_line_feeds_and_compression(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write('text,n\n"two\nlines",1\n')

    assert rows(source(tmp_path, kind="csv", uri=".")) == [{"text": "two\nlines", "n": "1"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,a\n1,2\n", "column 'a' twice"),
        (b"a,b\n1,2\n3\n", "Expected 2 columns, got 1"),
        (b"a\n\xff\xfe\n", "cannot be read"),
    ],
    ids=["empty", "blank", "repeated column", "ragged", "not utf-8"],
)
def test_a_csv_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad.csv").write_bytes(content)

    with pytest.raises(DataError, match=message) as error:
        rows(source(tmp_path, kind="csv", uri="bad.csv"))
    assert "bad.csv" in error.value.message


@pytest.mark.parametrize("kind", ["csv", "texts"])
def test_an_unknown_encoding_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ProjectError, match="'utf-9', which is no encoding"):
        source(tmp_path, kind=kind, uri=".", encoding="utf-9")


# ----------------------------------------------------------------------------------------- parquet and jsonl


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    table = pa.table({"n": [1, 2], "text": ["a", None]})
    pq.write_table(table, tmp_path / "a.parquet")

    [batch] = source(tmp_path, kind="parquet", uri="a.parquet").batches()

    assert batch.schema.equals(table.schema)


def test_batches_of_a_large_file_are_bounded(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": range(3 * ROWS + 5)}), tmp_path / "a.parquet")

    sizes = [batch.num_rows for batch in source(tmp_path, kind="parquet", uri="a.parquet").batches()]

    assert sizes == [ROWS, ROWS, ROWS, 5]


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no")

    with pytest.raises(DataError, match=r"a\.parquet cannot be read"):
        rows(source(tmp_path, kind="parquet", uri="a.parquet"))


def test_json_lines_fill_absent_keys_and_make_mixed_columns_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": 1}\n\n{"a": 2, "b": "x", "c": {"d": true}}\n')

    assert rows(source(tmp_path, kind="jsonl", uri="a.jsonl")) == [
        {"a": 1, "b": "1", "c": None},
        {"a": 2, "b": "x", "c": '{"d": true}'},
    ]


@pytest.mark.parametrize(("line", "message"), [("{a: 1}", "is not JSON"), ("[1]", "must be a JSON object")])
def test_a_bad_json_line_is_named_by_its_number(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"a": 1}}\n{line}\n')

    with pytest.raises(DataError, match=rf"line 2, .*{message}"):
        rows(source(tmp_path, kind="jsonl", uri="a.jsonl"))


# ------------------------------------------------------------------------------------------------- everywhere


KINDS = ["csv", "parquet", "jsonl", "texts", "images"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=r"there is no file or folder .*nowhere"):
        rows(source(tmp_path, kind=kind, uri="nowhere"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_folder_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="there are no files"):
        rows(source(tmp_path, kind=kind, uri="."))


def test_a_relative_path_without_a_project_folder_is_refused() -> None:
    with pytest.raises(DataError, match="relative path"):
        source(None, kind="csv", uri="a.csv")


def test_the_fingerprint_changes_with_content_and_with_names(tmp_path: Path) -> None:
    files = source(tmp_path, kind="csv", uri=".")
    (tmp_path / "a.csv").write_text("n\n1\n")
    first = files.fingerprint()
    (tmp_path / "a.csv").write_text("n\n2\n")
    second = files.fingerprint()
    (tmp_path / "a.csv").rename(tmp_path / "b.csv")
    third = files.fingerprint()

    assert len({first, second, third}) == 3


def test_the_fingerprint_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("n\n1\n")

    one, two = (source(tmp_path, kind="csv", uri=folder) for folder in ("one", "two"))

    assert one.fingerprint() == two.fingerprint()


def test_long_rows_end_a_batch_early() -> None:
    rows_of_nine_mebibytes = (pa.RecordBatch.from_pydict({"text": ["x" * (9 << 20)]}) for _ in range(6))

    assert [batch.num_rows for batch in coalesced(rows_of_nine_mebibytes)] == [4, 2]


# ------------------------------------------------------------------------------------------ texts and images


def test_texts_are_labelled_by_folder(tmp_path: Path) -> None:
    for folder, text in (("spam-1", "buy"), ("ham", "hello")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.txt").write_text(text)

    assert rows(source(tmp_path, kind="texts", uri=".", labels={"spam-1": "spam"})) == [
        {"path": "ham/1.txt", "label": "ham", "text": "hello"},
        {"path": "spam-1/1.txt", "label": "spam", "text": "buy"},
    ]


@pytest.mark.parametrize(
    ("mail", "text"),
    [
        (b"Subject: a\n\nplain", "plain"),
        (b"Content-Type: text/html\n\n<p>one<p>two<style>x{}</style>", "one two"),
        (b"Content-Type: text/plain; charset=no-such-charset\n\ncaf\xc3\xa9", "café"),
        (b"Content-Type: text/plain; charset=us-ascii\n\ncaf\xe9", "caf\N{REPLACEMENT CHARACTER}"),
        (b"Content-Transfer-Encoding: base64\n\n!!!not base64", "!!!not base64"),
        (b"Content-Type: multipart/mixed\n\nno boundary", "no boundary"),
        (b"", ""),
        (b"\xff\xfe\x00", "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\x00"),
    ],
    ids=[
        "plain",
        "html",
        "unknown charset",
        "wrong charset",
        "wrong base64",
        "no boundary",
        "empty",
        "no mail",
    ],
)
def test_a_mail_is_read_however_broken(mail: bytes, text: str) -> None:
    assert parse_email(mail)["text"] == text


def test_the_plain_part_is_taken_before_the_html_one() -> None:
    mail = (
        b"Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain\n\nplain\n"
        b"--x\nContent-Type: text/html\n\n<b>html</b>\n--x--\n"
    )

    assert parse_email(mail)["text"] == "plain"


@pytest.mark.parametrize(
    ("date", "read"),
    [
        ("Thu, 22 Aug 2002 18:26:25 +0700", "2002-08-22T11:26:25"),
        ("yesterday", None),
        ("Thu, 99 Aug 2002 18:26:25 +0700", None),
    ],
)
def test_the_date_of_a_mail_is_in_utc_or_missing(date: str, read: str | None) -> None:
    assert parse_email(f"Date: {date}\n\n".encode())["date"] == read


def test_encoded_headers_are_decoded() -> None:
    assert parse_email(b"Subject: =?iso-8859-1?Q?caf=E9?=\nFrom: A <a@b.example>\n\n")["subject"] == "café"


def test_html_that_is_never_closed_is_still_read() -> None:
    assert html_text("<html><head><title>t<body>shown <b>text") == "shown text"


def test_images_become_grey_values(tmp_path: Path) -> None:
    (tmp_path / "dark").mkdir()
    Image.fromarray(np.zeros((4, 8, 3), np.uint8)).save(tmp_path / "dark" / "a.png")

    assert rows(source(tmp_path, kind="images", uri=".", size=(1, 2))) == [
        {"path": "dark/a.png", "label": "dark", "width": 8, "height": 4, "px_0_0": 0, "px_0_1": 0}
    ]


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no")

    with pytest.raises(DataError, match=r"a\.png cannot be read as an image"):
        rows(source(tmp_path, kind="images", uri="."))


@pytest.mark.slow
def test_all_real_mails_are_read(real_data: Path, tmp_path: Path) -> None:
    with tarfile.open(real_data / "spam-assassin-mails.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")

    read = pa.Table.from_batches(
        source(tmp_path, kind="texts", uri="spam-assassin-mails" if (tmp_path / "spam-assassin-mails").is_dir() else ".",
               format="email").batches()
    )  # fmt: skip

    assert read.num_rows == 6046
    assert json.dumps(read["text"].to_pylist()[:100])
