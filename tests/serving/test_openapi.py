"""The OpenAPI document: valid, exact about rows, and true of a running server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.schema import Field, Output, Schema, SeriesShape
from fairlead.schema.validate import validate_rows
from fairlead.serve import openapi
from fairlead.serve.explain.explainer import Explainer
from fairlead.serve.feedback import Feedback
from fairlead.serve.http import Limits, Request, Route
from fairlead.serve.loading import LoadedModel, load
from fairlead.serve.openapi import document_of, row_schema
from fairlead.serve.predict import Predictor

ROW = {
    "amount": 12.5, "count": 3, "abroad": False, "country": "DE", "channel": "app", "at": "2024-05-01T10:30:00",
}  # fmt: skip
LIMITS = Limits(rows=50)


@pytest.fixture(scope="module")
def model(fraud_folder: Path) -> LoadedModel:
    return load(fraud_folder)


@pytest.fixture(scope="module")
def document(model: LoadedModel) -> dict[str, Any]:
    return document_of(model, LIMITS, explained_rows=20)


def parts(content: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(content, dict):
        yield content
        content = list(content.values())
    for one in content if isinstance(content, list) else ():
        yield from parts(one)


def test_every_schema_in_it_is_valid_json_schema(document: dict[str, Any]) -> None:
    schemas = [part["schema"] for part in parts(document["paths"]) if isinstance(part.get("schema"), dict)]
    for schema in [*schemas, *document["components"]["schemas"].values()]:
        jsonschema_rs.meta.validate({"$schema": document["jsonSchemaDialect"]} | schema)


def test_every_reference_in_it_has_a_target(document: dict[str, Any]) -> None:
    names = {part["$ref"].removeprefix("#/components/schemas/") for part in parts(document) if "$ref" in part}
    assert names == set(document["components"]["schemas"])


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [part["operationId"] for part in parts(document) if "operationId" in part]
    assert len(names) == len(set(names))


def test_the_example_row_is_answered(model: LoadedModel, document: dict[str, Any]) -> None:
    example = document["components"]["schemas"]["Row"]["examples"][0]
    assert Predictor(model, LIMITS).answer([example])["predictions"]


def test_paths_that_a_deployment_has_not_are_not_in_it(model: LoadedModel) -> None:
    paths = document_of(model, LIMITS, paths=("/explain",))["paths"]
    assert "/explain" in paths
    assert not {"/feedback", "/graphql"} & set(paths)


def test_with_credentials_all_but_probes_are_closed_and_say_401(model: LoadedModel) -> None:
    key = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
    secured = document_of(model, LIMITS, security=key)
    assert secured["security"] == [{"key": []}]
    assert secured["paths"]["/readyz"]["get"]["security"] == []
    assert {"401", "403", "429"} <= set(secured["paths"]["/predict"]["post"]["responses"])


# -------------------------------------------------------------------------------------------------------- rows

FIELDS = [
    pytest.param(Field("f", "number", minimum=0.0, maximum=9.5), id="number"),
    pytest.param(Field("f", "integer", minimum=-3.0, missing="allow"), id="integer that may be missing"),
    pytest.param(Field("f", "boolean"), id="boolean"),
    pytest.param(Field("f", "category", values=("a", "b"), missing="allow"), id="category"),
    pytest.param(Field("f", "category", values=("de.1", "at"), case="lower"), id="category in any case"),
    pytest.param(
        Field("f", "category", values=("x(", "b"), unknown="other", pattern="[0-9]+", max_length=4), id="open"
    ),
    pytest.param(Field("f", "text", pattern="a+|b", max_length=3), id="text"),
    pytest.param(Field("f", "datetime"), id="datetime"),
]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-10, 20), st.floats(allow_nan=False), st.just([]), st.just({}),
    st.sampled_from(["a", "b", "DE.1", "de.1", "At", "x(", "123", "12345", "1x", "aa", "aaaa", "", "ab", "deX1"]),
    st.datetimes(min_value=datetime(1000, 1, 1)).filter(lambda at: at.day < 29).map(lambda at: at.isoformat()),
    st.sampled_from(["2024-01-01", "2024-13-01", "2024-01-01T25:00:00", "2024-01-01T10:00:00Z", "yesterday"]),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("field", FIELDS)
@given(value=VALUES)
def test_a_value_fits_the_document_exactly_if_the_server_takes_it(field: Field, value: Any) -> None:
    schema = Schema("m", (field,), Output("regression"))
    _, errors = validate_rows(schema, [{"f": value}])
    assert jsonschema_rs.is_valid(row_schema(schema), {"f": value}) == (not errors)


def test_a_field_may_be_left_out_where_it_may_be_missing_and_others_may_not_be_added(
    document: dict[str, Any],
) -> None:
    row = document["components"]["schemas"]["Row"]
    without = {name: value for name, value in ROW.items() if name != "count"}
    assert jsonschema_rs.is_valid(row, without)
    assert not jsonschema_rs.is_valid(row, {**ROW, "more": 1})
    assert not jsonschema_rs.is_valid(row, {"count": 1})


@pytest.mark.parametrize(
    ("changed", "fits"),
    [({}, True), ({"history": [1.0] * 6}, False), ({"step": 4}, False), ({"step": 0}, False), ({"key": None}, False)],
)  # fmt: skip
def test_a_row_of_a_forecast_is_described(changed: dict[str, Any], fits: bool) -> None:
    schema = Schema("m", (), Output("forecast"), SeriesShape(("a",), "day", window=7, horizon=3, season=7))
    row = {"key": "a", "at": "2024-03-01", "history": [1.0] * 7, "step": 3, **changed}
    assert jsonschema_rs.is_valid(row_schema(schema), row) is fits


# ------------------------------------------------------------------------------------------------ running server


def test_requests_made_from_the_document_get_answers_that_the_document_has(
    model: LoadedModel, document: dict[str, Any]
) -> None:
    """schemathesis makes right and wrong requests for the paths that are described here."""
    import schemathesis
    from schemathesis import checks

    from fairlead.serve.app import App
    from fairlead.serve.metrics.registry import Metrics

    explainer = Explainer(model, Limits(rows=20))
    app = App(Metrics(), limits=LIMITS)
    feedback = Feedback(model.schema.output, lambda _: True, LIMITS)
    app.attach("fraud", {
        "/predict": Route("/predict", post=Predictor(model, LIMITS)),
        "/explain": Route("/explain", post=explainer),
        "/feedback": Route("/feedback", post=feedback),
        "/openapi.json": Route("/openapi.json", openapi.handler_of(document)),
    })  # fmt: skip
    asked: list[int] = []
    loaded = schemathesis.openapi.from_asgi("/openapi.json", app).include(
        path_regex="^/(predict|explain|feedback|livez|readyz)$"
    )

    def conforms(case: Any) -> None:
        response = case.call()
        asked.append(response.status_code)
        case.validate_response(response, checks=[
            checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
            checks.response_schema_conformance,
        ])  # fmt: skip

    bounded = settings(
        max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    modes = schemathesis.GenerationMode
    for found in loaded.get_all_operations():
        operation = found.ok()
        for mode in modes if operation.method == "post" else (modes.POSITIVE,):
            bounded(given(case=operation.as_strategy(generation_mode=mode))(conforms))()
    assert {200, 202, 422} <= set(asked)


def test_it_is_served_as_json(document: dict[str, Any]) -> None:
    answer = openapi.handler_of(document)(Request(b"", []))
    assert json.loads(answer.body)["openapi"] == "3.1.1"  # type: ignore[union-attr]
