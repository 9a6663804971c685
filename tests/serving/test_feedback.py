"""Feedback: checked against what the model gives, handed to the log, and never said to be kept if it is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from fairlead.schema import Output
from fairlead.serve.feedback import Feedback
from fairlead.serve.http import Limits, Refused, Request

CLASSES = Output("classification", classes=("false", "true"), positive="true")
VALUE = Output("regression")
CLUSTERS = Output("clustering", clusters=3)
GOOD = {"id": "3f-1", "label": "true"}


def posted(
    content: Any, *, output: Output = CLASSES, room: int = 100
) -> tuple[int, dict[str, Any], list[Any]]:
    """Status, answer, and what reached a log with room for so many records."""
    kept: list[Mapping[str, Any]] = []

    def offer(record: Mapping[str, Any]) -> bool:
        if len(kept) < room:
            kept.append(record)
            return True
        return False

    try:
        answer = Feedback(output, offer, Limits(rows=5))(Request(json.dumps(content).encode(), []))
    except Refused as refusal:
        answer = refusal.answer()
    assert not hasattr(answer, "__await__")
    return answer.status, json.loads(answer.body), kept  # type: ignore[union-attr]


def test_one_piece_of_feedback_is_kept() -> None:
    assert posted(GOOD) == (202, {"accepted": 1}, [{"row": 0, "id": "3f-1", "label": "true"}])


def test_a_list_of_feedback_is_kept_with_times_in_utc() -> None:
    late = {"id": "3f-2", "label": "false", "row": 4, "at": "2026-03-01T12:00:00+02:00"}
    status, said, kept = posted({"feedback": [GOOD, late]})
    assert (status, said) == (202, {"accepted": 2})
    assert kept[1] == {"row": 4, "id": "3f-2", "label": "false", "at": "2026-03-01T10:00:00+00:00"}


@pytest.mark.parametrize(
    ("output", "label", "kept"),
    [
        pytest.param(CLASSES, True, "true", id="boolean for its class"),
        pytest.param(Output("classification", classes=("0", "1"), positive="1"), 1, "1", id="integer for its class"),
        pytest.param(VALUE, 3, 3.0, id="value"),
        pytest.param(Output("forecast"), -0.5, -0.5, id="forecast"),
        pytest.param(CLUSTERS, 2, 2, id="cluster"),
    ],
)  # fmt: skip
def test_labels_are_in_the_models_own_words(output: Output, label: Any, kept: Any) -> None:
    assert posted({"id": "x", "label": label}, output=output)[2][0]["label"] == kept


@pytest.mark.parametrize(
    ("output", "changed", "field", "rule"),
    [
        pytest.param(CLASSES, {"label": "ture"}, "label", "did you mean true?", id="near a class"),
        pytest.param(CLASSES, {"label": None}, "label", "is required", id="no label"),
        pytest.param(CLASSES, {"label": {"a": 1}}, "label", "must be a string", id="object"),
        pytest.param(VALUE, {"label": "3"}, "label", "must be a finite number", id="number in a string"),
        pytest.param(VALUE, {"label": True}, "label", "must be a finite number", id="boolean value"),
        pytest.param(CLUSTERS, {"label": 3}, "label", "0 to 2", id="no such cluster"),
        pytest.param(CLASSES, {"row": -1}, "row", "0 to 4", id="negative row"),
        pytest.param(CLASSES, {"row": 5}, "row", "0 to 4", id="row beyond the limit"),
        pytest.param(CLASSES, {"at": "yesterday"}, "at", "ISO 8601", id="no time"),
        pytest.param(CLASSES, {"id": "a b"}, "id", "X-Request-ID", id="space in the id"),
        pytest.param(CLASSES, {"lable": "true"}, "lable", "did you mean label?", id="misspelt key"),
    ],
)
def test_what_breaks_a_rule_is_named_and_nothing_is_kept(
    output: Output, changed: dict[str, Any], field: str, rule: str
) -> None:
    status, said, kept = posted(
        {"id": "3f-1", "label": {"regression": 1.0}.get(output.task, "true")} | changed, output=output
    )
    found = {error["field"]: error["rule"] for error in said["errors"]}
    assert (status, kept) == (422, [])
    assert rule in found[field]


def test_one_wrong_piece_keeps_all_of_a_list_out_and_says_which() -> None:
    status, said, kept = posted({"feedback": [GOOD, {"id": "x"}]})
    assert (status, kept) == (422, [])
    assert said["errors"] == [{"row": 1, "field": "label", "value": "null", "rule": "is required"}]


@pytest.mark.parametrize(
    ("content", "status"),
    [([], 422), ({}, 422), ({"feedback": []}, 422), ({"feedback": 1}, 422), ({"feedback": [GOOD], "id": "x"}, 422),
     ({"feedback": [1]}, 422), ({"feedback": [GOOD] * 6}, 413)],
)  # fmt: skip
def test_other_bodies_are_refused(content: Any, status: int) -> None:
    assert posted(content)[0] == status


def test_a_full_log_is_said_with_how_much_it_took() -> None:
    status, said, kept = posted({"feedback": [GOOD, GOOD, GOOD]}, room=2)
    assert (status, said["accepted"], len(kept)) == (503, 2, 2)


def test_without_a_log_feedback_is_refused_with_the_setting_that_makes_one() -> None:
    with pytest.raises(Refused, match="FAIRLEAD_LOG_FOLDER") as caught:
        Feedback(CLASSES, None, Limits())(Request(json.dumps(GOOD).encode(), []))
    assert caught.value.status == 409
