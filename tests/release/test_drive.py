"""The loop goes on through what goes wrong, and says so once."""

import pytest
from tests.release.simulated import MODEL, installed, run_until_quiet

from fairlead.errors import Conflict, ServiceError
from fairlead.release import names
from fairlead.release.drive import CONFLICTS, LONGEST_PAUSE, fence, run


class Leadership:
    def __init__(self, leads=True, term=""):
        self.leading, self.term = leads, term

    def leads(self):
        return self.leading


def pauses(driver, count, leadership=None):
    """The pauses between *count* turns."""
    waited = []

    def wait(seconds):
        waited.append(seconds)
        return len(waited) == count

    run(driver, leadership or Leadership(), wait, 1.0)
    return waited


def unreachable(*_):
    raise ServiceError("Kubernetes does not answer")


def test_while_kubernetes_does_not_answer_the_pauses_grow_and_then_shrink():
    cluster = installed()
    driver = cluster.driver()
    find, cluster.find = cluster.find, unreachable
    assert pauses(driver, 6) == [2, 4, 8, 16, LONGEST_PAUSE, LONGEST_PAUSE]
    cluster.find = find
    assert pauses(driver, 1) == [1]


def test_the_same_trouble_is_said_once_and_its_end_too():
    cluster, said = installed(), []
    driver = cluster.driver()
    driver.say = lambda event, **fields: said.append(event)
    find, cluster.find = cluster.find, unreachable
    pauses(driver, 5)
    cluster.find = find
    driver.turn()
    assert [each for each in said if each in ("trouble", "works again")] == ["trouble", "works again"]
    assert driver.figures.errors == 5


def test_a_driver_that_does_not_lead_neither_looks_nor_writes():
    cluster = installed()
    cluster.desire("r1")
    cluster.find = unreachable
    driver = cluster.driver()
    pauses(driver, 3, Leadership(leads=False))
    assert (cluster.writes, driver.figures.errors) == (0, 0)


def test_a_model_with_a_broken_policy_does_not_stop_the_others():
    cluster = installed()
    broken = {
        "name": "broken-policy",
        "labels": {names.MODEL: "broken", names.ROLE: "policy"},
        "annotations": {},
    }
    cluster.put({"kind": "ConfigMap", "metadata": broken, "data": {"policy.json": "{}"}})
    cluster.desire("r1")
    run_until_quiet(cluster)
    assert cluster.journal().live_revision() == "r1"


def test_a_damaged_journal_stops_the_model_and_changes_nothing():
    cluster = installed()
    cluster.desire("r1")
    run_until_quiet(cluster)
    journal = cluster.objects["ConfigMap", names.journal_name(MODEL)]
    cluster.put({**journal, "data": {"journal.json": '{"version": 9}'}})
    cluster.desire("r2")
    cluster.writes = 0
    run_until_quiet(cluster, 40)
    assert cluster.writes == 0


def test_an_emptied_journal_stops_the_model_and_not_the_driver():
    cluster = installed()
    cluster.desire("r1")
    run_until_quiet(cluster)
    journal = cluster.objects["ConfigMap", names.journal_name(MODEL)]
    cluster.put({key: value for key, value in journal.items() if key != "data"})
    cluster.writes = 0
    driver, said = cluster.driver(), []
    driver.say = lambda event, **fields: said.append(event)
    assert driver.turn()
    assert (cluster.writes, said) == (0, ["trouble"])


def test_a_name_that_a_stranger_holds_is_not_fought_for_within_a_turn():
    cluster = installed()
    cluster.desire("r1")

    def taken(body):
        raise Conflict(f"{body['metadata']['name']} already exists")

    cluster.create = taken
    driver = cluster.driver()
    driver.turn()
    assert driver.figures.conflicts == CONFLICTS


def test_after_the_fence_a_write_decided_before_it_is_refused():
    cluster = installed()
    cluster.desire("r1")
    run_until_quiet(cluster)
    seen = cluster.objects["Deployment", "m-blue"]["metadata"]["resourceVersion"]
    fence(cluster, "ns", "second/1")
    with pytest.raises(Conflict):
        cluster.scale("ns", "m-blue", 0, seen)


def test_a_leader_fences_once_a_term():
    cluster = installed()
    cluster.desire("r1")
    run_until_quiet(cluster)
    cluster.writes = 0
    pauses(cluster.driver(), 5, Leadership(term="second/1"))
    assert cluster.writes == len([1 for kind, _ in cluster.objects if kind in (
        "Deployment", "Service", "HTTPRoute", "HorizontalPodAutoscaler")]) + 1  # fmt: skip


def test_the_metrics_are_prometheus_text():
    cluster = installed()
    cluster.desire("r1")
    driver = cluster.driver()
    for _ in range(10):
        driver.turn()
        cluster.control()
        cluster.start()
    text = driver.figures.text()
    assert 'fairlead_driver_releases_total{outcome="switched"} 1' in text
    assert f"fairlead_driver_heartbeat_timestamp_seconds {cluster.now}" in text
    assert 'fairlead_driver_reconcile_seconds_bucket{le="+Inf"} 10' in text
    assert "fairlead_driver_reconcile_seconds_count 10" in text
