"""How the journal moves on: one step of the state machine, from what is desired, seen and written down.

::

              desired ≠ live                     ready                answers                traffic has moved
    settled ─────────────────> starting ─────────────────> probing ─────────> switching ───────────────────> settled
       ^                        │   ^                       │   │              │                       (old slot warm
       │    not ready in time,  │   └── no longer ready ────┴───┼──────────────┘                        for the window)
       └── probe fails, or live ┴───────────────────────────────┘
           is desired again
"""

from __future__ import annotations

from fairlead.release import names
from fairlead.release.journal import Failure, Journal, Phase, Release, What, Window
from fairlead.release.observed import Desired, Observed, Traffic
from fairlead.release.policy import Policy
from fairlead.release.readiness import live_pods, missing, no_room, pods_needed

TRIES = 3
"""Probes a candidate may fail before its release does: the first request of a slot can meet a proxy that has not heard of it."""


def advance(
    policy: Policy, desired: Desired | None, observed: Observed, journal: Journal, now: float
) -> Journal:
    """The journal after this look; the same one if nothing has happened."""
    journal = _forget_failure(journal, desired)
    if journal.release is not None:
        return _go_on(policy, desired, observed, journal, journal.release, now)
    if desired is not None and _wanted(journal, desired):
        return _begin(policy, desired, observed, journal, now)
    return _close_window(policy, observed, journal, now)


def adopt(observed: Observed, now: float) -> Journal:
    """A journal for a model that has none: nothing runs yet, or the journal was deleted, and what runs is taken over.

    Live is the slot that requests are led to; if they are led nowhere, the only slot with ready pods.
    """
    stamps = {
        slot: found.deployed.stamp() for slot, found in sorted(observed.slots.items()) if found.deployed
    }
    running = [slot for slot in stamps if (deployed := observed.slots[slot].deployed) and deployed.ready]
    led = [slot for slot in _led_to(observed.traffic) if slot in stamps]
    live = led[0] if led else running[0] if len(running) == 1 else None
    journal = Journal(live=live, slots=stamps)
    if live is None:
        return journal
    return journal.noted(
        now, What.ADOPTED, live, stamps[live].revision, "there was no journal; what serves is taken over"
    )


def moved(policy: Policy, traffic: Traffic, slot: str) -> bool:
    """Whether requests are led to *slot* by what the policy calls the way in."""
    pointer = traffic.route if policy.traffic.backend == "gateway" else traffic.service
    return pointer is not None and pointer.slot == slot


def obeyed(policy: Policy, traffic: Traffic, slot: str) -> bool:
    """Whether every pointer leads to *slot*, and its controllers have seen so."""
    pointers = [pointer for pointer in (traffic.route, traffic.service) if pointer]
    return moved(policy, traffic, slot) and all(
        pointer.slot == slot and pointer.obeyed for pointer in pointers
    )


# ----------------------------------------------------------------------------------------------- no release


def _forget_failure(journal: Journal, desired: Desired | None) -> Journal:
    """A failed revision is tried again once something else was desired in between, or someone asks."""
    failure = journal.failure
    if failure is None or (
        desired and (desired.revision, desired.retry) == (failure.revision, failure.retry)
    ):
        return journal
    return journal.but(failure=None)


def _wanted(journal: Journal, desired: Desired) -> bool:
    """Whether the desired revision is to be released."""
    return desired.revision != journal.live_revision() and journal.failure is None


def _begin(policy: Policy, desired: Desired, observed: Observed, journal: Journal, now: float) -> Journal:
    """Start a release in the idle slot; at once into a warm slot of the same revision, else when that slot is drained."""
    slot = names.other(journal.live) if journal.live else names.SLOTS[0]
    window = journal.window
    warm = window is not None and journal.slots[slot].revision == desired.revision
    if window and not warm and not _drained(policy, observed, journal, window, now):
        return journal
    release = Release(slot=slot, revision=desired.revision, phase=Phase.STARTING, started=now, since=now,
                      replicas=live_pods(policy, observed, journal), rollback=warm)  # fmt: skip
    stamps = journal.slots if warm else {**journal.slots, slot: desired.stamp}
    why = "goes back to the revision that is still warm" if warm else f"released by way of slot {slot}"
    if window and not warm:
        why += f"; gives up the warm revision {journal.slots[slot].revision}"
    begun = journal.but(slots=stamps, release=release, window=None)
    return begun.noted(now, What.STARTED, slot, desired.revision, why)


def _drained(policy: Policy, observed: Observed, journal: Journal, window: Window, now: float) -> bool:
    """Whether no request can be on its way to the old slot any more."""
    assert journal.live is not None  # noqa: S101 - a window follows a switch
    return now >= window.since + policy.drain_seconds and obeyed(policy, observed.traffic, journal.live)


