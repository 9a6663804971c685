from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from fairlead.data.uniform import uniform
from fairlead.schema import Field
from fairlead.schema.encode import encode_text
from fairlead.spec import Column

NOON = datetime(2010, 12, 1, 12, 0)


@pytest.mark.parametrize(
    ("column", "raw", "made"),
    [
        ({"type": "number"}, ["1", "-2.5e3", " 3 ", ".5", "4."], [1.0, -2500.0, 3.0, 0.5, 4.0]),
        ({"type": "number"}, ["1", "x"], [1.0, None]),
        ({"type": "number"}, ["1,000", "0x10", "1_0"], [None, None, None]),
        ({"type": "number"}, ["inf", "-inf", "1"], [None, None, 1.0]),
        ({"type": "number", "decimal": ","}, ["1,5"], [1.5]),
        ({"type": "number", "scale": 0.01, "unit": "EUR"}, ["150"], [1.5]),
        ({"type": "number"}, [1, 2, None], [1.0, 2.0, None]),
        ({"type": "number"}, [Decimal("1.10"), None], [1.1, None]),
        ({"type": "number"}, [float("nan"), 1.0], [None, 1.0]),
        ({"type": "number", "replace": {"-999": ""}}, [-999, 5], [None, 5.0]),
        ({"type": "integer"}, ["17850.0"], [17850.0]),
        ({"type": "boolean"}, ["true", "NO", "1", "0.0", "maybe"], [True, False, True, False, None]),
        ({"type": "boolean"}, [1, 0, 2], [True, False, None]),
        ({"type": "boolean"}, [True, None], [True, None]),
        ({"type": "category", "case": "lower"}, [" A", "b "], ["a", "b"]),
        ({"type": "category", "case": "upper", "replace": {"UK": "GB"}}, ["uk", "de"], ["GB", "DE"]),
        ({"type": "category"}, [1.0, 2.5], ["1", "2.5"]),
        ({"type": "category", "na": ["?"]}, ["?", ""], [None, ""]),
        ({"type": "text"}, ["é", None], ["é", None]),
        ({"type": "text"}, [b"caf\xc3\xa9"], ["café"]),
        ({"type": "datetime"}, ["2010-12-01 12:00:00", "2010-12-01T12:00"], [NOON, NOON]),
        ({"type": "datetime"}, ["2010-12-01T14:00:00+02:00", "2010-12-01 12:00:00"], [NOON, NOON]),
        ({"type": "datetime"}, ["2010-12-01T12:00:00Z", "not a date"], [NOON, None]),
        ({"type": "datetime"}, ["2010-12-01"], [datetime(2010, 12, 1)]),
        ({"type": "datetime", "formats": ["%m/%d/%Y %H:%M"]}, ["12/1/2010 12:00"], [NOON]),
        ({"type": "datetime", "formats": ["%d.%m.%Y", "%m/%d/%Y"]}, ["01.12.2010", "12/1/2010"], [datetime(2010, 12, 1)] * 2),
        ({"type": "datetime", "formats": ["%m/%d/%Y"]}, ["13/1/2010"], [None]),
        ({"type": "datetime"}, [datetime(2010, 12, 1, 12, tzinfo=UTC)], [NOON]),
        ({"type": "datetime"}, [date(2010, 12, 1)], [datetime(2010, 12, 1)]),
        ({"type": "datetime"}, [1291204800], [None]),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_raw_values_become(column: dict[str, Any], raw: list[Any], made: list[Any]) -> None:
    assert uniform(pa.array(raw), Column(**column)).values.to_pylist() == made


@pytest.mark.parametrize(
    ("column", "raw", "broken"),
    [
        ({"type": "number"}, ["1", "x", "", "inf"], [False, True, False, True]),
        ({"type": "datetime"}, ["2010-13-01", "", None], [True, False, False]),
        ({"type": "boolean"}, ["maybe", "NA"], [True, False]),
        ({"type": "number"}, [float("nan"), float("inf")], [False, True]),
    ],
)
def test_what_cannot_be_read_is_told_apart_from_what_is_missing(
    column: dict[str, Any], raw: list[Any], broken: list[bool]
) -> None:
    assert uniform(pa.array(raw), Column(**column)).broken.tolist() == broken


@pytest.mark.parametrize(
    ("column", "raw", "step"),
    [
        ({"type": "text"}, [" a", "b"], ("trimmed", 1, (" a", "a"))),
        ({"type": "text"}, ["a", "NA"], ("read as missing", 1, ("NA", "(missing)"))),
        ({"type": "text", "case": "lower"}, ["Ab", "c"], ("lower case", 1, ("Ab", "ab"))),
        ({"type": "text", "replace": {"x": "y"}}, ["x", "z"], ("replaced", 1, ("x", "y"))),
        ({"type": "number", "scale": 0.01}, [150.0], ("converted", 1, ("150.0", "1.5"))),
        ({"type": "number", "decimal": ","}, ["1,5"], ("decimal mark", 1, ("1,5", "1.5"))),
        ({"type": "datetime", "formats": ["%m/%d/%Y"]}, ["12/1/2010"], ("date format", 1, ("12/1/2010", "2010-12-01 00:00:00"))),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_every_change_is_written_down(column: dict[str, Any], raw: list[Any], step: tuple[Any, ...]) -> None:
    [found] = uniform(pa.array(raw), Column(**column)).steps

    assert (found.action, found.count, found.examples[0]) == step


def test_a_value_is_read_the_same_whatever_stands_beside_it() -> None:
    # All-good columns take a faster way, which must not read anything differently.
    texts = ["1", "+1", "1.0", "1e5", "-0", " 7", "1.", "00012"]
    column = Column(type="number")
    alone = [uniform(pa.array([text]), column).values[0].as_py() for text in texts]

    assert uniform(pa.array([*texts, "x"]), column).values.to_pylist()[:-1] == alone


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_all_arrow_kinds_of_text_are_read(kind: pa.DataType) -> None:
    assert uniform(pa.array(["a", None]).cast(kind), Column(type="text")).values.to_pylist() == ["a", None]


def test_a_column_without_any_value_is_missing_throughout() -> None:
    assert uniform(pa.nulls(2), Column(type="number")).values.to_pylist() == [None, None]


@pytest.mark.parametrize("text", ["ΑΣ", "İstanbul", " hi ", "\u00a0x²\n", "Straße"])
@pytest.mark.parametrize("case", ["lower", "upper", "keep"])
def test_a_text_is_the_same_to_the_model_in_training_and_in_a_request(text: str, case: Any) -> None:
    made = uniform(pa.array([text]), Column(type="text", case=case)).values.to_pylist()
    field = Field("t", "text", case=case)

    assert encode_text(field, made).tolist() == encode_text(field, [text]).tolist()
