"""What the model answered, in the bins of the reference."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from fairlead.schema import Output
from fairlead.schema.answers import labels_of
from fairlead.serve.metrics import predictions
from fairlead.serve.metrics.counters import Reading, Store
from fairlead.serve.metrics.exposition import OPENMETRICS, text_of
from fairlead.serve.metrics.predictions import PredictionCounts, bin_edges
from fairlead.stats import sketch
from fairlead.stats.profile import Profile

FRAUD = Output("classification", classes=("no", "yes"), positive="yes", threshold=0.3)
TURNED = Output("classification", classes=("bad", "good"), positive="bad", threshold=0.6)
TOPICS = Output("classification", classes=("a", "b", "c"))
PRICE = Output("regression", target="price")
GROUPS = Output("clustering", clusters=3)


def reference(kind: str, column: str, values: Sequence[Any] | NDArray[Any]) -> Any:
    return json.loads(Profile.of({column: (kind, values)}).to_json())


def counted(output: Output, record: Any, *batches: NDArray[np.float64]) -> dict[str, Reading]:
    store = Store()
    counts = PredictionCounts(store, output, record)
    for batch in batches:
        counts.count("live", batch)
    return {f"{one.series.name}{{{one.series.labels}}}": one for one in store.read()}


def histogram(output: Output, record: Any, *batches: NDArray[np.float64]) -> Reading:
    return counted(output, record, *batches)['fairlead_prediction{route="live"}']


def test_the_sketch_is_read_as_it_is_written() -> None:
    assert (predictions.ACCURACY, predictions.SMALLEST) == (sketch.ACCURACY, sketch.SMALLEST)


def in_bins(values: NDArray[np.float64], edges: Sequence[float]) -> list[int]:
    return np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1).tolist()


def of_sketch(record: Any, edges: Sequence[float]) -> list[int]:
    """The reference's own count of each bin, bucket by bucket."""
    [column] = record["columns"].values()
    bounds, counts = zip(*predictions._buckets(column["numbers"]["sketch"]), strict=True)
    places = np.searchsorted(edges, bounds)
    return np.bincount(places, weights=counts, minlength=len(edges) + 1).astype(int).tolist()


@given(
    st.lists(
        st.one_of(
            st.floats(0, 1),
            st.sampled_from([0.0, 0.25, 0.9, 1e-13]),
            st.floats(-1e6, 1e6),
            st.integers(-9, 9),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_the_reference_counts_its_bins_as_the_server_does(values: list[float]) -> None:
    known = np.array(values, dtype=np.float64)
    record = reference("number", "prediction", known)
    bounds = [
        bound for bound, _ in predictions._buckets(record["columns"]["prediction"]["numbers"]["sketch"])
    ]
    assume(not np.isin(known, bounds).any())  # where a bucket ends, rounding decides
    edges = bin_edges(record)
    assert of_sketch(record, edges) == in_bins(known, edges)


def test_bins_hold_tenths_of_the_reference_with_finer_tails() -> None:
    values = np.random.default_rng(0).beta(0.5, 5, 20_000)
    edges = bin_edges(reference("number", "probability", values))
    shares = np.array(in_bins(values, edges)) / len(values)
    assert shares == pytest.approx([0.01, 0.04, 0.05, *[0.1] * 8, 0.05, 0.04, 0.01], abs=0.01)


def test_a_value_that_occurs_often_is_in_one_bin() -> None:
    edges = bin_edges(reference("number", "probability", np.array([0.37] * 900 + [0.9] * 100)))
    assert len(edges) == 2
    assert edges[0] > 0.37


def test_negative_values_have_bins() -> None:
    edges = bin_edges(reference("number", "prediction", np.linspace(-50, 50, 1001)))
    assert edges[0] == pytest.approx(-49, rel=0.03)
    assert edges[-1] == pytest.approx(49, rel=0.03)


def test_values_near_the_end_of_doubles_make_no_infinite_edge() -> None:
    assert all(map(math.isfinite, bin_edges(reference("number", "prediction", np.array([1.7e308, 1.0])))))


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"rows": 0, "columns": {}},
        reference("category", "prediction", ["a", "b"]),
        reference("number", "prediction", np.array([])),
    ],
    ids=["no reference", "no columns", "labels only", "no rows"],
)
def test_without_numbers_in_the_reference_there_is_no_histogram(record: Any) -> None:
    found = counted(FRAUD, record, np.array([[0.1, 0.9]]))
    assert not any(key.startswith("fairlead_prediction{") for key in found)


