"""Leak checks, on files written by hand: they must hold whatever wrote them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.data.leaks import check_leaks
from fairlead.data.report import LeakCheck
from fairlead.data.roles import roles_of
from fairlead.errors import LeakError
from fairlead.spec import Contract, Project

from .conftest import contract_of, project_of

START = datetime(2020, 1, 1)
ROWS = 30


def columns_of(first: int, **changes: Any) -> dict[str, list[Any]]:
    """One split of harmless rows, with *changes* as functions of the row number."""
    rows = range(first, first + ROWS)
    made: dict[str, list[Any]] = {
        "id": [f"r{row}" for row in rows],
        "who": [f"c{row // 5}" for row in rows],
        "at": [START + timedelta(hours=row) for row in rows],
        "x": [float(row * 7 % 11) for row in rows],
        "kind": ["ab"[row // 2 % 2] for row in rows],
        "y": [str(row % 2) for row in rows],
    }
    for name, value in changes.items():
        made[name] = [value(row) for row in rows]
    return made | {"_row": list(rows)}


CONTRACT: dict[str, dict[str, Any]] = {
    "id": {"type": "text", "use": "identifier"},
    "who": {"type": "category", "use": "identifier"},
    "at": {"type": "datetime"},
    "x": {"type": "number", "missing": "allow"},
    "kind": {"type": "category", "values": ["a", "b"]},
    "y": {"type": "category"},
}


def write(folder: Path, name: str, columns: dict[str, list[Any]]) -> None:
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def check(
    folder: Path, project: Project | None = None, contract: Contract | None = None, **changes: Any
) -> list[LeakCheck]:
    """Write three splits with the same changes, and check them."""
    project = project or project_of(target="y")
    contract = contract or contract_of(CONTRACT)
    for position, name in enumerate(("train", "valid", "test")):
        write(folder, name, columns_of(position * ROWS, **changes))
    return check_leaks(folder, contract, roles_of(project, contract), folder / "scratch")[0]


def test_harmless_data_passes_and_says_what_was_checked(tmp_path: Path) -> None:
    found = check(tmp_path, project_of(target="y", time="at", group="who"))

    assert [one.check for one in found] == [
        "no row in two splits", "no split reaches into the next one's time", "no feature gives y away",
    ]  # fmt: skip


def test_the_same_row_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    check(tmp_path)
    copied = columns_of(2 * ROWS)
    for name, values in columns_of(0).items():
        if name != "_row":
            copied[name][3] = values[7]
    write(tmp_path, "test", copied)
    project, contract = project_of(target="y"), contract_of(CONTRACT)

    with pytest.raises(LeakError, match="the same row is in two splits: 1 times"):
        check_leaks(tmp_path, contract, roles_of(project, contract), tmp_path / "scratch")


def test_the_same_group_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    with pytest.raises(LeakError, match=r"the same group \(who\) is in two splits: 1 times"):
        check(
            tmp_path,
            project_of(target="y", group="who"),
            who=lambda row: "everywhere" if row % 30 == 0 else f"c{row}",
        )


def test_training_rows_later_than_test_rows_are_a_leak(tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="train has rows up to 2020-01-31T00:00:00, but valid begins at"):
        check(
            tmp_path,
            project_of(target="y", time="at"),
            at=lambda row: START + timedelta(days=30) if row == 3 else START + timedelta(hours=row),
        )


def test_equal_times_on_two_sides_are_a_leak(tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="but valid begins at"):
        check(
            tmp_path,
            project_of(target="y", time="at"),
            at=lambda row: START + timedelta(hours=(row + 1) // 2),
        )


@pytest.mark.parametrize(
    ("feature", "value", "how"),
    [
        ("kind", lambda row: "ab"[row % 2], "each of its 2 values goes with exactly one value"),
        ("x", lambda row: 5.0 * (row % 2) + 1, "their correlation is 1.000000"),
        ("x", lambda row: -float(row % 2), "their correlation is -1.000000"),
        ("x", lambda row: float(row) if row % 2 else None, "it has a value exactly when"),
    ],
    ids=["one to one", "line", "falling line", "present when"],
)
def test_a_feature_that_gives_the_class_away_is_a_leak(
    tmp_path: Path, feature: str, value: Any, how: str
) -> None:
    with pytest.raises(LeakError, match=f"the feature '{feature}' gives the target 'y' away: {how}"):
        check(tmp_path, **{feature: value})


def test_a_text_equal_to_the_class_is_a_leak(tmp_path: Path) -> None:
    contract = contract_of({**CONTRACT, "note": {"type": "text", "missing": "allow"}})

    with pytest.raises(LeakError, match="they are equal in all 60 rows that have both"):
        check(tmp_path, contract=contract, y=lambda row: f"class {row % 3}",
              note=lambda row: f"Class {row % 3}" if row % 3 else None)  # fmt: skip


def test_a_number_in_line_with_the_target_of_a_regression_is_a_leak(tmp_path: Path) -> None:
    contract = contract_of({**CONTRACT, "y": {"type": "number"}})

    with pytest.raises(LeakError, match="'x' gives the target 'y' away: their correlation"):
        check(tmp_path, project_of("regression", target="y"), contract,
              x=lambda row: row * 0.01, y=lambda row: 2.0 * row + 1)  # fmt: skip


def test_a_good_feature_is_no_leak(tmp_path: Path) -> None:
    assert check(tmp_path, x=lambda row: float(row % 2) if row % 5 else 0.0)


def test_a_feature_known_only_later_is_refused_before_anything_is_read() -> None:
    contract = contract_of({**CONTRACT, "x": {"type": "number", "known": "later"}})

    with pytest.raises(LeakError, match="marked `known: later`: x"):
        roles_of(project_of(target="y"), contract)


def test_a_column_known_only_later_may_be_kept_apart() -> None:
    contract = contract_of({**CONTRACT, "x": {"type": "number", "known": "later", "use": "identifier"}})

    assert roles_of(project_of(target="y"), contract).features == ("at", "kind")


def test_a_feature_later_than_the_row_is_a_leak(tmp_path: Path) -> None:
    contract = contract_of({**CONTRACT, "paid_at": {"type": "datetime"}})

    with pytest.raises(LeakError, match="'paid_at' is later than 'at' in 90 of 90 rows") as error:
        check(tmp_path, project_of(target="y", time="at"), contract,
              paid_at=lambda row: START + timedelta(hours=row, minutes=7))  # fmt: skip
    assert "paid_at <= at" in error.value.hint


def test_a_clock_of_another_time_zone_is_no_leak(tmp_path: Path) -> None:
    contract = contract_of({**CONTRACT, "local": {"type": "datetime"}})

    found = check(tmp_path, project_of(target="y", time="at"), contract,
                  local=lambda row: START + timedelta(hours=row + 5, minutes=45))  # fmt: skip

    assert "local is never later than at" in [one.check for one in found]
