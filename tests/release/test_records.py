"""Policy and journal: what is read, what is refused, and with which words."""

import json

import pytest
from tests.release.looks import settled, stamp

from fairlead.errors import IntegrityError, ProjectError
from fairlead.release.journal import KEPT, Journal, What
from fairlead.release.policy import Policy

POLICY = {
    "model": "fraud",
    "traffic": {"backend": "gateway", "route": "fraud", "previewRoute": "fraud-preview", "pathPrefix": "/fraud",
                "stripPrefix": True},
    "scale": {"floor": 2}, "windowSeconds": 600, "readySeconds": 300,
    "probe": {"path": "/predict", "timeoutSeconds": 5}, "drainSeconds": 10, "profile": "default",
}  # fmt: skip


def test_a_policy_is_read_with_the_keys_of_the_chart():
    policy = Policy.parse(json.dumps(POLICY))
    assert (policy.scale.floor, policy.window_seconds, policy.traffic.strip_prefix) == (2, 600, True)
    assert policy.traffic.preview_route == "fraud-preview"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"windowSecond": 1}, "windowSecond: Extra inputs", id="unknown key"),
        pytest.param({"scale": {"floor": 0}}, "scale.floor: Input should be greater", id="no floor"),
        pytest.param({"traffic": {"backend": "gateway"}}, "needs traffic.route", id="gateway without a route"),
        pytest.param({"traffic": {"backend": "mesh"}}, "traffic.backend: Input should be 'gateway'", id="unknown back end"),
        pytest.param({"drainSeconds": -1}, "drainSeconds", id="negative time"),
    ],
)  # fmt: skip
def test_a_wrong_policy_is_refused_by_name(change, says):
    with pytest.raises(ProjectError, match="release policy cannot be used") as caught:
        Policy.parse(json.dumps(POLICY | change))
    assert says in caught.value.message


def test_a_policy_that_is_no_json_is_refused():
    with pytest.raises(ProjectError, match="Invalid JSON"):
        Policy.parse("{")


def test_a_journal_comes_back_as_it_was_written():
    journal = settled(green="r0").noted(1.5, What.SWITCHED, "blue", "r1", "scored")
    assert Journal.from_json(journal.to_json()) == journal


def test_a_journal_keeps_the_last_twenty_outcomes():
    journal = Journal()
    for number in range(30):
        journal = journal.noted(number, What.FAILED, "blue", f"r{number}", "why")
    assert [outcome.revision for outcome in journal.outcomes] == [
        f"r{number}" for number in range(30 - KEPT, 30)
    ]


def test_a_journal_over_64_kib_is_refused():
    big = stamp("r1").model_copy(update={"template": {"metadata": {}, "spec": {"text": "x" * 70_000}}})
    with pytest.raises(IntegrityError, match="65536 are allowed"):
        Journal(slots={"blue": big}).to_json()


@pytest.mark.parametrize("text", ['{"version": 2}', "{", '{"version": 1, "unknown": 1}', '{"live": "blue"}'])
def test_a_journal_of_another_version_is_refused_and_nothing_is_changed(text):
    with pytest.raises(IntegrityError, match="nothing is changed"):
        Journal.from_json(text)
