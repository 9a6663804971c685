from __future__ import annotations

from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def lines(demand: ModuleType) -> list[Any]:
    return list(demand.generate(6000, seed=5))


def test_the_shop_is_closed_on_saturdays_and_holidays(demand: ModuleType, lines: list[Any]) -> None:
    days = {line.at.date() for line in lines}
    assert not any(day.weekday() == 5 for day in days)
    assert not days & set(demand.HOLIDAYS)


def test_lines_are_in_order_of_time(lines: list[Any]) -> None:
    assert [line.at for line in lines] == sorted(line.at for line in lines)


def test_every_dirt_of_the_real_files_is_there(lines: list[Any]) -> None:
    found = {
        "returns": any(line.invoice.startswith("C") and line.quantity < 0 for line in lines),
        "corrections": any(line.price == 0 and not line.description for line in lines),
        "postage": any(line.code == "POST" for line in lines),
        "lower case": any(line.code != line.code.upper() for line in lines),
        "no customer": any(not line.customer for line in lines),
        "duplicates": len(set(lines)) < len(lines),
        "huge order": {line.quantity for line in lines} >= {70_000, -70_000},
    }
    assert [name for name, seen in found.items() if not seen] == []


def test_a_quarter_of_sales_has_no_customer(demand: ModuleType) -> None:
    sales = demand.sell(demand.np.random.default_rng(0), 20_000)
    assert sum(not line.customer for line in sales) / len(sales) == pytest.approx(0.25, abs=0.02)


def test_demand_follows_the_weekly_rhythm(demand: ModuleType, lines: list[Any]) -> None:
    code, _, _, busiest, _ = demand.PRODUCTS[0]
    by_weekday = pd.Series([line.at.weekday() for line in lines if line.code == code]).value_counts()
    assert by_weekday.idxmax() == busiest


def test_one_file_a_day_with_the_columns_of_the_real_files(
    demand: ModuleType, lines: list[Any], tmp_path: Path
) -> None:
    demand.write(lines, tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == len({line.at.date() for line in lines})
    assert date.fromisoformat(files[0].stem) == demand.FIRST_DAY
    assert tuple(pd.read_csv(files[0]).columns) == demand.COLUMNS
