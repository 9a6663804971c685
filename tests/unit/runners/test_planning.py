"""What `fairlead plan` decides."""

from dataclasses import replace

import pytest

from fairlead.runners.planning import RunInputs, inputs_of, plan_of, read_last, write_last

LAST = RunInputs(source="s", contract="c", data="d", model="m", problem="p", code="k", lock="l", bundle="b")


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ({}, []),
        ({"source": "x"}, ["data", "search", "model", "bundle"]),
        ({"contract": "x"}, ["data", "search", "model", "bundle"]),
        ({"model": "x"}, ["search", "model", "bundle"]),
        ({"code": "x"}, ["search", "model", "bundle"]),
        ({"problem": "x"}, ["search", "model", "bundle"]),
        ({"source": ""}, ["data", "search", "model", "bundle"]),
        ({"lock": "x"}, ["data", "search", "model", "bundle"]),
    ],
    ids=[
        "nothing",
        "rows",
        "contract",
        "model section",
        "project code",
        "outcome values",
        "only reading can tell",
        "packages",
    ],
)
def test_a_change_runs_its_stage_and_all_that_follow(changed, runs):
    steps = plan_of(LAST, replace(LAST, bundle="", **changed))
    assert [step.stage for step in steps if step.runs] == runs


def test_without_an_earlier_run_everything_runs():
    assert all(step.runs for step in plan_of(None, LAST))


def test_every_step_says_why():
    assert all(step.why for step in plan_of(LAST, replace(LAST, problem="x")))


def test_the_last_run_is_remembered(tmp_path):
    write_last(tmp_path, replace(LAST, bundle=""), "b")
    assert read_last(tmp_path) == LAST


@pytest.mark.parametrize(
    "content", [None, "{", "{}", '{"unknown": 1}'], ids=["missing", "cut off", "empty", "another version"]
)
def test_a_record_that_cannot_be_read_counts_as_no_earlier_run(tmp_path, content):
    if content is not None:
        (tmp_path / "last-run.json").write_text(content)
    assert read_last(tmp_path) is None


SECTIONS = {"name": "n", "data": {}, "problem": {}, "model": {"task": "classification", "positive": None}}


@pytest.mark.parametrize(
    "changed",
    [{"name": "m"}, {"model": {"task": "classification", "positive": "yes"}}],
    ids=["name", "positive class"],
)
def test_what_the_schema_states_is_an_input_of_the_data_stage(changed):
    before, after = (
        inputs_of(sections, source="s", contract=b"c", code="k", lock="l")
        for sections in (SECTIONS, SECTIONS | changed)
    )
    assert next(step.stage for step in plan_of(before, after) if step.runs) == "data"
