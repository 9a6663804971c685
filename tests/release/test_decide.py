"""The table of decide's docstring, and the cases between its lines."""

import pytest
from tests.release.looks import NOW, desired, empty, policy, releasing, running, seen, settled, stamp, warm

from fairlead.release.actions import (
    CreateSlot,
    ProbeSlot,
    Record,
    ScaleSlot,
    SetFloor,
    SetRules,
    SetSelector,
    StampSlot,
)
from fairlead.release.decide import decide
from fairlead.release.journal import Failure, Phase, What

ONE = running("r1", "blue")
TWO = running("r2", "green")
STARTING, PROBING, SWITCHING = Phase.STARTING, Phase.PROBING, Phase.SWITCHING
FAILED = settled(green="r2").but(failure=Failure(revision="r2", retry="", why="why"))


def said(actions):
    """Actions in short: their kind, their slot and number, and what a journal moves to."""
    return [_short(action) for action in actions]


def _short(action):
    if isinstance(action, Record):
        release = action.journal.release
        return "Record: " + (
            f"{release.phase.value}{' (held)' if release.held else ''}" if release else _end(action.journal)
        )
    number = f" {action.replicas}" if hasattr(action, "replicas") else ""
    where = " and ".join(action.weights) if isinstance(action, SetRules) else action.slot
    return f"{type(action).__name__} {where}{number}"


def _end(journal):
    return journal.outcomes[-1].what.value if journal.outcomes else "settled"


