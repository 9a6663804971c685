"""Traffic that moves by steps: what each verdict leads to, and whole releases with counters in a simulated cluster."""

import json

import pytest
from tests.release.looks import NOW, desired, policy, releasing, running, seen, stamp
from tests.release.simulated import Killed, SimulatedCluster, installed, run_until_quiet

from fairlead.errors import ProjectError
from fairlead.release import names
from fairlead.release.actions import Record, SetRules, TakeLook
from fairlead.release.decide import decide
from fairlead.release.journal import Phase, Said, Shift, What
from fairlead.release.observed import Command, Desired, Observed, Pointer, Traffic
from fairlead.release.policy import Policy

PLAN = {"strategy": "canary", "steps": [10, 50], "profile": "demo"}
STEPPED = policy().model_copy(update={"release": Policy.model_validate({
    "model": "m", "traffic": {"backend": "gateway", "route": "m"}, "release": PLAN}).release})  # fmt: skip
ONE, TWO = running("r1", "blue"), running("r2", "green")


def at(step=0, action=None, since=NOW, **changes):
    """A journal in which r2 has the weight of a step, and the judge has said something or nothing."""
    said = None if action is None else Said(action=action, reasons=("why",))
    fields = {"steps": (10.0, 50.0), "step": step, "since": since, "looked": NOW, "said": said} | changes
    return releasing(Phase.SHIFTING, passed=True, shift=Shift(**fields))


def shared(blue, green, one=ONE, two=TWO):
    """A look at a route that leads to both slots."""
    route = Pointer("1", None, weights={"blue": float(blue), "green": float(green)})
    traffic = Traffic(route, None, Pointer("1", "blue"))
    return Observed("ns", "m-policy", "uid", {"blue": one, "green": two}, traffic, "1")


def short(actions):
    return [_short(action) for action in actions]


def _short(action):
    if isinstance(action, SetRules):
        return "rules " + " ".join(f"{slot} {weight:g}" for slot, weight in action.weights.items())
    if isinstance(action, TakeLook):
        return "look"
    if isinstance(action, Record):
        release = action.journal.release
        if release is None:
            return f"record {action.journal.outcomes[-1].what.value}"
        return f"record {release.phase.value}" + (f" {release.shift.weight:g} %" if release.shift else "")
    return type(action).__name__


TABLE = {
    "a passed probe leads to the first weight": (
        releasing(Phase.PROBING, passed=True), seen(ONE, TWO, "blue"), ["record shifting 10 %"]),
    "the weight is written": (at(looked=0.0), seen(ONE, TWO, "blue"), ["rules blue 90 green 10"]),
    "the judge looks": (at(looked=NOW - 2), shared(90, 10), ["look"]),
    "it does not look before a look's length": (at(looked=NOW - 1), shared(90, 10), []),
    "it looks after a clock went back": (at(looked=NOW + 50), shared(90, 10), ["look"]),
    "held": (at(action="hold"), shared(90, 10), []),
    "no data": (at(action="no_data"), shared(90, 10), []),
    "proved at a weight": (at(action="promote"), shared(90, 10), ["record shifting 50 %"]),
    "proved at the last": (at(1, "promote"), shared(50, 50), ["record switching 50 %"]),
    "proved worse": (at(action="abort"), shared(90, 10), ["record aborted"]),
    "proved worse, and stable is no better": (
        at(action="abort"), shared(90, 10, one=running("r1", "blue", ready=0)), ["record shifting 10 %"]),
    "paused": (at(action="promote", paused="eve"), shared(90, 10), []),
    "paused, and proved worse": (at(action="abort", paused="eve"), shared(90, 10), ["record aborted"]),
    "not ready any more": (at(), shared(90, 10, two=running("r2", "green", ready=0)), ["record starting 10 %"]),
    "weights set by somebody": (at(), shared(20, 80), ["rules blue 90 green 10"]),
    "no back end at all": (at(), seen(ONE, TWO, None), ["rules blue 90 green 10", "SetSelector"]),
}  # fmt: skip


@pytest.mark.parametrize(("journal", "observed", "expected"), TABLE.values(), ids=TABLE)
def test_a_decision_while_traffic_moves_by_steps(journal, observed, expected):
    assert short(decide(STEPPED, desired("r2"), observed, journal, NOW)) == expected


def test_while_it_is_not_ready_all_traffic_is_stables():
    journal = at().but(release=at().release.model_copy(update={"phase": Phase.STARTING}))
    observed = shared(90, 10, two=running("r2", "green", ready=0))
    assert "rules blue 100" in short(decide(STEPPED, desired("r2"), observed, journal, NOW))


def test_ready_again_it_gets_the_weight_it_had():
    journal = at(1, "promote").but(
        release=at(1, "promote").release.model_copy(update={"phase": Phase.STARTING})
    )
    (record,) = decide(STEPPED, desired("r2"), seen(ONE, TWO, "blue"), journal, NOW + 9)
    shift = record.journal.release.shift
    assert (record.journal.release.phase, shift.weight, shift.since, shift.said) == (
        Phase.SHIFTING,
        50.0,
        NOW + 9,
        None,
    )


COMMANDS = {
    "pause": ("pause", at(action="promote"), "record shifting 10 %", What.TOLD),
    "resume": ("resume", at(paused="eve"), "record shifting 10 %", What.TOLD),
    "promote": ("promote", at(action="hold"), "record shifting 50 %", What.STEPPED),
    "promote at the last": ("promote", at(1), "record switching 50 %", None),
    "abort": ("abort", at(), "record aborted", What.ABORTED),
    "abort before there is traffic": ("abort", releasing(Phase.STARTING), "record aborted", What.ABORTED),
    "abort when nothing is released": ("abort", releasing(Phase.STARTING).but(release=None), "record", None),
}


