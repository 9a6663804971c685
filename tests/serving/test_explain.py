"""Explanations: exact where they can be, adding up everywhere, bounded, and the same every time."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.schema import Batch, Field, Output, Schema, SeriesShape
from fairlead.serve.explain.explainer import EVALUATIONS, Explainer
from fairlead.serve.explain.reference import reference_row
from fairlead.serve.explain.shapley import Exact, Sampled, plan_of
from fairlead.serve.guards.aside import Aside
from fairlead.serve.http import Limits, Refused, Request
from fairlead.serve.loading import LoadedModel, Manifest, load
from fairlead.serve.rules import Rules

ROW = {
    "amount": 900.0, "count": 3, "abroad": True, "country": "DE", "channel": "shop", "at": "2024-05-01T03:30:00",
}  # fmt: skip


def model_of(
    schema: Schema,
    answers: Callable[[Batch], Any],
    *,
    explain: bool = True,
    profile: Mapping[str, Any] | None = None,
) -> LoadedModel:
    manifest = Manifest("m", "ab" * 32, "onnx", "model.onnx", (), {})
    model = LoadedModel(
        manifest, schema, lambda batch: np.asarray(answers(batch), np.float64), Rules(explain=explain)
    )
    model.profile = profile or {}
    return model


def numbers_schema(width: int) -> Schema:
    return Schema(
        "m", tuple(Field(f"x{k}", "number") for k in range(width)), Output("regression", target="y")
    )


def explained(model: LoadedModel, *rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Explainer(model, Limits()).explain(rows)["explanations"]
    return found


def gap(explanation: Mapping[str, Any]) -> float:
    total = math.fsum(explanation["contributions"].values())
    return abs(total - (explanation["answer"] - explanation["base"]))


# ------------------------------------------------------------------------------------------------------- values


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 14).flatmap(
        lambda width: st.tuples(
            st.lists(st.integers(-50, 50), min_size=width, max_size=width),
            st.lists(st.integers(-50, 50), min_size=width, max_size=width),
        )
    )
)
def test_a_linear_model_is_explained_exactly_by_its_weights(drawn: tuple[list[int], list[int]]) -> None:
    weights, row = drawn
    model = model_of(
        numbers_schema(len(row)), lambda batch: batch.numbers.astype(np.float64) @ np.array(weights)[:, None]
    )
    [explanation] = explained(model, {f"x{k}": value for k, value in enumerate(row)})
    expected = [
        weight * (value - 1.0) for weight, value in zip(weights, row, strict=True)
    ]  # the made-up row is all 1
    assert list(explanation["contributions"].values()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("width", [3, 8, 9, 20])
def test_fields_that_act_in_pairs_share_what_they_add_equally(width: int) -> None:
    model = model_of(
        numbers_schema(width), lambda batch: (batch.numbers[:, :1] - 1) * (batch.numbers[:, 1:2] - 1)
    )
    [explanation] = explained(model, {f"x{k}": 5.0 for k in range(width)})
    assert list(explanation["contributions"].values()) == pytest.approx([8.0, 8.0] + [0.0] * (width - 2))


def test_the_exact_plan_agrees_with_the_definition_over_all_orders() -> None:
    plan = Exact.of(4)
    value = {tuple(who): float(n**2 % 17) for n, who in enumerate(plan.coalitions.tolist())}
    expected = np.zeros(4)
    for order in itertools.permutations(range(4)):
        joined = [False] * 4
        for player in order:
            before = value[tuple(joined)]
            joined[player] = True
            expected[player] += (value[tuple(joined)] - before) / math.factorial(4)
    values = np.array([[value[tuple(who)] for who in plan.coalitions.tolist()]])
    assert plan.contributions(values)[0][0] == pytest.approx(expected)


def test_sampled_contributions_are_within_their_errors_of_the_exact_ones() -> None:
    sampled, exact = Sampled.of(8, pairs=64), Exact.of(8)

    def game(coalitions: Any) -> Any:
        return np.exp(coalitions @ np.linspace(0.1, 0.9, 8))[None]

    found, errors = sampled.contributions(game(sampled.coalitions))
    true, _ = exact.contributions(game(exact.coalitions))
    assert (np.abs(found - true) <= 4 * errors).all()


@pytest.mark.parametrize("players", [1, 2, 8, 9, 40])
def test_the_first_coalition_is_nobody_and_the_last_everybody(players: int) -> None:
    coalitions = plan_of(players, 32).coalitions
    assert not coalitions[0].any()
    assert coalitions[-1].all()


def test_contributions_of_a_forest_add_up_to_the_difference(fraud_folder: Path) -> None:
    model = load(fraud_folder)
    assert max(gap(one) for one in explained(model, ROW, ROW | {"amount": 1.0, "count": None})) < 1e-12


def test_a_row_like_the_reference_has_no_contributions(fraud_folder: Path) -> None:
    model = load(fraud_folder)
    [explanation] = explained(model, reference_row(model.schema, {}))
    assert set(explanation["contributions"].values()) == {0.0}


def test_the_same_request_has_the_same_answer_from_another_process_start(fraud_folder: Path) -> None:
    first, second = (explained(load(fraud_folder), ROW) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


# ---------------------------------------------------------------------------------------------- what is explained


def test_the_positive_class_is_explained_whatever_is_called(fraud_folder: Path) -> None:
    [explanation] = explained(load(fraud_folder), ROW)
    assert explanation["explains"] == "probability of yes"
    assert explanation["answer"] == explanation["prediction"]["probability"]


def test_of_three_classes_that_of_the_label_is_explained() -> None:
    schema = Schema("m", (Field("x", "number"),), Output("classification", classes=("a", "b", "c")))
    model = model_of(schema, lambda batch: np.where(batch.numbers > 1, [[0.1, 0.2, 0.7]], [[0.8, 0.1, 0.1]]))
    [explanation] = explained(model, {"x": 5})
    assert explanation["explains"] == "probability of c"
    assert explanation["contributions"] == {"x": pytest.approx(0.6)}


def test_a_text_is_one_field() -> None:
    schema = Schema("m", (Field("text", "text"), Field("x", "number")), Output("regression"))
    lengths = lambda batch: np.array([[float(len(text))] for text in batch.texts[0]]) + batch.numbers  # noqa: E731
    [explanation] = explained(model_of(schema, lengths), {"text": "hello", "x": 3})
    assert explanation["contributions"] == {"text": pytest.approx(5.0), "x": pytest.approx(2.0)}


def test_a_forecast_is_explained_by_the_parts_of_its_request() -> None:
    shape = SeriesShape(("a", "b"), "day", window=7, horizon=3, season=7)
    mean = shape.columns.index("mean_window")
    model = model_of(Schema("m", (), Output("forecast"), shape), lambda batch: batch.numbers[:, [mean]])
    row = {"key": "b", "at": "2024-03-01", "history": [10.0] * 7, "step": 2}
    [explanation] = explained(model, row)
    made_up = sum(range(7)) / 7
    # Shares of sums: which of them are exactly 0 depends on the processor's order of adding.
    assert explanation["contributions"] == pytest.approx(
        {"key": 0.0, "at": 0.0, "history": 10 - made_up, "step": 0.0}, abs=1e-12
    )


# ------------------------------------------------------------------------------------------------ the reference

NUMBERS = {"quantiles": {"0.5": 12.3}}


@pytest.mark.parametrize(
    ("field", "column", "expected"),
    [
        pytest.param(Field("f", "number"), {"numbers": NUMBERS}, 12.3, id="median"),
        pytest.param(Field("f", "integer"), {"numbers": NUMBERS}, 12, id="integer"),
        pytest.param(Field("f", "number", maximum=10.0), {"numbers": NUMBERS}, 10.0, id="within bounds"),
        pytest.param(Field("f", "boolean"), {"values": {"counts": [["false", 3], ["true", 9]]}}, True, id="boolean"),
        pytest.param(
            Field("f", "category", values=("a", "b")), {"values": {"counts": [["a", 3], ["b", 3]]}}, "a", id="tie"
        ),
        pytest.param(
            Field("f", "category", values=("a",)), {"values": {"counts": [["z", 3]]}}, "a", id="value not in schema"
        ),
        pytest.param(
            Field("f", "datetime"), {"times": {"width_days": 7, "bins": [[0, 1], [1, 5]]}}, "1970-01-11T12:00:00", id="time"
        ),
        pytest.param(Field("f", "text"), {"numbers": NUMBERS}, "", id="text"),
        pytest.param(Field("f", "number"), {"numbers": None}, 1.0, id="nothing known"),
    ],
)  # fmt: skip
def test_the_reference_is_typical_of_the_training_rows(
    field: Field, column: dict[str, Any], expected: Any
) -> None:
    schema = Schema("m", (field,), Output("regression"))
    assert reference_row(schema, {"columns": {"f": column}}) == {"f": expected}


# ------------------------------------------------------------------------------------------------------- bounds


def refusal(explainer: Explainer, rows: list[Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        explainer.explain(rows)
    return caught.value


def test_a_bundle_can_forbid_explanations() -> None:
    model = model_of(numbers_schema(2), lambda batch: batch.numbers[:, :1], explain=False)
    assert refusal(Explainer(model, Limits()), [{"x0": 1, "x1": 1}]).status == 403


def test_wrong_values_are_named_as_by_predict(fraud_folder: Path) -> None:
    found = refusal(Explainer(load(fraud_folder), Limits()), [ROW, ROW | {"amount": -1}])
    assert found.status == 422
    assert found.content["errors"] == [
        {"row": 1, "field": "amount", "value": "-1", "rule": "must be at least 0"}
    ]


@pytest.mark.parametrize("width", [2, 30, 400])
def test_a_request_asks_the_model_a_bounded_number_of_times(width: int) -> None:
    asked: list[int] = []

    def answers(batch: Batch) -> Any:
        asked.append(len(batch))
        return batch.numbers[:, :1]

    explainer = Explainer(model_of(numbers_schema(width), answers), Limits())
    row = {f"x{k}": 2.0 for k in range(width)}
    explainer.explain([row] * explainer.most_rows)
    assert sum(asked) <= EVALUATIONS
    assert refusal(explainer, [row] * (explainer.most_rows + 1)).status == 413


def test_a_model_without_a_finite_answer_is_refused_and_not_explained() -> None:
    model = model_of(numbers_schema(2), lambda batch: np.log(batch.numbers[:, :1] - 0.5))
    with np.errstate(invalid="ignore"):
        assert refusal(Explainer(model, Limits()), [{"x0": -3, "x1": 1}]).status == 422


def test_the_event_loop_goes_on_while_a_slow_model_is_explained() -> None:
    import time

    def slow(batch: Batch) -> Any:
        time.sleep(0.3)
        return batch.numbers[:, :1]

    explainer = Explainer(model_of(numbers_schema(2), slow), Limits())
    request = Request(b'{"rows": [{"x0": 2, "x1": 3}]}', [])

    async def ticks_meanwhile() -> int:
        work = asyncio.ensure_future(explainer(request))
        ticks = 0
        while not work.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert (await work).status == 200
        return ticks

    assert asyncio.run(ticks_meanwhile()) >= 10


def test_too_much_waiting_work_is_refused_with_a_time_to_come_again() -> None:
    async def all_of_them() -> list[Any]:
        import time

        aside = Aside("tests", waiting=2)
        return await asyncio.gather(
            *(aside.run(lambda: time.sleep(0.05)) for _ in range(3)), return_exceptions=True
        )

    *done, refused = asyncio.run(all_of_them())
    assert done == [None, None]
    assert (refused.status, refused.headers) == (503, ((b"retry-after", b"1"),))