TABLE = {
    # the lines of the docstring
    "no journal, nothing runs": (None, desired("r1"), seen(empty(), empty(), None), ["Record: settled"]),
    "no journal, r1 serves": (None, desired("r1"), seen(ONE, empty(), "blue"), ["Record: adopted"]),
    "settled": (settled(), desired("r1"), seen(ONE, empty(), "blue"), []),
    "a new revision": (settled(), desired("r2"), seen(ONE, empty(), "blue"), ["Record: starting"]),
    "no Deployment yet": (releasing(STARTING), desired("r2"), seen(ONE, empty(), "blue"), ["CreateSlot green 1"]),
    "not ready yet": (releasing(STARTING), desired("r2"), seen(ONE, running("r2", "green", ready=0), "blue"), []),
    "not ready in time": (
        releasing(STARTING, since=NOW - 101), desired("r2"), seen(ONE, running("r2", "green", ready=0), "blue"),
        ["Record: failed"]),
    "no room": (
        releasing(STARTING, since=NOW - 101), desired("r2"),
        seen(ONE, running("r2", "green", ready=0, pending="Insufficient cpu"), "blue"), ["Record: starting (held)"]),
    "ready": (releasing(STARTING), desired("r2"), seen(ONE, TWO, "blue"), ["Record: probing"]),
    "to be probed": (releasing(PROBING), desired("r2"), seen(ONE, TWO, "blue"), ["ProbeSlot green"]),
    "three probes failed": (releasing(PROBING, tries=3), desired("r2"), seen(ONE, TWO, "blue"), ["Record: failed"]),
    "probe passed": (releasing(PROBING, passed=True), desired("r2"), seen(ONE, TWO, "blue"), ["Record: switching"]),
    "to be switched": (
        releasing(SWITCHING), desired("r2"), seen(ONE, TWO, "blue"), ["SetRules green", "SetSelector green"]),
    "switched": (releasing(SWITCHING), desired("r2"), seen(ONE, TWO, "green"), ["Record: switched"]),
    "back to the warm one": (warm(), desired("r1"), seen(ONE, TWO, "green"), ["Record: starting"]),
    "the warm one is ready": (
        releasing(STARTING, rollback=True), desired("r2"), seen(ONE, TWO, "blue"), ["Record: switching"]),
    "window open": (warm(), desired("r2"), seen(ONE, TWO, "green"), []),
    "window over": (warm(NOW - 60, NOW), desired("r2"), seen(ONE, TWO, "green"), ["Record: settled"]),
    "idle slot has pods": (settled(green="r2"), desired("r1"), seen(ONE, TWO, "blue"), ["ScaleSlot green 0"]),
    # put back
    "rules reset": (settled(), desired("r1"), seen(ONE, empty(), None, "blue"), ["SetRules blue"]),
    "selector lost": (settled(), desired("r1"), seen(ONE, empty(), "blue", None), ["SetSelector blue"]),
    "minReplicas reset": (
        settled(), desired("r1"), seen(running("r1", "blue", floor=3), empty(), "blue"), ["SetFloor blue 1"]),
    "live slot deleted": (settled(), desired("r1"), seen(empty(), empty(), "blue"), ["CreateSlot blue 1"]),
    "live slot scaled to zero": (
        settled(), desired("r1"), seen(running("r1", "blue", pods=0), empty(), "blue"), ["ScaleSlot blue 1"]),
    "template changed by hand": (
        settled(), desired("r1"), seen(running("r1", "blue", template={"metadata": {}}), empty(), "blue"), ["StampSlot blue"]),
    "owner lost": (settled(), desired("r1"), seen(running("r1", "blue", owner=""), empty(), "blue"), ["StampSlot blue"]),
    # between the lines
    "idle slot has pods, and the rules lead to it": (
        settled(green="r2"), desired("r1"), seen(ONE, TWO, "green"), ["SetRules blue", "SetSelector blue"]),
    "switched, but the selector is behind": (
        releasing(SWITCHING), desired("r2"), seen(ONE, TWO, "green", "blue"), ["Record: switched"]),
    "no longer ready while switching": (
        releasing(SWITCHING), desired("r2"), seen(ONE, running("r2", "green", ready=0), "blue"), ["Record: starting"]),
    "an old pod is still leaving": (
        releasing(STARTING), desired("r2"), seen(ONE, running("r2", "green", leaving=1), "blue"), []),
    "room was found": (
        releasing(STARTING, held="no room", since=0), desired("r2"),
        seen(ONE, running("r2", "green", ready=0), "blue"), ["Record: starting"]),
    "the live one is desired again": (
        releasing(PROBING), desired("r1"), seen(ONE, TWO, "blue"), ["Record: cancelled"]),
    "the live one is desired again, too late": (
        releasing(SWITCHING), desired("r1"), seen(ONE, TWO, "green"), ["Record: switched"]),
    "a newer one is desired": (releasing(PROBING), desired("r3"), seen(ONE, TWO, "blue"), ["Record: starting"]),
    "nothing is desired any more": (releasing(PROBING), None, seen(ONE, TWO, "blue"), ["Record: cancelled"]),
    "nothing is desired, r1 serves on": (settled(), None, seen(ONE, empty(), "blue"), []),
    "the failed one is still desired": (FAILED, desired("r2"), seen(ONE, empty(), "blue"), []),
    "the failed one is asked for again": (FAILED, desired("r2", "again"), seen(ONE, empty(), "blue"), ["Record: starting"]),
    "another one after the failed one": (FAILED, desired("r3"), seen(ONE, empty(), "blue"), ["Record: starting"]),
    "a third one, the old slot not drained": (warm(since=NOW - 4), desired("r3"), seen(ONE, TWO, "green"), []),
    "a third one, the old slot drained": (warm(since=NOW - 5), desired("r3"), seen(ONE, TWO, "green"), ["Record: starting"]),
    "just probed": (releasing(PROBING, tries=1, tried=NOW - 0.5), desired("r2"), seen(ONE, TWO, "blue"), []),
    "warm slot scaled to zero": (
        warm(), desired("r2"), seen(running("r1", "blue", pods=0), TWO, "green"), ["ScaleSlot blue 1"]),
}  # fmt: skip


@pytest.mark.parametrize(("journal", "wish", "look", "expected"), TABLE.values(), ids=TABLE.keys())
def test_decision(journal, wish, look, expected):
    assert said(decide(policy(), wish, look, journal, NOW)) == expected


