"""At most one process leads at any moment, whatever stops or fails."""

import copy

import pytest

from fairlead.adapters.cluster_lease import Lease
from fairlead.errors import Conflict, NotFound, ServiceError


class Leases:
    """An API server that holds one lease."""

    def __init__(self):
        self.lease, self.version, self.down = None, 0, False

    def get(self, kind, namespace, name):
        self._answer()
        if self.lease is None:
            raise NotFound(name)
        return copy.deepcopy(self.lease)

    def create(self, body):
        self._answer()
        if self.lease is not None:
            raise Conflict("exists")
        return self._keep(body)

    def replace(self, body):
        self._answer()
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise Conflict("moved on")
        return self._keep(body)

    def _answer(self):
        if self.down:
            raise ServiceError("down")

    def _keep(self, body):
        self.version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.lease)


class World:
    """A clock, an API server and two processes."""

    def __init__(self):
        self.now, self.api = 100.0, Leases()
        self.a, self.b = (
            Lease(self.api, "ns", "driver", holder=name, clock=lambda: self.now) for name in "ab"
        )


@pytest.fixture
def world():
    return World()


def test_the_first_one_leads_and_the_second_stands_by(world):
    assert world.a.try_once()
    assert not world.b.try_once()
    assert (world.a.leads(), world.b.leads()) == (True, False)


def test_a_leader_that_renews_is_never_replaced(world):
    for _ in range(50):
        assert world.a.try_once()
        assert not world.b.try_once()
        world.now += 2


def test_a_leader_that_is_stopped_knows_so_before_another_may_lead(world):
    world.a.try_once()
    led_together = False
    for _ in range(400):
        world.b.try_once()
        led_together |= world.a.leads() and world.b.leads()
        world.now += 0.1
    assert world.b.leads()
    assert not led_together
    with pytest.raises(Conflict, match="does not hold the lease"):
        world.a.allow()


def test_a_standby_waits_the_whole_duration_from_what_it_saw_itself(world):
    world.a.try_once()
    world.now += 1_000  # the standby has just started: it cannot know when that renewal was
    assert not world.b.try_once()
    world.now += 15.1
    assert world.b.try_once()


def test_a_leader_writes_no_more_when_too_little_time_is_left_for_a_request(world):
    world.a.try_once()
    world.now += 8.9
    world.a.allow()
    world.now += 0.2
    with pytest.raises(Conflict):
        world.a.allow()


def test_a_leader_goes_on_through_a_short_outage_and_stops_in_a_long_one(world):
    world.a.try_once()
    world.api.down = True
    world.now += 5
    assert world.a.try_once()
    assert world.a.trouble
    world.now += 5
    assert not world.a.try_once()


def test_who_gives_up_lets_the_next_in_at_once_and_needs_no_fence(world):
    world.a.try_once()
    world.b.try_once()
    world.a.give_up()
    assert world.b.try_once()
    assert world.b.term == ""


def test_who_takes_an_expired_lease_over_must_fence(world):
    world.a.try_once()
    world.b.try_once()
    world.now += 16
    assert world.b.try_once()
    assert world.b.term.startswith("b/")


def test_a_race_for_a_free_lease_has_one_winner(world):
    world.a.try_once()
    world.a.give_up()
    stale = world.api.get("Lease", "ns", "driver")
    world.b.try_once()
    with pytest.raises(Conflict):
        world.api.replace(stale)
    assert world.api.lease["spec"]["holderIdentity"] == "b"