def _close_window(policy: Policy, observed: Observed, journal: Journal, now: float) -> Journal:
    window = journal.window
    if window is None or now < window.until or not _drained(policy, observed, journal, window, now):
        return journal
    return journal.but(window=None)


# ---------------------------------------------------------------------------------------- a release under way


def _go_on(
    policy: Policy,
    desired: Desired | None,
    observed: Observed,
    journal: Journal,
    release: Release,
    now: float,
) -> Journal:
    if release.phase is Phase.SWITCHING and moved(policy, observed.traffic, release.slot):
        return _finish(policy, observed, journal, release, now)
    if desired is None or desired.revision == journal.live_revision():
        why = "no revision is desired any more" if desired is None else "the live revision is desired again"
        return journal.but(release=None).noted(now, What.CANCELLED, release.slot, release.revision, why)
    if desired.revision != release.revision:
        why = f"revision {desired.revision} takes its place"
        dropped = journal.but(release=None).noted(now, What.REPLACED, release.slot, release.revision, why)
        return _begin(policy, desired, observed, dropped, now)
    needed = pods_needed(policy, observed, journal, release)
    lacking = missing(observed, policy, journal.slots[release.slot], release.slot, needed)
    if lacking:
        return _wait(policy, desired, observed, journal, release, lacking, now)
    return _prove(policy, desired, observed, journal, release, now)


def _finish(policy: Policy, observed: Observed, journal: Journal, release: Release, now: float) -> Journal:
    """Traffic has moved: the candidate is live, the old slot stays warm."""
    old = journal.live
    length = max(policy.window_seconds, policy.drain_seconds)
    replicas = max(release.replicas, live_pods(policy, observed, journal))
    window = Window(slot=old, since=now, until=now + length, replicas=replicas) if old else None
    what = What.ROLLED_BACK if release.rollback else What.SWITCHED
    done = journal.but(live=release.slot, release=None, window=window)
    return done.noted(
        now, what, release.slot, release.revision, release.said or "it was warm: not probed again"
    )


def _wait(
    policy: Policy,
    desired: Desired,
    observed: Observed,
    journal: Journal,
    release: Release,
    lacking: str,
    now: float,
) -> Journal:
    """The candidate is not ready: wait, hold while there is no room for it, or fail when its time is over."""
    slot = observed.slots[release.slot]
    held = no_room(slot)
    if held:
        waiting = release.model_copy(update={"phase": Phase.STARTING, "held": held})
    elif release.held or release.phase is not Phase.STARTING:
        waiting = release.model_copy(update={"phase": Phase.STARTING, "held": "", "since": now})
    elif now - release.since > policy.ready_seconds:
        trouble = f" ({slot.pods.trouble})" if slot.pods.trouble else ""
        return _fail(
            desired, journal, release, f"not ready in {policy.ready_seconds} s: {lacking}{trouble}", now
        )
    else:
        return journal
    return journal.but(release=waiting)


def _prove(
    policy: Policy, desired: Desired, observed: Observed, journal: Journal, release: Release, now: float
) -> Journal:
    """The candidate is ready: from there to a probe, and from a passed probe to the switch."""
    if release.phase is Phase.STARTING:
        phase = Phase.SWITCHING if release.rollback or release.passed else Phase.PROBING
        changes = {"phase": phase, "held": "", "tries": 0}
    elif release.phase is Phase.PROBING and release.passed:
        changes = {"phase": Phase.SWITCHING}
    elif release.phase is Phase.PROBING and release.tries >= TRIES:
        return _fail(
            desired, journal, release, f"{release.tries} probes failed; the last: {release.said}", now
        )
    elif release.phase is Phase.SWITCHING:
        changes = {"held": _no_way_in(policy, observed.traffic)}
    else:
        return journal
    return journal.but(release=release.model_copy(update=changes))


def _no_way_in(policy: Policy, traffic: Traffic) -> str:
    if policy.traffic.backend == "gateway":
        return "" if traffic.route else f"there is no HTTPRoute {policy.traffic.route}"
    return "" if traffic.service else f"there is no Service {policy.model}"


def _fail(desired: Desired, journal: Journal, release: Release, why: str, now: float) -> Journal:
    """Give the release up. Traffic has not moved; the slot is idle from now on and goes to zero."""
    failure = Failure(revision=release.revision, retry=desired.retry, why=why)
    failed = journal.but(release=None, failure=failure)
    return failed.noted(now, What.FAILED, release.slot, release.revision, why)


def _led_to(traffic: Traffic) -> list[str]:
    pointers = (traffic.route, traffic.service)
    return [pointer.slot for pointer in pointers if pointer and pointer.slot]
