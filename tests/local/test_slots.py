"""What the local controllers make of answers and rules, case by case."""

from typing import Any

import pytest

from fairlead.local.slots import Pod, weights_of

ANSWERS = {
    "not yet": ("nn", "nn"),
    "the first yes": ("ny", "ny"),
    "two are missing": ("ynn", "yyy"),
    "three are missing": ("ynnn", "yyyn"),
    "three that are not in a row": ("ynnyn", "yyyyy"),
    "back again": ("ynnny", "yyyny"),
}


@pytest.mark.parametrize(("answers", "ready"), ANSWERS.values(), ids=ANSWERS)
def test_a_process_is_ready_from_its_first_yes_until_three_in_a_row_are_missing(
    answers: str, ready: str
) -> None:
    pod = Pod("fraud-blue-1", "blue", "t", 1, None)  # type: ignore[arg-type]  # no process is asked
    found = ""
    for answer in answers:
        pod.asked(answered=answer == "y")
        found += "y" if pod.ready else "n"
    assert found == ready


def test_a_process_that_stops_is_not_ready_whatever_it_answers() -> None:
    pod = Pod("fraud-blue-1", "blue", "t", 1, None, stopping_since=0.0)  # type: ignore[arg-type]
    pod.asked(answered=True)
    assert not pod.ready


RULES: dict[str, tuple[Any, dict[str, float]]] = {
    "no rules yet": ({}, {}),
    "one slot": ({"rules": [{"backendRefs": [{"name": "m-blue", "weight": 100}]}]}, {"blue": 100.0}),
    "two slots": (
        {"rules": [{"backendRefs": [{"name": "a-b-blue", "weight": 9500}, {"name": "a-b-green", "weight": 500}]}]},
        {"blue": 95.0, "green": 5.0}),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "weights"), RULES.values(), ids=RULES)
def test_the_drivers_rules_are_read_as_weights(spec: Any, weights: dict[str, float]) -> None:
    assert weights_of({"spec": spec}) == weights