@pytest.mark.parametrize(("verb", "journal", "expected", "what"), COMMANDS.values(), ids=COMMANDS)
def test_a_persons_command_is_carried_out_once_and_written_down_with_who_and_why(
    verb, journal, expected, what
):
    asked = Desired(stamp("r2"), "", Command("7", verb, "eve", "because"))
    observed = shared(90, 10)
    (record,) = decide(STEPPED, asked, observed, journal, NOW)
    assert (short([record])[0] if record.journal.release or record.journal.outcomes else "record") == expected
    assert record.journal.obeyed == "7"
    if what is not None:
        assert record.journal.outcomes[-1].what is what
        assert f"{verb} by eve: because" in record.journal.outcomes[-1].why
    again = decide(STEPPED, asked, observed, record.journal, NOW)
    assert not any(isinstance(action, Record) and "by eve" in action.why for action in again)


REFUSED = {
    "a Service cannot share": ({"traffic": {"backend": "service"}, "release": PLAN}, "needs traffic.backend gateway"),
    "labels are not read": (
        {"release": {**PLAN, "guards": {"quality": {"labels": {"maturity": "7d"}}}}}, "quality cannot be judged yet"),
    "a shadow alone": ({"release": {"strategy": "shadow"}}, "shadow cannot be judged yet"),
    "pairs are not read": ({"release": {**PLAN, "shadow": True}}, "shadow cannot be judged yet"),
    "steps that fall": ({"release": {**PLAN, "steps": [50, 10]}}, "weights must rise"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), REFUSED.values(), ids=REFUSED)
def test_a_policy_that_cannot_be_kept_is_refused(changes, said):
    fields = {"model": "m", "traffic": {"backend": "gateway", "route": "m"}} | changes
    with pytest.raises(ProjectError, match=said):
        Policy.parse(json.dumps(fields))


# ------------------------------------------------------------------------------------------ whole releases


def releasing_cluster(image: str, steps=(10, 50)) -> SimulatedCluster:
    """r1 is live and answers; r2 is desired."""
    cluster = installed(release={**PLAN, "steps": list(steps)})
    cluster.desire("r1")
    run_until_quiet(cluster, 80, requests=1000)
    cluster.desire("r2", image)
    return cluster


def whats(cluster: SimulatedCluster) -> list[What]:
    return [outcome.what for outcome in cluster.journal().outcomes]


def test_a_good_candidate_goes_through_all_weights_and_becomes_live():
    cluster = releasing_cluster("good")
    run_until_quiet(cluster, 400, requests=2000)
    journal = cluster.journal()
    assert (journal.live_revision(), journal.release) == ("r2", None)
    assert whats(cluster)[-3:] == [What.STARTED, What.STEPPED, What.SWITCHED]
    assert cluster.led_to() == [journal.live] * 2


def test_a_bad_candidate_is_taken_back_and_not_tried_again():
    cluster = releasing_cluster("erring")
    run_until_quiet(cluster, 400, requests=2000)
    journal = cluster.journal()
    assert (journal.live_revision(), journal.failure.revision) == ("r1", "r2")
    assert "errors: candidate" in journal.failure.why
    assert cluster.led_to() == [journal.live] * 2
    assert cluster.replicas(names.other(journal.live)) == 0


def test_without_traffic_nothing_is_promoted_and_nothing_aborted():
    cluster = releasing_cluster("good")
    run_until_quiet(cluster, 400, requests=0)
    release = cluster.journal().release
    assert (release.shift.step, release.shift.said.action) == (0, "no_data")
    assert "zero traffic" in release.shift.said.reasons[0]


def test_the_journal_of_a_long_release_stays_small():
    cluster = releasing_cluster("good")
    run_until_quiet(cluster, 3000, requests=20)
    assert len(cluster.journal().to_json()) < 32_768


@pytest.mark.parametrize("image", ["good", "erring"])
def test_a_kill_at_any_write_changes_nothing_about_the_verdict(image):
    ends = set()
    for half in range(2, 50, 3):
        cluster = releasing_cluster(image)
        cluster.writes, cluster.kill_at = 0, half / 2
        driver = cluster.driver()
        for _ in range(120):
            try:
                driver.turn()
            except Killed:
                cluster.kill_at = float("inf")
                driver = cluster.driver()  # it remembers nothing
            cluster.control()
            cluster.start()
            cluster.traffic(2000)
            cluster.now += 4
        ends.add(cluster.journal().live_revision())
    assert ends == {"r2" if image == "good" else "r1"}


def test_a_rollback_needs_no_proof():
    cluster = releasing_cluster("good")
    run_until_quiet(cluster, 100, requests=5000)
    assert cluster.journal().live_revision() == "r2"
    cluster.desire("r1")
    run_until_quiet(cluster, 8, requests=0)
    assert cluster.journal().live_revision() == "r1"


def test_pods_that_do_not_tell_their_counters_hold_the_release():
    cluster = releasing_cluster("good")
    answer = cluster.ask

    def ask(url: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        if url.endswith("/metrics") and url.startswith(f"http://{names.other(cluster.journal().live)}-"):
            raise OSError("connection refused")
        return answer(url, body, seconds)

    cluster.ask = ask
    run_until_quiet(cluster, 100, requests=2000)
    said = cluster.journal().release.shift.said
    assert (said.action, "does not tell its counters" in said.reasons[0]) == ("no_data", True)
