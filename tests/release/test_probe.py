"""Which answers let a candidate through."""

import json

import pytest

from fairlead.release.policy import ProbePolicy
from fairlead.release.probe import judge, probe


def answer(*predictions):
    return json.dumps({"model": "m", "version": "v", "predictions": list(predictions)}).encode()


FINITE = {"label": "no", "probability": 0.2, "probabilities": {"no": 0.8, "yes": 0.2}}


@pytest.mark.parametrize(
    ("status", "body", "rows", "passed", "said"),
    [
        pytest.param(200, answer(FINITE, FINITE), 2, True, "scored: 2 of 2 rows", id="classes"),
        pytest.param(200, answer({"value": 3}), 1, True, "scored: 1 of 1 rows", id="a number"),
        pytest.param(
            200, answer({"cluster": 0, "scores": [0.1, 0.9]}), 1, True, "scored: 1 of 1 rows", id="clusters"
        ),
        pytest.param(200, answer(FINITE), 2, False, "1 predictions for 2 rows", id="too few"),
        pytest.param(
            200, b'{"predictions": [{"value": Infinity}]}', 1, False, "no finite number", id="infinite"
        ),
        pytest.param(200, answer({"label": "no"}), 1, False, "no finite number", id="no number"),
        pytest.param(
            200, answer({"ok": True}), 1, False, "no finite number", id="a truth value is no number"
        ),
        pytest.param(200, b"<html>", 1, False, "holds no predictions", id="no JSON"),
        pytest.param(200, b'{"predictions": 3}', 1, False, "holds no predictions", id="no list"),
        pytest.param(503, b"not ready", 1, False, "status 503: not ready", id="another status"),
    ],
)
def test_judging_an_answer(status, body, rows, passed, said):
    found = judge(status, body, rows=rows)
    assert found.passed is passed
    assert said in found.said


def test_the_rows_are_posted_to_the_policys_path_within_its_time():
    asked = []

    def ask(url, body, seconds):
        asked.append((url, json.loads(body), seconds))
        return 200, answer(FINITE)

    probe(
        ask, "http://m-green.ns.svc", ProbePolicy(path="/v2/score", timeout_seconds=3), '{"rows": [{"x": 1}]}'
    )
    assert asked == [("http://m-green.ns.svc/v2/score", {"rows": [{"x": 1}]}, 3.0)]


@pytest.mark.parametrize("annotation", ["", "{", '{"rows": 3}', "[]", '{"rows": []}'])
def test_without_rows_readiness_is_asked_for_and_that_is_said(annotation):
    found = probe(lambda url, body, _: (200 if url.endswith("/readyz") and body is None else 500, b""), "http://m", ProbePolicy(),
                  annotation)  # fmt: skip
    assert found.passed
    assert found.said.startswith("not scored")


def test_no_answer_is_a_failed_probe_and_no_crash():
    def ask(*_):
        raise TimeoutError("timed out")

    assert probe(ask, "http://m", ProbePolicy(), '{"rows": [{}]}').said == "no answer: timed out"
