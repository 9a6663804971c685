from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from fairlead.data.rowrules import parse_rules
from fairlead.data.uniform import uniform
from fairlead.data.validate import Validator, require_columns
from fairlead.errors import DataError, ProjectError
from fairlead.spec import Contract

from .conftest import contract_of


def failures(contract: Contract, **columns: list[Any]) -> dict[str, list[int]]:
    """Reasons and the positions of the rows that have them."""
    rows = {
        name: uniform(pa.array(columns[name]), column).values for name, column in contract.columns.items()
    }
    found = Validator(contract).failures(pa.RecordBatch.from_pydict(rows))
    return {failure.text: failure.rows.tolist() for failure in found}


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ({"type": "number"}, [1.0, None], {"c has no value, but must have one": [1]}),
        ({"type": "number", "missing": "allow"}, [1.0, None], {}),
        (
            {"type": "number", "minimum": 0, "missing": "allow"},
            [None, -1.0, 0.0],
            {"c must be at least 0": [1]},
        ),
        ({"type": "number", "maximum": 10}, [10.0, 11.0], {"c must be at most 10": [1]}),
        ({"type": "integer"}, [1.0, 1.5], {"c must be a whole number": [1]}),
        ({"type": "category", "values": ["a", "b"]}, ["a", "c"], {"c must be one of a, b": [1]}),
        ({"type": "category", "values": ["a"], "unknown": "other"}, ["a", "c"], {}),
        ({"type": "text", "pattern": "[a-z]+"}, ["ab", "a1", "A"], {"c must match [a-z]+": [1, 2]}),
        (
            {"type": "text", "pattern": "[a-z]+", "missing": "allow"},
            ["a1", None],
            {"c must match [a-z]+": [0]},
        ),
        ({"type": "number"}, ["3e38", "1e39", "-1e300"], {"c is too large": [1, 2]}),
        ({"type": "text", "max_length": 3}, ["abc", "abcd"], {"c must have at most 3 characters": [1]}),
        ({"type": "boolean", "missing": "allow"}, [True, None], {}),
        ({"type": "datetime"}, [None], {"c has no value, but must have one": [0]}),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_rule_refuses(column: dict[str, Any], values: list[Any], expected: dict[str, list[int]]) -> None:
    assert failures(contract_of({"c": column}), c=values) == expected


def test_all_failures_are_listed_not_only_the_first() -> None:
    contract = contract_of({"a": {"type": "number", "minimum": 0}, "b": {"type": "integer", "maximum": 1}})

    assert failures(contract, a=[-1, 1], b=[2, 1.5]) == {
        "a must be at least 0": [0],
        "b must be a whole number": [1],
        "b must be at most 1": [0, 1],
    }


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("end >= start", [1]),
        ("end > start", [1, 2]),
        ("start != 3", [1]),
        ("start<=2", [1, 3]),
        ("end == start", [0, 1]),
    ],
)
def test_a_row_rule_refuses_rows_but_not_missing_values(rule: str, broken: list[int]) -> None:
    contract = contract_of(
        {"start": {"type": "number"}, "end": {"type": "number", "missing": "allow"}},
        rows=[{"rule": rule, "because": "time flies"}],
    )

    assert failures(contract, start=[1, 3, 2, 9], end=[2, 1, 2, None]) == {f"{rule} (time flies)": broken}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("__import__('os').system('true')", "is not a comparison"),
        ("end", "is not a comparison"),
        ("edn >= start", "names 'edn'"),
        ("end >= start + 1", r"names 'start \+ 1'"),
        ("end >= name", "compares a number with a text"),
        ("name == 5", "compares a text with a number"),
    ],
)
def test_a_row_rule_that_cannot_be_read_is_refused(rule: str, message: str) -> None:
    columns = {"start": {"type": "number"}, "end": {"type": "integer"}, "name": {"type": "text"}}

    with pytest.raises(ProjectError, match=message):
        parse_rules(contract_of(columns, rows=[{"rule": rule}]))


def test_columns_of_a_row_rule_may_have_spaces() -> None:
    contract = contract_of({"unit price": {"type": "number"}}, rows=[{"rule": "unit price > 0"}])

    assert failures(contract, **{"unit price": [0, 1]}) == {"unit price > 0": [0]}


@pytest.mark.parametrize(
    ("there", "hint"),
    [(["Amount", "at"], "Did you mean 'Amount'?"), (["x", "y"], "There are: x, y.")],
)
def test_a_missing_column_names_the_nearest_one(there: list[str], hint: str) -> None:
    with pytest.raises(DataError, match="no column 'amount'") as error:
        require_columns(contract_of({"amount": {"type": "number"}}), there)
    assert error.value.hint.startswith(hint)
    assert "`source`" in error.value.hint


def test_extra_columns_are_listed_or_refused() -> None:
    columns = {"a": {"type": "number"}}

    assert require_columns(contract_of(columns), ["a", "b"]) == ["b"]
    with pytest.raises(DataError, match="does not know: b"):
        require_columns(contract_of(columns, extra="refuse"), ["a", "b"])


def test_a_batch_in_which_every_row_fails_is_read() -> None:
    contract = contract_of({"a": {"type": "number"}, "b": {"type": "text"}}, rows=[{"rule": "a > 0"}])

    assert failures(contract, a=[0.0] * 3, b=[None] * 3) == {
        "b has no value, but must have one": [0, 1, 2],
        "a > 0": [0, 1, 2],
    }