@pytest.mark.parametrize(
    ("floor", "live_pods", "ceiling", "expected"),
    [
        pytest.param(2, 1, 10, 2, id="at least the floor"),
        pytest.param(2, 5, 10, 5, id="as many as the live slot has"),
        pytest.param(2, 5, 4, 4, id="no more than the autoscaler allows"),
    ],
)
def test_a_candidate_gets_its_pods_before_its_traffic(floor, live_pods, ceiling, expected):
    blue = running("r1", "blue", pods=live_pods, floor=1)
    green = running("r2", "green", pods=1, ceiling=ceiling)
    actions = decide(policy(floor=floor), desired("r2"), seen(blue, green, "blue"), releasing(STARTING), NOW)
    assert [
        action.replicas
        for action in actions
        if isinstance(action, (ScaleSlot, SetFloor)) and action.slot == "green"
    ] == ([expected, expected])


def test_a_rollback_does_not_wait_for_more_pods_than_the_floor():
    blue, green = running("r1", "blue", pods=5, floor=1), running("r2", "green", pods=1)
    journal = releasing(SWITCHING, rollback=True)
    kinds = [type(each) for each in decide(policy(), desired("r2"), seen(blue, green, "blue"), journal, NOW)]
    assert SetRules in kinds
    assert ScaleSlot in kinds


def test_both_slots_keep_the_pods_of_before_the_release_until_the_window_ends():
    blue, green = running("r1", "blue", pods=5), running("r2", "green", pods=5)
    actions = decide(policy(), desired("r2"), seen(blue, green, "green"), warm(replicas=5), NOW)
    assert said(actions) == ["SetFloor blue 5", "SetFloor green 5"]


def test_without_an_autoscaler_a_settled_slot_has_exactly_the_floor():
    blue, green = running("r1", "blue", pods=5, scaler=False), running("r2", "green", pods=0, scaler=False)
    assert said(
        decide(policy(floor=2), desired("r1"), seen(blue, green, "blue"), settled(green="r2"), NOW)
    ) == (["ScaleSlot blue 2"])


def test_with_the_service_back_end_the_selector_is_the_way_in():
    look = seen(ONE, TWO, None, "green")
    actions = decide(policy("service"), desired("r2"), look, releasing(SWITCHING), NOW)
    assert actions[0].journal.outcomes[-1].what is What.SWITCHED


def test_a_template_that_admission_changed_is_no_drift():
    from fairlead.release.objects import digest

    changed = {"metadata": {"labels": {}}, "spec": {"image": "mirror/r1"}}
    journal = settled().but(slots={"blue": stamp("r1").model_copy(update={"answered": digest(changed)})})
    look = seen(running("r1", "blue", template=changed), empty(), "blue")
    assert decide(policy(), desired("r1"), look, journal, NOW) == []


def test_a_failure_names_what_was_lacking():
    look = seen(ONE, running("r2", "green", pods=3, ready=2), "blue")
    (record,) = decide(policy(), desired("r2"), look, releasing(STARTING, since=NOW - 101), NOW)
    assert record.journal.failure.why == "not ready in 100 s: 2 of 3 pods ready"
    assert record.notices[0].warning


def test_a_passed_probe_is_not_asked_for_again_after_a_dip():
    (record,) = decide(policy(), desired("r2"), seen(ONE, TWO, "blue"), releasing(STARTING, passed=True), NOW)
    assert record.journal.release.phase is SWITCHING


def test_each_object_is_written_at_most_once_in_one_look():
    blue = running("r1", "blue", pods=0, template={"metadata": {}}, floor=7)
    actions = decide(policy(), desired("r1"), seen(blue, empty(7), None), settled(), NOW)
    deployments = [
        each
        for each in actions
        if isinstance(each, (CreateSlot, StampSlot, ScaleSlot)) and each.slot == "blue"
    ]
    assert len(deployments) == 1
    assert {SetRules, SetSelector, SetFloor} <= {type(each) for each in actions}
    assert ProbeSlot not in {type(each) for each in actions}
