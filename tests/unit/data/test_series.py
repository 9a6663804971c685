from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest

from fairlead.errors import DataError
from fairlead.schema import Schema

from .conftest import Bench, Made, contract_of, project_of

CONTRACT = contract_of({
    "shop": {"type": "category", "use": "identifier"},
    "item": {"type": "category", "use": "identifier"},
    "at": {"type": "datetime"},
    "sold": {"type": "number"},
})  # fmt: skip
DAYS = 60


def sales(days: int = DAYS) -> str:
    """Item a sells 10 a day in two lines, b 1 every second day, c 5 on the last day only."""
    lines = ["shop,item,at,sold"]
    for day in range(days):
        date = datetime(2020, 1, 1) + timedelta(days=day)
        lines += [f"s,a,{date:%Y-%m-%d} 08:00,4", f"s,a,{date:%Y-%m-%d} 17:30,6"]
        if day % 2 == 0:
            lines.append(f"s,b,{date:%Y-%m-%d} 09:00,1")
    lines.append(f"s,c,{datetime(2020, 1, 1) + timedelta(days=days - 1):%Y-%m-%d} 09:00,5")
    return "\n".join(lines) + "\n"


def run(bench: Bench, days: int = DAYS, **series: Any) -> Made:
    bench.write(sales(days))
    shape = {"by": ["shop", "item"], "value": "sold", "window": 14, **series}
    return bench.run(project_of("forecast", time="at", series=shape), CONTRACT)


def values(made: Made, split: str, key: str) -> list[float]:
    table = pq.read_table(made.path / f"{split}.parquet").to_pandas()
    return [float(value) for value in table[table["key"] == key]["value"]]


def test_lines_are_summed_and_gaps_are_zero(bench: Bench) -> None:
    made = run(bench)

    assert values(made, "train", "s|a") == [10.0] * 39
    assert values(made, "train", "s|b")[:4] == [1.0, 0.0, 1.0, 0.0]


def test_the_largest_series_of_the_training_period_are_kept(bench: Bench) -> None:
    schema = Schema.from_json((run(bench, top=2).path / "schema.json").read_bytes())

    assert schema.series is not None
    assert schema.series.keys == ("s|a", "s|b")  # c sells only in the test period
    assert schema.fields == ()


def test_without_a_key_there_is_one_series(bench: Bench) -> None:
    assert values(run(bench, by=[]), "train", "all")[:2] == [11.0, 10.0]


def test_splits_are_contiguous_periods(bench: Bench) -> None:
    made = run(bench)

    assert made.report.split.spans == {
        "train": ["2020-01-01T00:00:00", "2020-02-08T00:00:00"],
        "valid": ["2020-02-09T00:00:00", "2020-02-17T00:00:00"],
        "test": ["2020-02-18T00:00:00", "2020-02-29T00:00:00"],
    }


def test_every_period_of_every_series_is_there(bench: Bench) -> None:
    made = run(bench)

    assert sum(made.dataset.rows[name] for name in ("train", "valid", "test")) == DAYS * 2


def test_weeks_begin_on_monday(bench: Bench) -> None:
    made = run(bench, days=400, every="week", season=4, horizon=4)
    first = pq.read_table(made.path / "train.parquet")["at"][0].as_py()

    assert first == datetime(2019, 12, 30)


def test_too_few_periods_are_refused(bench: Bench) -> None:
    with pytest.raises(DataError, match="there are 20 periods"):
        run(bench, days=20)


def test_a_date_that_went_wrong_is_refused(bench: Bench) -> None:
    bench.write(sales() + "s,a,9019-01-01 08:00,4\n")

    with pytest.raises(DataError, match="more than 200,000 periods"):
        bench.run(project_of("forecast", time="at", series={"value": "sold", "window": 14}), CONTRACT)
