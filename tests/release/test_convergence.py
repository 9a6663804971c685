"""Whatever happens in between, the desired revision becomes live, and requests are never led where nobody is ready."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.release.simulated import Killed, SimulatedCluster, installed, run_until_quiet

from fairlead.release import names

BACKENDS = ("gateway", "service")


def check_led(cluster: SimulatedCluster) -> None:
    for slot in cluster.led_to():
        assert cluster.ready(slot) > 0, f"requests are led to {slot}, where no pod is ready"


def turn(cluster, kill_at=float("inf"), rival_at=-1):
    """One turn of a driver that may be killed at a write, and is then gone with all it remembered."""
    cluster.writes, cluster.kill_at, cluster.rival_at = 0, kill_at, rival_at
    try:
        cluster.driver().turn()
    except Killed:
        pass
    finally:
        cluster.kill_at, cluster.rival_at = float("inf"), -1
    check_led(cluster)


def _happen(cluster, event, number):
    match event:
        case "desire":
            image = {0: "good", 1: "good", 2: "good", 3: "wrong", 4: "never"}[number % 5]
            cluster.desire(f"r{number % 5}", image)
        case "turn":
            turn(cluster)
        case "go on":
            _go_on(cluster)
        case "killed":
            turn(cluster, kill_at=1 + number / 2)
        case "rival":
            turn(cluster, rival_at=1 + number)
        case "control":
            cluster.control()
        case "start":
            cluster.start()
        case "time":
            cluster.now += 10 * number
        case "reset":
            _reset(cluster, number)
        case "load":
            _load(cluster, number)
        case "crash":
            cluster.crash()
        case "room":
            cluster.room = number % 2 == 0


def _go_on(cluster):
    for _ in range(8):
        turn(cluster)
        cluster.control()
        cluster.start()
        cluster.now += 2


def _load(cluster, number):
    """An autoscaler sees more or less load on the live slot."""
    if (journal := cluster.journal()) and journal.live:
        item = cluster.objects["Deployment", f"m-{journal.live}"]
        cluster.put({**item, "spec": {**item["spec"], "replicas": 1 + number % 6}})


def _reset(cluster, number):
    """What `helm upgrade --force` does, and a person with kubectl."""
    kind, name, field = [
        ("HTTPRoute", "m", "rules"), ("Service", "m", "selector"), ("HorizontalPodAutoscaler", "m-blue", "minReplicas"),
        ("HorizontalPodAutoscaler", "m-green", "minReplicas"),
    ][number % 4]  # fmt: skip
    if item := cluster.objects.get((kind, name)):
        cluster.put({**item, "spec": {key: value for key, value in item["spec"].items() if key != field}})


EVENTS = (
    "desire",
    "turn",
    "go on",
    "killed",
    "rival",
    "control",
    "start",
    "time",
    "reset",
    "load",
    "crash",
    "room",
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    backend=st.sampled_from(BACKENDS),
    floor=st.integers(1, 3),
    scalers=st.booleans(),
    events=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 11)), max_size=40),
)
def test_any_history_with_kills_ends_with_the_desired_revision_live(backend, floor, scalers, events):
    cluster = installed(backend, floor=floor, scalers=scalers)
    for event, number in events:
        _happen(cluster, event, number)
        check_led(cluster)
    cluster.room = True
    cluster.desire("last")
    run_until_quiet(cluster)
    check_led(cluster)
    journal = cluster.journal()
    live = journal.live
    assert journal.live_revision() == "last"
    assert (journal.release, journal.window) == (None, None)
    assert cluster.replicas(names.other(live)) == 0
    assert cluster.ready(live) >= floor
    assert set(cluster.led_to()) == {live}
    cluster.writes = 0
    run_until_quiet(cluster, 40)
    assert cluster.writes == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_kill_at_any_write_of_a_whole_release_changes_nothing_about_its_end(backend):
    ends = set()
    for half in range(2, 60):
        cluster = installed(backend)
        cluster.desire("r1")
        run_until_quiet(cluster, 80)
        cluster.desire("r2")
        cluster.writes, cluster.kill_at = 0, half / 2
        try:
            for _ in range(40):
                cluster.driver().turn()
                check_led(cluster)
                cluster.control()
                cluster.start()
                cluster.now += 4
        except Killed:
            pass
        killed = cluster.kill_at <= cluster.writes + 0.5
        cluster.kill_at = float("inf")
        run_until_quiet(cluster)
        check_led(cluster)
        ends.add(
            (cluster.journal().live_revision(), cluster.replicas("blue"), cluster.replicas("green"), killed)
        )
    assert ends == {("r2", 0, 1, True), ("r2", 0, 1, False)}


def test_a_warm_slot_that_has_crashed_is_not_gone_back_to_before_it_is_ready():
    cluster = installed(windowSeconds=10_000)
    for revision in ("r1", "r2"):
        cluster.desire(revision)
        run_until_quiet(cluster, 80)
    cluster.room = False
    cluster.crash()
    cluster.desire("r1")
    for _ in range(5):
        turn(cluster)
        assert set(cluster.led_to()) == {"green"}
    cluster.room = True
    run_until_quiet(cluster, 80)
    assert cluster.journal().outcomes[-1].what == "rolled back"


@pytest.mark.parametrize("image", ["wrong", "never"])
def test_a_bad_revision_is_never_led_to(image):
    cluster = installed()
    cluster.desire("r1")
    run_until_quiet(cluster, 100)
    cluster.desire("bad", image)
    for _ in range(100):
        turn(cluster)
        cluster.control()
        cluster.start()
        cluster.now += 4
        assert set(cluster.led_to()) == {"blue"}
    assert cluster.journal().failure.revision == "bad"
    assert cluster.replicas("green") == 0


def test_a_settled_model_is_not_written_in_a_thousand_turns():
    cluster = installed()
    cluster.desire("r1")
    run_until_quiet(cluster)
    cluster.writes = 0
    driver = cluster.driver()
    for _ in range(1000):
        driver.turn()
        cluster.now += 1
    assert cluster.writes == 0