UNIT = reference("number", "probability", np.linspace(0, 1, 1001))


@pytest.mark.parametrize(("output", "column"), [(FRAUD, 1), (TURNED, 0)], ids=["second", "first"])
def test_probabilities_are_those_of_the_positive_class(output: Output, column: int) -> None:
    answers = np.array([[0.1, 0.9], [0.8, 0.2]])
    found = histogram(output, UNIT, answers)
    assert list(found.buckets.values()) == in_bins(answers[:, column], bin_edges(UNIT))
    assert found.value == pytest.approx(answers[:, column].sum())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_rows_count_the_same_one_by_one_and_together(values: list[float]) -> None:
    answers = np.array([[1 - value, value] for value in values])
    together = counted(FRAUD, UNIT, answers)
    single = counted(FRAUD, UNIT, *[answers[row : row + 1] for row in range(len(answers))])
    for key, reading in together.items():
        assert reading.buckets == single[key].buckets
        assert reading.value == pytest.approx(single[key].value)


@pytest.mark.parametrize("output", [FRAUD, TURNED, TOPICS], ids=["two", "turned", "three"])
@pytest.mark.parametrize("alone", [True, False], ids=["one by one", "together"])
def test_labels_are_called_as_the_answer_calls_them(output: Output, alone: bool) -> None:
    answers = np.random.default_rng(0).dirichlet(np.ones(len(output.classes)), 50)
    batches = [answers[row : row + 1] for row in range(50)] if alone else [answers]
    called = labels_of(output, answers)
    found = counted(output, {}, *batches)
    assert {key: reading.value for key, reading in found.items()} == {
        f'fairlead_predicted_labels_total{{route="live",label="{name}"}}': called.count(name)
        for name in output.classes
    }


def test_clusters_are_counted_by_number() -> None:
    found = counted(
        GROUPS, {}, np.array([[-1.0, -9.0, -9.0]]), np.array([[-9.0, -9.0, -1.0], [-9.0, -1.0, -9.0]])
    )
    assert [reading.value for reading in found.values()] == [1, 1, 1]


def test_hundreds_of_classes_are_not_counted_one_by_one() -> None:
    many = Output("classification", classes=tuple(f"c{number}" for number in range(500)))
    assert counted(many, {}, np.zeros((1, 500)), np.zeros((2, 500))) == {}


def test_values_that_may_be_negative_have_no_sum_because_it_could_fall() -> None:
    record = reference("number", "prediction", np.linspace(-5, 5, 100))
    reading = histogram(PRICE, record, np.array([[-3.0]]), np.array([[1.0], [2.0]]))
    text = text_of([reading], "", OPENMETRICS).decode()
    [family] = text_string_to_metric_families(text)
    assert {one.name for one in family.samples} == {
        "fairlead_prediction_bucket",
        "fairlead_prediction_created",
    }


def test_shadow_answers_are_counted_apart() -> None:
    store = Store()
    counts = PredictionCounts(store, FRAUD, UNIT)
    counts.count("live", np.array([[0.1, 0.9]]))
    counts.count("shadow", np.array([[0.1, 0.9], [0.2, 0.8]]))
    found = {one.series.labels: sum(one.buckets.values()) for one in store.read() if one.buckets}
    assert found == {'route="live"': 1, 'route="shadow"': 2}
