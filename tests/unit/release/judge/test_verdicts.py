"""Verdicts: the rules in their order, in words a person can act on."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.release.judge import Clock, JudgeConfig, Look, Window, begin, demo, judge, observe
from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.fixed import FixedGuard
from fairlead.release.judge.labels import LabelsGuard
from fairlead.release.judge.predictions import PredictionsGuard
from fairlead.release.judge.shadow import FlipsGuard, PairedGuard
from fairlead.release.judge.slices import SlicesGuard
from fairlead.release.judge.traffic import TrafficGuard
from fairlead.release.judge.windows import Bins, Coverage, LabelWindow, PairedLosses, Pairs

HALF = JudgeConfig(latency=None, steps=(50.0,), soak=300.0)
CLEAN = Window(3000, 15, 3000, 15)


def run(config, looks, *, window=CLEAN, compared=True, **parts):
    """States after *looks* looks of a minute each, from second 60 on."""
    states = begin(config, "s", "c", compared=compared)
    for number in range(1, looks + 1):
        states = observe(config, states, Look(60.0 * number, 60.0, 0.5, window, **parts))
    return states


def at(now, *, step=0, started=0.0, step_started=0.0):
    return Clock(float(now), started, step_started, step)


def test_a_candidate_as_good_as_stable_is_promoted_after_the_soak():
    states = run(HALF, 30)
    assert judge(HALF, states, at(299)).action == "hold" if states.at <= 299 else True
    verdict = judge(HALF, states, at(1800))
    assert (verdict.action, verdict.reasons) == ("promote", ("proved inside the margin: errors",))


def test_a_bad_candidate_is_aborted_with_its_counts():
    verdict = judge(HALF, run(HALF, 1, window=Window(3000, 90, 3000, 15)), at(60))
    assert verdict.action == "abort"
    assert verdict.reasons[0].startswith(
        "errors: candidate 90 of 3000, stable 15 of 3000: proved worse than the margin"
    )


@pytest.mark.parametrize(("bad", "action"), [(2, "hold"), (3, "abort")])
def test_fewer_than_three_bad_answers_never_abort(bad, action):
    config = replace(HALF, errors=ErrorsGuard(prior_base=1e-5))
    states = run(config, 1, window=Window(40, bad, 10**6, 10))
    assert states.peak.log > 3
    assert judge(config, states, at(60)).action == action


def test_abort_holds_when_evidence_has_faded_since_or_data_stopped():
    states = run(HALF, 1, window=Window(3000, 60, 3000, 15))
    for number in range(2, 60):
        states = observe(HALF, states, Look(60.0 * number, 60.0, 0.5, Window(3000, 5, 3000, 15)))
    assert states.guards["errors"].abort.log < 3
    assert judge(HALF, states, at(10**5)).action == "abort"


@pytest.mark.parametrize(
    ("window", "silent"),
    [
        (Window(0, 0, 3000, 9), "candidate"),
        (Window(3000, 9, 0, 0), "stable"),
        (Window(0, 0, 0, 0), "candidate"),
    ],
    ids=["no-candidate", "no-stable", "nothing"],
)
def test_silence_of_an_arm_is_no_data(window, silent):
    verdict = judge(HALF, run(HALF, 30, window=window), at(1800))
    assert verdict.action == "no_data"
    assert f"no new {silent} traffic" in verdict.reasons[0]


def test_proof_that_has_become_stale_does_not_promote():
    states = run(HALF, 30)
    assert judge(HALF, states, at(1800 + 299)).action == "promote"
    assert judge(HALF, states, at(1800 + 300)).action == "no_data"


def test_a_release_before_its_first_look_waits_and_then_has_no_data():
    states = begin(HALF, "s", "c")
    assert judge(HALF, states, at(10)).action == "hold"
    assert judge(HALF, states, at(300)).action == "no_data"


@pytest.mark.parametrize(
    ("clock", "says"),
    [
        (at(-(10**6)), "the latest look ends in the future"),
        (at(float("nan")), "the clock cannot be read"),
        (at(float("inf")), "the clock cannot be read"),
    ],
    ids=["back", "nan", "infinite"],
)
def test_a_clock_that_cannot_be_right_is_no_data(clock, says):
    verdict = judge(HALF, run(HALF, 30), clock)
    assert verdict.action == "no_data"
    assert says in verdict.reasons[0]


def test_a_look_that_cannot_be_read_is_no_data_until_the_next_one():
    states = run(HALF, 5)
    states = observe(HALF, states, Look(360.0, 60.0, problem="the candidate's pods could not be told apart"))
    assert judge(HALF, states, at(360)).reasons == ("the candidate's pods could not be told apart",)
    states = observe(HALF, states, Look(420.0, 60.0, 0.5, CLEAN))
    assert judge(HALF, states, at(420)).action == "hold"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"min_units": 10**6}, "candidate units"),
        ({"min_looks": 50}, "30 of 50 looks with evidence"),
        ({"soak": 3600.0}, "soak of the last step: 1800 of 3600 s"),
    ],
    ids=["units", "looks", "soak"],
)
def test_below_a_minimum_nothing_is_promoted(changed, says):
    config = replace(HALF, **changed)
    verdict = judge(config, run(config, 30), at(1800))
    assert verdict.action == "hold"
    assert any(says in reason for reason in verdict.reasons)


def test_steps_before_the_last_ask_for_a_coarser_proof_and_no_soak():
    config = JudgeConfig(latency=None, steps=(1.0, 50.0))
    states = begin(config, "s", "c")
    for number in range(1, 5):
        states = observe(config, states, Look(60.0 * number, 60.0, 0.05, Window(300, 1, 5700, 28)))
    assert judge(config, states, at(240, step=0)).action == "promote"
    assert judge(config, states, at(240, step=1)).action == "hold"


@pytest.mark.parametrize("on_timeout", ["hold", "abort"])
def test_a_release_that_is_never_decided_ends_as_the_file_says_and_is_not_promoted(on_timeout):
    config = replace(HALF, on_timeout=on_timeout, max_duration=3600.0)
    states = run(config, 60, window=Window(30, 1, 30, 1))
    verdict = judge(config, states, at(3600))
    assert verdict.action == on_timeout
    assert verdict.reasons[0].startswith("undecided after 1 h")


def test_what_no_guard_requires_is_never_promoted():
    config = replace(HALF, errors=ErrorsGuard(required=False))
    verdict = judge(config, run(config, 60), at(3600))
    assert verdict.action == "hold"
    assert "no guard is required at this step, so nothing can be proved" in verdict.reasons


good_looks = st.lists(
    st.sampled_from(
        [Window(3000, 9, 3000, 15), Window(0, 0, 3000, 9), Window(3000, 9, 0, 0), Window(0, 0, 0, 0)]
    ),
    max_size=8,
)


@given(good_looks, st.floats(0, 1e6), st.integers(0, 3), st.sampled_from(["hold", "abort"]))
def test_neither_silence_nor_age_ever_promotes(windows, later, step, on_timeout):
    config = JudgeConfig(latency=None, on_timeout=on_timeout)
    states, now = begin(config, "s", "c"), 0.0
    for window in windows:
        now += 60.0
        states = observe(config, states, Look(now, 60.0, 0.5, window))
    verdict = judge(config, states, at(now + later, step=step))
    fresh = all(last is not None and now + later - last < 300 for last in (states.last_c, states.last_s))
    proved = all(result.proved for result in verdict.guards if result.required)
    if verdict.action == "promote":
        assert fresh
        assert proved
        assert states.looks >= 3
        assert min(states.n_c, states.n_s) >= 200


@given(
    st.lists(st.integers(0, 40), min_size=3, max_size=8), st.lists(st.integers(0, 40), min_size=3, max_size=8)
)
def test_more_bad_answers_never_weaken_the_evidence_against_a_candidate(bad, more):
    guard = ErrorsGuard()
    less, greater = guard.begin(), guard.begin()
    for x, extra in zip(bad, more, strict=False):
        less = guard.update(less, Window(3000, x, 3000, 15))
        greater = guard.update(greater, Window(3000, x + extra, 3000, 15))
    assert greater.abort.log >= less.abort.log - 1e-12
    assert greater.promote.log[0] <= less.promote.log[0] + 1e-12


# ------------------------------------------------------------------------------------------------ guards that hold

SHIFTED = {"predictions": Bins([2000, 500, 500], [1000, 1000, 1000])}


@pytest.mark.parametrize(
    ("guards", "parts", "name", "says"),
    [
        ({"predictions": PredictionsGuard(bins=3)}, SHIFTED, "predictions", "predictions differ"),
        ({"flips": FlipsGuard()}, {"pairs": Pairs(1000, 80)}, "flips", "the versions answer differently"),
        ({"flips": FlipsGuard()}, {"pairs": Pairs(1000, 5, 20)}, "flips", "did not answer"),
        (
            {"quality": LabelsGuard(required=False)},
            {"quality": LabelWindow(coverage=(Coverage(1, 1000, 300, 1000, 100),))},
            "quality", "labels are missing unequally: the candidate has fewer",
        ),
        (
            {"quality": LabelsGuard(required=False)}, {"quality": LabelWindow(labels=100, corrections=2)},
            "quality", "labels were corrected",
        ),
        (
            {"value": PairedGuard("value", 0.2, 5.0, "hold", unit="EUR")}, {"value": PairedLosses([4.0, 0.0], [300, 700])},
            "value", "proved worse by more than 0.2 EUR a prediction",
        ),
    ],
    ids=["predictions", "flips", "drops", "coverage", "corrections", "money"],
)  # fmt: skip
def test_a_guard_holds_the_release_until_a_person_has_seen_why(guards, parts, name, says):
    config = replace(HALF, **guards)
    states = run(config, 30, **parts)
    verdict = judge(config, states, at(1800))
    assert verdict.action == "hold"
    assert says in verdict.reasons[0]
    assert not any(says in reason for reason in judge(config, states, at(1800), acknowledged=[name]).reasons)


@pytest.mark.parametrize(("action", "verdict"), [("hold", "hold"), ("report", "promote")])
def test_a_wrong_share_of_traffic_holds_only_if_asked_to(action, verdict):
    config = replace(HALF, traffic=TrafficGuard(action=action))
    found = judge(config, run(config, 30, window=Window(1000, 5, 5000, 25)), at(1800))
    assert found.action == verdict
    assert "less traffic than asked" in found.guards[-1].note


def test_predictions_abort_where_the_policy_says_so():
    config = replace(HALF, predictions=PredictionsGuard(bins=3, action="abort"))
    verdict = judge(config, run(config, 5, **SHIFTED), at(300))
    assert verdict.action == "abort"


# --------------------------------------------------------------------------------------------- several guards


def test_two_guards_that_prove_it_together_are_named_together():
    config = replace(HALF, quality=PairedGuard())
    states = run(config, 1, window=Window(3000, 48, 3000, 15), quality=PairedLosses.of_counts(34, 10, 456))
    verdict = judge(config, states, at(60))
    assert verdict.action == "abort"
    assert all("together" in reason for reason in verdict.reasons)
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["errors", "quality"]


def test_quality_is_required_at_the_last_step_only():
    config = replace(HALF, quality=PairedGuard(), steps=(5.0, 50.0))
    states = run(config, 30)
    assert judge(config, states, at(1800, step=0)).action == "promote"
    assert judge(config, states, at(1800, step=1)).action == "hold"


def test_a_bad_slice_is_named():
    config = replace(HALF, slices=SlicesGuard(("north", "south")))
    parts = {"slices": {"north": Window(1500, 4, 1500, 7), "south": Window(1500, 120, 1500, 8)}}
    verdict = judge(config, run(config, 3, **parts), at(180))
    assert verdict.action == "abort"
    assert next(result for result in verdict.guards if result.name == "slices").note.startswith(
        "worse: south"
    )


def test_a_slice_with_little_traffic_is_reported_and_not_required():
    config = replace(HALF, slices=SlicesGuard(("most", "few")))
    parts = {"slices": {"most": Window(2950, 14, 2950, 14), "few": Window(50, 0, 50, 0)}}
    result = judge(config, run(config, 2, **parts), at(120)).guards[-2]
    assert (result.name, result.proved) == ("slices", True)


# ----------------------------------------------------------------------------------------- after 100 %, and shown


AFTER = JudgeConfig(after=(FixedGuard("errors", 0.02), FixedGuard("latency", 0.03)))


@pytest.mark.parametrize(
    ("window", "action"),
    [(Window(3000, 30, 0, 0), "hold"), (Window(3000, 150, 0, 0), "abort"), (Window(0, 0, 0, 0), "no_data")],
    ids=["within-bounds", "above-bounds", "silence"],
)
def test_after_all_traffic_is_moved_nothing_is_compared_and_the_verdict_says_so(window, action):
    states = run(AFTER, 10, window=window, compared=False)
    verdict = judge(AFTER, states, at(600))
    assert (verdict.action, verdict.compared) == (action, False)
    assert verdict.reasons[0].startswith("not compared")


def test_after_all_traffic_is_moved_age_does_not_abort():
    config = replace(AFTER, on_timeout="abort", max_duration=60.0)
    assert (
        judge(config, run(config, 10, window=Window(3000, 9, 0, 0), compared=False), at(600)).action == "hold"
    )


def test_the_demo_profile_is_in_every_verdict():
    config = demo(HALF)
    verdict = judge(config, run(config, 3), at(180))
    assert verdict.profile == "demo"
    assert verdict.reasons[-1] == "profile demo"


def test_the_forecast_names_the_slowest_required_proof():
    config = JudgeConfig(steps=(50.0,))
    states = run(config, 1, latency=Window(3000, 30, 3000, 30))
    verdict = judge(config, states, at(60))
    assert verdict.forecast.startswith("promote: about")
    assert verdict.forecast.endswith("(latency)")


def test_a_verdict_is_json():
    verdict = judge(HALF, run(HALF, 3), at(180))
    record = json.loads(verdict.to_json())
    assert record["action"] == "hold"
    assert record["guards"][0]["name"] == "errors"
