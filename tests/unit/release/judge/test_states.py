"""What the judge remembers: joined looks, faults, JSON, and evidence that is about one thing only."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import IntegrityError
from fairlead.release.judge import Clock, JudgeConfig, Look, Margin, Window, begin, judge, observe, read
from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.fixed import FixedGuard
from fairlead.release.judge.guard import Stage
from fairlead.release.judge.labels import LabelsGuard
from fairlead.release.judge.predictions import PredictionsGuard
from fairlead.release.judge.shadow import FlipsGuard, PairedGuard
from fairlead.release.judge.slices import SlicesGuard
from fairlead.release.judge.windows import Bins, Cohort, Coverage, LabelWindow, PairedLosses, Pairs

ALL = JudgeConfig(
    predictions=PredictionsGuard(bins=3), flips=FlipsGuard(), quality=LabelsGuard(early="hold"),
    value=PairedGuard("value", 0.2, 50.0, unit="EUR"), slices=SlicesGuard(("a", "b")),
    after=(FixedGuard("errors", 0.02), FixedGuard("latency", 0.03)),
)  # fmt: skip


def look(at, n_c=300, x_c=2, n_s=5700, x_s=28, weight=0.05, **parts):
    """A minute of every kind of evidence."""
    full = {
        "latency": Window(n_c, min(n_c, 3), n_s, min(n_s, 55)),
        "predictions": Bins([n_c, 3, 1], [n_s, 40, 20]),
        "pairs": Pairs(100, 1),
        "quality": LabelWindow(
            (Cohort(1, (1.0, 0.0), (0.0, 0.3)),),
            (Cohort(1, (0.5,), (0.0,)),),
            (Coverage(1, 9, 1, 9, 2),),
            3,
            0,
        ),
        "value": PairedLosses([3.0, -1.5], [1, 2]),
        "slices": {"a": Window(n_c, x_c, n_s, x_s)},
    }
    return Look(at, 60.0, weight, Window(n_c, x_c, n_s, x_s), **(full | parts))


def seen(config, *looks, compared=True):
    states = begin(config, "stable", "candidate", compared=compared)
    for one in looks:
        states = observe(config, states, one)
    return states


@pytest.mark.parametrize("looks", [0, 1, 7])
@pytest.mark.parametrize("compared", [True, False], ids=["compared", "after-100"])
def test_states_survive_json_bit_for_bit(looks, compared):
    states = seen(ALL, *(look(60.0 * number) for number in range(looks)), compared=compared)
    text = states.to_json()
    again = read(ALL, "stable", "candidate", text, compared=compared)
    assert again.to_json() == text
    following = look(6000.0, x_c=7)
    assert observe(ALL, again, following).to_json() == observe(ALL, states, following).to_json()


def test_money_that_is_not_bet_is_null_in_json():
    assert json.loads(begin(ALL, "s", "c").to_json())["guards"]["errors"]["abort"]["log_w"] == [None] * 8


def test_a_day_of_looks_fits_beside_the_rest_of_a_journal():
    states = seen(ALL, *(look(60.0 * number, x_c=number % 3) for number in range(300)))
    assert len(states.to_json()) < 32 * 1024


def test_a_pending_look_survives_json():
    states = seen(ALL, look(60.0, n_c=3))
    assert states.pending is not None
    assert read(ALL, "stable", "candidate", states.to_json()).to_json() == states.to_json()


@pytest.mark.parametrize(
    ("stable", "candidate", "config"),
    [
        ("other", "candidate", ALL),
        ("stable", "other", ALL),
        ("stable", "candidate", replace(ALL, errors=ErrorsGuard(Margin(1.5, 0.001)))),
    ],
    ids=["stable", "candidate", "settings"],
)
def test_evidence_about_something_else_is_forgotten(stable, candidate, config):
    text = seen(ALL, look(60.0)).to_json()
    assert read(config, stable, candidate, text).to_json() == begin(config, stable, candidate).to_json()


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"key": 1, "compared": true}'])
def test_text_that_is_no_evidence_is_refused(text):
    with pytest.raises(IntegrityError, match="the judge's evidence cannot be read"):
        read(ALL, "stable", "candidate", text)


def test_damaged_evidence_says_what_to_do():
    record = json.loads(seen(ALL, look(60.0)).to_json())
    del record["guards"]["errors"]["abort"]
    with pytest.raises(IntegrityError, match="Delete it"):
        read(ALL, "stable", "candidate", json.dumps(record))


@pytest.mark.parametrize(
    "arm", [{"n_c": 0, "x_c": 0}, {"n_s": 0, "x_s": 0}], ids=["no-candidate", "no-stable"]
)
@pytest.mark.parametrize("name", ["errors", "latency", "slices", "predictions"])
def test_a_look_without_traffic_in_one_arm_leaves_the_evidence_identical(arm, name):
    config = replace(ALL, merge_units=0.0)
    before = seen(config, look(60.0))
    none = (
        {"predictions": Bins([0, 0, 0], [9, 9, 9])}
        if "n_c" in arm
        else {"predictions": Bins([9, 9, 9], [0, 0, 0])}
    )
    after = observe(config, before, look(120.0, **arm, **none))
    for part in ("abort", "promote", "peak"):
        states = [state.guards[name] for state in (before, after)]
        inner = [getattr(state, "rates", state) for state in states]
        if hasattr(inner[0], part):
            assert repr(getattr(inner[0], part)) == repr(getattr(inner[1], part))
    assert after.looks == before.looks


def test_short_looks_are_joined_until_they_have_thirty_units():
    states = begin(JudgeConfig(), "s", "c")
    for number in range(1, 6):
        states = observe(JudgeConfig(), states, Look(60.0 * number, 60.0, 0.01, Window(7, 1, 693, 3)))
        assert states.looks == (number >= 5)
    assert float(states.guards["errors"].n_c) == 35


def test_a_change_of_weight_ends_a_joined_look():
    states = begin(JudgeConfig(), "s", "c")
    states = observe(JudgeConfig(), states, Look(60.0, 60.0, 0.01, Window(7, 1, 693, 3)))
    states = observe(JudgeConfig(), states, Look(120.0, 60.0, 0.05, Window(35, 1, 665, 3)))
    assert states.looks == 2
    assert states.guards["errors"].recent.tolist() == [[7, 693], [35, 665]]


def test_the_same_look_twice_counts_once():
    states = seen(ALL, look(60.0))
    assert observe(ALL, states, look(60.0)) is states


ONE = seen(ALL, look(60.0))
awkward = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, -0.5, 1e300, 0.0, 1.0, 5.0, 300.0])


@given(st.tuples(awkward, awkward, awkward, awkward), st.sampled_from(["errors", "latency", "slice"]))
def test_bad_counts_never_raise_and_never_add_evidence(counts, where):
    window = Window(*counts)
    parts = {"slices": {"a": window}} if where == "slice" else {where: window}
    before = ONE
    after = observe(ALL, before, replace(look(120.0), **parts))
    if window.fault():
        assert after.problem
        assert after.to_json() == replace(before, problem=after.problem).to_json()
        assert judge(ALL, after, Clock(120.0, 0.0, 0.0)).action == "no_data"
    else:
        assert not after.problem


@settings(max_examples=30)
@given(st.lists(awkward, min_size=3, max_size=3), st.lists(awkward, min_size=2, max_size=3), awkward, awkward)
def test_other_bad_observations_never_raise(bins, pairs, loss, number):
    parts = {
        "predictions": Bins(bins, bins[::-1]), "pairs": Pairs(*pairs), "value": PairedLosses([loss], [number]),
        "quality": LabelWindow(mature=(Cohort(1, (loss,), (0.1,)),), coverage=(Coverage(1, *bins, number),), labels=number),
    }  # fmt: skip
    for name, part in parts.items():
        after = observe(ALL, ONE, replace(look(120.0), **{name: part}))
        verdict = judge(ALL, after, Clock(120.0, 0.0, 0.0))
        assert verdict.action in ("hold", "no_data", "abort")
        after.to_json()


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ((math.nan, 0, 9, 0), "errors: a value is not finite"),
        ((10, 11, 9, 0), "the candidate's bad answers are more than there were units"),
        ((10, -1, 9, 0), "errors: an increment is negative"),
        (("many", 0, 9, 0), "a value is not a number"),
    ],
    ids=["nan", "more-bad-than-units", "negative", "text"],
)
def test_what_could_not_be_read_is_said(counts, says):
    states = observe(ALL, seen(ALL, look(60.0)), Look(120.0, 60.0, 0.05, Window(*counts)))
    verdict = judge(ALL, states, Clock(120.0, 0.0, 0.0))
    assert verdict.action == "no_data"
    assert says in verdict.reasons[0]


@given(st.permutations([1.0, 0.0, 0.25, 1.0, 0.5]), st.permutations([0.0, 1.0, 0.75]))
def test_the_order_of_labels_within_a_cohort_changes_nothing(c, s):
    guard = LabelsGuard()
    ordered = LabelWindow(mature=(Cohort(1, (1.0, 0.0, 0.25, 1.0, 0.5), (0.0, 1.0, 0.75)),))
    mixed = LabelWindow(mature=(Cohort(1, tuple(c), tuple(s)),))
    first, second = (guard.update(guard.begin(), window) for window in (ordered, mixed))
    assert first.rates.abort.log.tobytes() == second.rates.abort.log.tobytes()
    assert first.rates.promote.log.tobytes() == second.rates.promote.log.tobytes()


def test_in_the_worst_case_a_missing_label_counts_against_the_candidate():
    cohort, coverage = Cohort(1, (0.0,) * 50, (0.0,) * 50), Coverage(1, 60, 10, 60, 10)
    window = LabelWindow(mature=(cohort,), coverage=(coverage,))
    kind, worst = (LabelsGuard(missing=missing) for missing in ("ignore", "worst_case"))
    proofs = [
        guard.result(guard.update(guard.begin(), window), Stage()).log_promote for guard in (kind, worst)
    ]
    assert proofs[1] < proofs[0]


def test_in_the_worst_case_a_label_after_maturity_comes_too_late_to_promote():
    guard = LabelsGuard(missing="worst_case")
    state = guard.update(guard.begin(), LabelWindow(mature=(Cohort(1, (0.0,), (0.0,)),)))
    assert float(state.worst.n_c) == 0
    assert float(state.rates.n_c) == 1


def test_a_block_of_latency_ends_when_the_weight_changes_and_pays_for_a_whole_one():
    config = JudgeConfig()
    states = begin(config, "s", "c")
    for at, weight in ((20.0, 0.05), (40.0, 0.05), (60.0, 0.25)):
        states = observe(config, states, Look(at, 20.0, weight, latency=Window(300, 3, 5700, 57)))
    latency = states.guards["latency"]
    assert latency.blocks.tolist() == [[600, 6, 11400, 114]]
    assert latency.seconds == 20
    # 40 of 60 seconds: the variance of a whole block is half as large again.
    assert float(latency.phi) == pytest.approx(1 + 1.5 * 0.01 * 12000 * 0.05 * 0.95)
