"""GraphQL: the same answers and the same errors as the other paths, from queries that cannot cost much."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import graphql
import pytest

from fairlead.schema import Field, Output, Schema
from fairlead.serve.explain.explainer import Explainer
from fairlead.serve.feedback import Feedback
from fairlead.serve.graphql.handler import BODY_BYTES, GraphQL
from fairlead.serve.http import Answer, Limits, Refused, Request
from fairlead.serve.loading import LoadedModel, Manifest, load
from fairlead.serve.predict import Predictor

ROW = {
    "amount": 12.5, "count": 3, "abroad": False, "country": "DE", "channel": "app", "at": "2024-05-01T10:30:00",
}  # fmt: skip
PREDICT = "query ($rows: [Row!]!) { predict(rows: $rows) { predictions { label probability } } }"


def api_of(model: LoadedModel, kept: list[Any] | None = None) -> GraphQL:
    limits = Limits()
    log = [] if kept is None else kept
    feedback = Feedback(model.schema.output, lambda record: log.append(record) is None, limits)
    return GraphQL(model, limits, explainer=Explainer(model, limits), feedback=feedback, ready=lambda: True)


def posted(api: GraphQL, query: str, **variables: Any) -> tuple[Answer, dict[str, Any]]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    answer = asyncio.run(api(Request(body, [])))
    return answer, json.loads(answer.body)


@pytest.fixture(scope="module")
def model(fraud_folder: Path) -> LoadedModel:
    return load(fraud_folder)


@pytest.fixture(scope="module")
def api(model: LoadedModel) -> GraphQL:
    return api_of(model)


@pytest.fixture(scope="module")
def ask(api: GraphQL) -> Callable[..., dict[str, Any]]:
    return lambda query, **variables: posted(api, query, **variables)[1]


# ----------------------------------------------------------------------------------------------------- answers


def test_predict_answers_as_the_other_path_does(model: LoadedModel, ask: Callable[..., Any]) -> None:
    [expected] = Predictor(model, Limits()).answer([ROW])["predictions"]
    [found] = ask(PREDICT, rows=[ROW])["data"]["predict"]["predictions"]
    assert found == {"label": expected["label"], "probability": expected["probability"]}


def test_rows_can_be_written_into_the_query(model: LoadedModel, ask: Callable[..., Any]) -> None:
    [expected] = Predictor(model, Limits()).answer([ROW])["predictions"]
    row = ", ".join(f"{name}: {json.dumps(value)}" for name, value in ROW.items())
    said = ask(f"{{ predict(rows: [{{{row}}}]) {{ predictions {{ label }} }} }}")
    assert said["data"]["predict"]["predictions"] == [{"label": expected["label"]}]


def test_what_was_scored_reaches_the_log(api: GraphQL) -> None:
    scored = posted(api, PREDICT, rows=[ROW, ROW])[0].scored
    assert scored is not None
    assert list(scored.rows) == [ROW, ROW]
    assert scored.answers.shape == (2, 2)


def test_explanations_add_up(ask: Callable[..., Any]) -> None:
    query = """query ($rows: [Row!]!) { explain(rows: $rows) { method explanations {
        answer base contributions { field contribution } } } }"""
    [found] = ask(query, rows=[ROW])["data"]["explain"]["explanations"]
    total = sum(one["contribution"] for one in found["contributions"])
    assert [one["field"] for one in found["contributions"]] == list(ROW)
    assert total == pytest.approx(found["answer"] - found["base"], abs=1e-12)


def test_model_schema_and_health_are_told(ask: Callable[..., Any]) -> None:
    said = ask(
        "{ model { name format } health { ready } schema { fields { name kind missing } output { task } } }"
    )
    assert said["data"]["model"] == {"name": "fraud", "format": "onnx"}
    assert said["data"]["health"] == {"ready": True}
    assert said["data"]["schema"]["fields"][1] == {"name": "count", "kind": "integer", "missing": "allow"}


def test_feedback_is_kept(model: LoadedModel) -> None:
    kept: list[Any] = []
    said = posted(
        api_of(model, kept), 'mutation { feedback(feedback: [{id: "x", label: "yes"}]) { accepted } }'
    )[1]
    assert said == {"data": {"feedback": {"accepted": 1}}}
    assert kept == [{"row": 0, "id": "x", "label": "yes"}]


def test_contract_names_that_graphql_does_not_allow_find_their_fields() -> None:
    fields = (Field("mean area", "number"), Field("mean-area", "number"))
    manifest = Manifest("m", "ab" * 32, "onnx", "model.onnx", (), {})
    model = LoadedModel(
        manifest,
        Schema("m", fields, Output("regression")),
        lambda batch: batch.numbers[:, :1] - 2 * batch.numbers[:, 1:],
    )
    said = posted(
        api_of(model), "{ predict(rows: [{mean_area: 10, mean_area_2: 3}]) { predictions { value } } }"
    )[1]
    assert said["data"]["predict"]["predictions"] == [{"value": 4.0}]


def test_the_query_that_tools_send_is_answered(ask: Callable[..., Any]) -> None:
    said = ask(graphql.get_introspection_query())
    names = {one["name"] for one in said["data"]["__schema"]["types"]}
    assert {"Row", "Prediction", "FeedbackInput"} <= names


# ------------------------------------------------------------------------------------------------------ errors


def test_wrong_values_are_named_in_the_extensions(api: GraphQL) -> None:
    answer, said = posted(api, PREDICT, rows=[ROW, {**ROW, "amount": "x", "channel": "web"}])
    [error] = said["errors"]
    assert error["extensions"]["status"] == 422
    assert error["extensions"]["errors"] == [
        {"row": 1, "field": "amount", "value": '"x"', "rule": "must be a number"},
        {"row": 1, "field": "channel", "value": '"web"', "rule": "must be one of app, shop"},
    ]
    assert dict(answer.failures) == {"amount": 1, "channel": 1}


def test_an_error_that_was_not_foreseen_says_nothing_of_its_cause(fraud_folder: Path) -> None:
    model = load(fraud_folder)

    def fails(_: Any) -> Any:
        raise RuntimeError("/secret/path")

    model.answers = fails
    answer, said = posted(api_of(model), PREDICT, rows=[ROW])
    assert [error["message"] for error in said["errors"]] == ["internal error"]
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"query": 1}', b'{"query": "{a}", "variables": []}', b'{"query": "{a}", "x": 1}', b"{"],
)  # fmt: skip
def test_what_is_no_graphql_request_is_refused(api: GraphQL, body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        asyncio.run(api(Request(body, [])))
    assert caught.value.status == 400


def test_a_body_beyond_the_bound_is_refused(api: GraphQL) -> None:
    with pytest.raises(Refused) as caught:
        asyncio.run(api(Request(b" " * (BODY_BYTES + 1), [])))
    assert caught.value.status == 413


# ------------------------------------------------------------------------------------------------------ bounds

DOUBLING = "".join(
    f"fragment f{n} on Query {{ ...f{n + 1} a{n}: health {{ live }} ...f{n + 1} }} " for n in range(30)
)
HOSTILE = {
    "many aliases": "{" + " ".join(f"a{n}: health {{ live }}" for n in range(300)) + "}",
    "same field often": "{" + "health { live } " * 2000 + "}",
    "fragments that double": "{ ...f0 } " + DOUBLING + "fragment f30 on Query { health { live } }",
    "fragments in a circle": "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
    "deep selection": "{ model " * 400 + "}" * 400,
    "deep list": "{ predict(rows: " + "[" * 4000 + "]" * 4000 + ") { model } }",
    "deep object": "{ predict(rows: " + "{a:" * 2000 + "1" + "}" * 2000 + ") { model } }",
    "two predictions": "{ a: predict(rows: []) { model } b: predict(rows: []) { model } }",
    "introspection in circles": "{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }",
    "very long": "{ health { live } }" + " # x\n" + "health " * 20_000,
    "no such field": "{ nothing }",
    "no end": "{ health { live }",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_query_is_refused_in_little_time(api: GraphQL, name: str) -> None:
    started = time.process_time()  # of this process: other work on the machine does not count
    answer, said = posted(api, HOSTILE[name])
    assert answer.status == 400
    assert "data" not in said
    assert "Traceback" not in answer.body.decode()
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5_000, "1e999", "-0.0"])
def test_a_number_in_a_query_is_checked_as_one_in_a_body(api: GraphQL, number: str) -> None:
    answer, said = posted(api, f"{{ predict(rows: [{{amount: {number}}}]) {{ model }} }}")
    assert all(error["message"] != "internal error" for error in said["errors"])
    assert answer.status in {200, 400}
