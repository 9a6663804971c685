"""The whole stage on small files: what it makes, what it refuses, what a kill leaves behind."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fairlead.data.snapshot import NAMED_FILES, digest_of
from fairlead.errors import DataError, IntegrityError, ProjectError, ServiceError
from fairlead.records import Dataset
from fairlead.schema import Schema
from fairlead.spec import Contract
from fairlead.spec.contract import contract_json
from fairlead.stats.profile import Profile

from .conftest import Bench, Made, contract_of, project_of

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "text", "use": "identifier"},
    "amount": {"type": "number", "minimum": 0, "missing": "allow"},
    "kind": {"type": "category", "values": ["a", "b"], "case": "lower"},
    "y": {"type": "boolean"},
}
CONTRACT = contract_of(COLUMNS)
ROWS = 200


def lines(rows: int = ROWS, **columns: Any) -> str:
    """A CSV file of harmless rows, with *columns* as functions of the row number instead."""
    noise = random.Random(0)
    made = {
        "id": lambda row: f"r{row}",
        "amount": lambda row: f"{noise.random() * 100:.2f}",
        "kind": lambda row: "ab"[row // 3 % 2],
        "y": lambda row: row % 4 == 0,
        **columns,
    }
    table = [",".join(str(column(row)) for column in made.values()) for row in range(rows)]
    return "\n".join([",".join(made), *table]) + "\n"


def run(
    bench: Bench, text: str, contract: Contract = CONTRACT, task: str = "classification", **data: Any
) -> Made:
    bench.write(text)
    return bench.run(project_of(task, **{"target": "y", **data}), contract)


# --------------------------------------------------------------------------------------------- what it makes


def test_the_dataset_folder_is_complete(bench: Bench) -> None:
    made = run(bench, lines())

    assert sorted(path.name for path in made.path.iterdir()) == [
        "dataset.json", "profile.json", "quarantine.parquet", "report.json", "schema.json",
        "test.parquet", "train.parquet", "valid.parquet",
    ]  # fmt: skip
    assert Dataset.from_json((made.path / "dataset.json").read_bytes()) == made.dataset


def test_splits_have_canonical_columns(bench: Bench) -> None:
    schema = pq.read_schema(run(bench, lines()).path / "train.parquet")

    assert {field.name: str(field.type) for field in schema} == {
        "id": "string", "amount": "double", "kind": "string", "y": "string", "_row": "int64",
    }  # fmt: skip


def test_every_row_is_in_exactly_one_place(bench: Bench) -> None:
    made = run(bench, lines(amount=lambda row: -1 if row % 50 == 0 else row / 7 % 3))
    found = [
        row for name in ("train", "valid", "test", "quarantine")
        for row in pq.read_table(made.path / f"{name}.parquet")["_row"].to_pylist()
    ]  # fmt: skip

    assert sorted(found) == list(range(ROWS))


def test_the_schema_and_the_profile_are_those_of_the_data(bench: Bench) -> None:
    made = run(bench, lines())
    schema = Schema.from_json((made.path / "schema.json").read_bytes())
    profile = Profile.from_json((made.path / "profile.json").read_bytes())

    assert (schema.output.classes, schema.output.positive) == (("false", "true"), "true")
    assert profile.rows == made.dataset.rows["train"]


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        ({"type": "integer"}, ("0", "1")),
        ({"type": "boolean"}, ("false", "true")),
        ({"type": "category"}, ("0", "1")),
        ({"type": "number", "scale": 0.5}, ("0", "0.5")),
    ],
    ids=str,
)
def test_class_labels_are_text(bench: Bench, target: dict[str, Any], classes: tuple[str, ...]) -> None:
    made = run(bench, lines(y=lambda row: int(row % 4 == 0)), contract_of({**COLUMNS, "y": target}))

    assert Schema.from_json((made.path / "schema.json").read_bytes()).output.classes == classes


def test_the_target_of_a_regression_stays_a_number(bench: Bench) -> None:
    contract = contract_of({**COLUMNS, "y": {"type": "integer", "unit": "EUR"}})
    made = run(bench, lines(y=lambda row: row * 17 % 23), contract, "regression")

    assert str(pq.read_schema(made.path / "test.parquet").field("y").type) == "double"
    assert Schema.from_json((made.path / "schema.json").read_bytes()).output.unit == "EUR"


def test_clustering_needs_no_target(bench: Bench) -> None:
    made = run(bench, lines(), task="clustering", target=None)

    assert made.report.split.method == "random"


def test_quarantined_rows_keep_their_raw_values_and_all_reasons(bench: Bench) -> None:
    made = run(
        bench,
        lines(
            amount=lambda row: "x1" if row == 7 else 5 + row % 3,
            kind=lambda row: "z" if row == 7 else "ab"[row // 3 % 2],
        ),
    )
    [row] = pq.read_table(made.path / "quarantine.parquet").to_pylist()

    assert row == {
        "id": "r7", "amount": "x1", "kind": "z", "y": "False", "_row": 7,
        "_reason": "amount is not a number; kind must be one of a, b",
    }  # fmt: skip


def test_reasons_are_counted_with_examples(bench: Bench) -> None:
    made = run(bench, lines(amount=lambda row: -row if 10 <= row < 20 else row % 7))
    [reason] = made.report.reasons

    assert (reason.text, reason.count) == ("amount must be at least 0", 10)
    assert reason.examples[0] == {"row": 10, "value": "-10"}


def test_changes_are_reported_with_their_reason(bench: Bench) -> None:
    made = run(bench, lines(kind=lambda row: " A" if row < 5 else "ab"[row // 3 % 2]))

    assert [(one.column, one.action, one.count) for one in made.report.changes if one.column == "kind"] == [
        ("kind", "trimmed", 5), ("kind", "lower case", 5),
    ]  # fmt: skip


@pytest.mark.parametrize(("way", "kept"), [("drop", ROWS), ("keep", ROWS + 20)])
def test_duplicates_are_dropped_or_kept(bench: Bench, way: str, kept: int) -> None:
    text = lines(at=lambda row: f"2020-01-01 {row // 60:02d}:{row % 60:02d}:00")
    contract = contract_of({**COLUMNS, "at": {"type": "datetime"}})
    # By time equal rows are never parted, so that keeping them is no leak.
    made = run(
        bench,
        text + "\n".join(text.splitlines()[1:21]) + "\n",
        contract,
        time="at",
        clean={"duplicates": way},
    )

    assert made.report.rows["kept"] == kept
    assert made.report.rows["duplicates"] == ROWS + 20 - kept


def test_kept_duplicates_on_two_sides_are_a_leak(bench: Bench) -> None:
    text = lines()

    with pytest.raises(DataError, match="the same row is in two splits") as error:
        run(bench, text + "\n".join(text.splitlines()[1:]) + "\n", clean={"duplicates": "keep"})
    assert "data.clean.duplicates" in error.value.hint


def test_duplicates_can_be_refused(bench: Bench) -> None:
    with pytest.raises(DataError, match=r"199 rows are exact duplicates"):
        run(bench, lines(id=lambda row: "r", amount=lambda row: 1, kind=lambda row: "a", y=lambda row: True),
            clean={"duplicates": "fail"})  # fmt: skip


def test_a_value_that_must_be_unique_is_kept_once(bench: Bench) -> None:
    contract = contract_of({**COLUMNS, "id": {"type": "text", "use": "identifier", "unique": True}})
    made = run(bench, lines(id=lambda row: f"r{max(row, 9)}"), contract)

    assert made.dataset.rows["quarantined"] == 9
    assert made.report.reasons[0].text == "id must be unique, but an earlier row has the same value"


def test_incomplete_rows_are_dropped_on_request(bench: Bench) -> None:
    text = lines(amount=lambda row: "" if row % 10 == 0 else row % 7)

    assert run(bench, text).report.rows["kept"] == ROWS
    assert run(bench, text, clean={"missing": "drop"}).report.rows == {
        "read": ROWS, "kept": 180, "quarantined": 0, "duplicates": 0, "incomplete": 20, "outliers": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("way", "kept"), [("flag", ROWS), ("drop", ROWS - 1), ("ignore", ROWS)])
def test_outliers_are_flagged_dropped_or_ignored(bench: Bench, way: str, kept: int) -> None:
    made = run(bench, lines(amount=lambda row: 1e6 if row == 5 else row % 7), clean={"outliers": way})

    assert made.report.rows["kept"] == kept
    assert [(one.column, one.count) for one in made.report.outliers] == (
        [] if way == "ignore" else [("amount", 1)]
    )


@pytest.mark.parametrize("method", ["random", "stratified", "group", "time"])
def test_every_way_to_divide_gives_about_the_wanted_shares(bench: Bench, method: str) -> None:
    contract = contract_of(
        {**COLUMNS, "at": {"type": "datetime"}, "who": {"type": "category", "use": "identifier"}}
    )
    text = lines(
        at=lambda row: f"2020-01-01T{row // 60:02d}:{row % 60:02d}:00Z", who=lambda row: f"c{row // 4}"
    )
    made = run(bench, text, contract, time="at", group="who", split={"method": method})

    assert made.dataset.rows["test"] == pytest.approx(40, abs=6)
    assert made.dataset.rows["valid"] == pytest.approx(30, abs=6)


def test_a_constant_feature_is_noted_and_not_fatal(bench: Bench) -> None:
    made = run(bench, lines(amount=lambda row: 5))

    assert made.report.notes == [
        "The feature amount is constant in the training rows: no model can learn from it."
    ]


def test_columns_that_the_contract_does_not_know_are_listed(bench: Bench) -> None:
    assert run(bench, lines(more=lambda row: row)).report.dropped_columns == ["more"]


def test_ignored_columns_are_checked_and_dropped(bench: Bench) -> None:
    contract = contract_of({**COLUMNS, "more": {"type": "number", "use": "ignore"}})
    made = run(bench, lines(more=lambda row: "x" if row == 3 else row), contract)

    assert made.dataset.rows["quarantined"] == 1
    assert "more" not in pq.read_schema(made.path / "train.parquet").names


def test_the_tracker_is_told(bench: Bench) -> None:
    made = run(bench, lines())

    assert made.tracker.logged["snapshot"] == made.dataset.digest
    assert made.tracker.logged["rows_kept"] == ROWS
    assert made.tracker.files == ["page.html", "report.json"]
    assert list(made.tracker.samples[0].columns) == ["id", "amount", "kind", "y"]


# ----------------------------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"rows\.csv is empty"),
        ("id,amount,kind,y\n", "the source has no rows"),
        (lines().replace("amount", "amuont", 1), "no column 'amount'"),
        (lines(y=lambda row: True), "single class 'true' in all 200 rows"),
        (lines(y=lambda row: ""), "not one of 200 rows .*\n.*200 rows: y has no value"),
        (
            lines(amount=lambda row: "much"),
            "not one of 200 rows .*\n.*200 rows: amount is not a number .such as 'much'",
        ),
        (lines(2), "the (train|valid|test) split is empty"),
    ],
    ids=[
        "empty file",
        "no rows",
        "renamed column",
        "single class",
        "no target",
        "wrong types",
        "too few rows",
    ],
)
def test_bad_data_is_refused(bench: Bench, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(bench, text)
    assert not (bench.root / "out" / "dataset").exists()


def test_a_missing_file_is_refused(bench: Bench) -> None:
    with pytest.raises(DataError, match=r"there is no file or folder .*rows\.csv"):
        bench.run(project_of(target="y"), CONTRACT)


def test_unparsable_dates_are_refused(bench: Bench) -> None:
    contract = contract_of({**COLUMNS, "at": {"type": "datetime"}})

    with pytest.raises(DataError, match=r"200 rows: at is not a date and time .such as '1/2/20'"):
        run(bench, lines(at=lambda row: "1/2/20"), contract, time="at")


def test_rows_without_a_target_are_quarantined_even_if_the_contract_allows_them(bench: Bench) -> None:
    contract = contract_of({**COLUMNS, "y": {"type": "boolean", "missing": "allow"}})
    made = run(bench, lines(y=lambda row: "" if row < 10 else row % 4 == 0), contract)

    assert [(one.text, one.count) for one in made.report.reasons] == [
        ("y has no value, but must have one", 10)
    ]


def test_a_class_that_comes_only_later_is_refused(bench: Bench) -> None:
    contract = contract_of({**COLUMNS, "at": {"type": "datetime"}})
    text = lines(at=lambda row: f"2020-01-01 {row // 60:02d}:{row % 60:02d}:00", y=lambda row: row > 190)

    with pytest.raises(DataError, match="all training rows have the class 'false'"):
        run(bench, text, contract, time="at")


def test_a_target_with_a_class_a_row_is_refused(bench: Bench) -> None:
    contract = contract_of({**COLUMNS, "y": {"type": "text"}})

    with pytest.raises(DataError, match="more than 1,000 classes"):
        run(bench, lines(1_500, y=lambda row: f"class {row}"), contract)


def test_a_category_feature_without_values_is_refused(bench: Bench) -> None:
    with pytest.raises(ProjectError, match="kind is a category without values; list them"):
        run(bench, lines(), contract_of({**COLUMNS, "kind": {"type": "category"}}))


def test_a_disk_that_cannot_be_written_is_named(bench: Bench) -> None:
    (bench.root / "out").write_text("a file where a folder must be")

    with pytest.raises(ServiceError, match="cannot write"):
        run(bench, lines())


# ------------------------------------------------------------------------------------------------ snapshots


def test_the_digest_is_that_of_the_files(bench: Bench) -> None:
    made = run(bench, lines())
    text = "".join(f"{n} {hashlib.sha256((made.path / n).read_bytes()).hexdigest()}\n" for n in NAMED_FILES)

    assert made.dataset.digest == hashlib.sha256(text.encode()).hexdigest()


def test_the_same_data_is_not_ingested_twice(bench: Bench) -> None:
    first = run(bench, lines())
    again = bench.run(project_of(target="y"), CONTRACT, out="out/again")

    assert again.dataset.digest == first.dataset.digest
    assert "nothing new in the source" in again.progress.notes[0]
    assert again.page == first.page
    assert json.loads((again.path / "dataset.json").read_bytes())["path"] == str(again.path)
    assert json.loads((first.path / "dataset.json").read_bytes())["path"] == str(first.path)


@pytest.mark.parametrize(
    ("text", "columns", "data"),
    [
        (lines().replace("r7,", "r7x,"), COLUMNS, {}),
        (lines(), {**COLUMNS, "amount": {"type": "number", "minimum": 3}}, {}),
        (lines(), COLUMNS, {"split": {"seed": 1}}),
    ],
    ids=["a changed value", "another contract", "another seed"],
)
def test_what_changes_the_rows_changes_the_digest(
    bench: Bench, text: str, columns: dict[str, Any], data: dict[str, Any]
) -> None:
    first = run(bench, lines())
    second = run(bench, text, contract_of(columns), **data)

    assert second.dataset.digest != first.dataset.digest
    assert not any("nothing new" in note for note in second.progress.notes)


def test_another_contract_that_keeps_the_same_rows_has_its_own_report(bench: Bench) -> None:
    text = lines(amount=lambda row: -1 if row < 5 else row % 7)
    stricter = contract_of(COLUMNS, rows=[{"rule": "amount >= -3"}])
    first, second = run(bench, text), run(bench, text, stricter)
    again = run(bench, text)

    assert first.dataset.digest == second.dataset.digest == again.dataset.digest
    assert again.report == first.report


def test_rows_of_a_database_are_named_by_content(bench: Bench) -> None:
    with sqlite3.connect(bench.root / "shop.db") as connection:
        connection.execute("CREATE TABLE rows (id, amount, kind, y)")
        connection.executemany(
            "INSERT INTO rows VALUES (?, ?, ?, ?)",
            [(f"r{n}", n % 13, "ab"[n // 3 % 2], n % 4 == 0) for n in range(ROWS)],
        )
    source = {"kind": "sql", "uri": "sqlite:///shop.db", "query": "SELECT * FROM rows ORDER BY id"}
    first = bench.run(project_of(target="y", source=source), CONTRACT)
    second = bench.run(project_of(target="y", source=source), CONTRACT)

    assert first.dataset.digest == second.dataset.digest
    assert len(list((bench.root / "store" / "snapshots").iterdir())) == 1


def test_a_snapshot_that_was_changed_in_the_store_is_refused(bench: Bench) -> None:
    digest = run(bench, lines()).dataset.digest
    kept = bench.store.path("snapshots", digest) / "schema.json"
    kept.unlink()
    kept.write_text("{}")

    with pytest.raises(IntegrityError, match="does not hold what its name says"):
        run(bench, lines())


def test_another_process_makes_the_same_bytes(bench: Bench) -> None:
    made = run(bench, lines())
    digest = _in_child(bench, "elsewhere", env={**os.environ, "PYTHONHASHSEED": "77"}).communicate(
        timeout=120
    )[0]

    assert digest.strip() == made.dataset.digest


def test_a_kill_in_the_middle_leaves_nothing_that_is_read(bench: Bench) -> None:
    bench.write(lines(30_000))
    out = bench.root / "elsewhere" / "dataset"
    child = _in_child(bench, "elsewhere", pause="1")
    until = time.monotonic() + 60
    while (
        not (out.parent / ".dataset.unfinished" / "quarantine.parquet").exists() and time.monotonic() < until
    ):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=30)

    assert not out.exists()
    assert not (bench.root / "elsewhere" / "store").exists()
    digest = _in_child(bench, "elsewhere").communicate(timeout=120)[0].strip()
    assert digest == digest_of(out)
    assert sorted(path.name for path in out.parent.iterdir()) == ["dataset", "page.html", "store"]


def _in_child(
    bench: Bench, folder: str, pause: str = "0", env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """Run the stage in another process; with *pause* it sleeps between reading and dividing, to be killed there."""
    (bench.root / "contract.json").write_text(json.dumps(contract_json(CONTRACT)))
    (bench.root / "project.json").write_text(project_of(target="y").model_dump_json())
    script = Path(__file__).parent / "run_stage.py"
    return subprocess.Popen(
        [sys.executable, script, bench.root, bench.root / folder, pause],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )


def test_the_dirt_of_the_real_invoices_is_found(bench: Bench, real_data: Path) -> None:
    with tarfile.open(real_data / "online-retail-by-day.tar.gz") as archive:
        archive.extractall(bench.root / "days", filter="data")
    contract = contract_of({
        "InvoiceNo": {"type": "text", "use": "identifier"}, "StockCode": {"type": "text", "use": "identifier"},
        "Description": {"type": "text", "missing": "allow"}, "Quantity": {"type": "integer"},
        "InvoiceDate": {"type": "datetime"}, "UnitPrice": {"type": "number", "minimum": 0},
        "CustomerID": {"type": "text", "use": "identifier", "missing": "allow"}, "Country": {"type": "text", "use": "identifier"},
    })  # fmt: skip
    project = project_of("clustering", source={"kind": "csv", "uri": "days"}, time="InvoiceDate", target=None)
    made = bench.run(project, contract)
    missing = {one.column: one.count for one in made.report.changes if one.action == "read as missing"}

    assert made.report.rows["read"] == 541_909
    assert made.report.rows["duplicates"] == 5_268
    assert (missing["CustomerID"], missing["Description"]) == (135_080, 1_454)
    assert [(one.text, one.count) for one in made.report.reasons] == [("UnitPrice must be at least 0", 2)]
