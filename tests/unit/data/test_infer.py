from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from fairlead.adapters.sources import open_source
from fairlead.data.infer import Seen, guess, infer
from fairlead.errors import DataError
from fairlead.spec import parse_contract

from .conftest import Bench, project_of


def entry(values: list[Any], *, label: bool = False) -> dict[str, Any]:
    seen = Seen()
    for start in range(0, len(values), 3):  # a guess must not depend on where batches end
        seen.add(pa.array(values[start : start + 3]))
    return guess(seen, label=label)[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2", "2"], {"type": "integer", "minimum": 0}),
        (["1", "-2", "1"], {"type": "integer"}),
        (["1", "2", "3", "4"], {"type": "integer", "use": "identifier"}),
        (["1", "2.5", "1"], {"type": "number", "minimum": 0}),
        (["1,5", "2", "2"], {"type": "number", "decimal": ",", "minimum": 0}),
        (["007", "008", "007"], {"type": "category", "values": ["007", "008"]}),
        (["true", "False", "true"], {"type": "boolean"}),
        (["yes", "no", "no"], {"type": "boolean"}),
        (["0", "1", "1"], {"type": "integer", "minimum": 0}),
        (["2010-12-01 08:26:00", "2010-12-02"], {"type": "datetime"}),
        (["12/1/2010 8:26", "12/31/2010 17:05"], {"type": "datetime", "formats": ["%m/%d/%Y %H:%M"]}),
        (["1/12/2010", "31/12/2010"], {"type": "datetime", "formats": ["%d/%m/%Y"]}),
        (["31.12.2010", "1.1.2011"], {"type": "datetime", "formats": ["%d.%m.%Y"]}),
        (["red", "blue", "red"], {"type": "category", "values": ["blue", "red"]}),
        (["de", "DE", "at", "at"], {"type": "category", "values": ["AT", "DE"], "case": "upper"}),
        (["a1", "b2", "c3"], {"type": "text", "use": "identifier"}),
        (["a long sentence about something", "another one that is as long"], {"type": "text"}),
        (["1", "", "1"], {"type": "integer", "minimum": 0, "missing": "allow"}),
        (["", None], {"type": "text", "use": "ignore", "missing": "allow"}),
        ([1.5, None, 1.5], {"type": "number", "minimum": 0, "missing": "allow"}),
        ([True, False, None], {"type": "boolean", "missing": "allow"}),
        (["1", "x", "1"], {"type": "category", "values": ["1", "x"]}),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_column_is_guessed_as(values: list[Any], expected: dict[str, Any]) -> None:
    assert entry(values) == expected


def test_class_labels_that_are_numbers_become_categories() -> None:
    assert entry(["0", "1", "0"], label=True) == {"type": "category", "values": ["0", "1"]}


def test_unusual_words_for_missing_are_listed() -> None:
    assert entry(["1", "?", "1"])["na"][-1] == "?"


def test_a_date_that_could_be_read_in_two_ways_is_said_to_be() -> None:
    seen = Seen()
    seen.add(pa.array(["1/2/2010", "3/4/2010"]))

    assert "could be %d/%m/%Y as well" in guess(seen)[1]


def test_the_contract_is_accepted_and_satisfied_by_its_own_data(bench: Bench) -> None:
    bench.write(
        "id,at,Unit Price,no,text,y\n"
        + "".join(f"r{n},{n % 12 + 1}/{n % 28 + 1}/2020 8:05,{n % 9}.5,{'ab'[n % 3 % 2]},some words that are long {n},{n % 2}\n"
                  for n in range(120))
    )  # fmt: skip
    project = project_of(target="y")
    text = infer(open_source(project.data.source, bench.root), project)

    made = bench.run(project, parse_contract(text))

    assert made.report.rows["quarantined"] == 0
    assert "# the target" in text


def test_names_and_values_that_yaml_would_misread_are_quoted(bench: Bench) -> None:
    bench.write('no,"a: b","x # y"\nyes,on,1\noff,on,1\noff,on,1\n')

    contract = parse_contract(infer(open_source(project_of(target="no").data.source, bench.root), None))

    assert list(contract.columns) == ["no", "a: b", "x # y"]
    assert contract.columns["no"].values == ("off", "yes")


def test_a_source_without_rows_is_refused(bench: Bench) -> None:
    bench.write("a,b\n")

    with pytest.raises(DataError, match="no rows"):
        infer(open_source(project_of(target="a").data.source, bench.root), None)
