"""How the journal moves on: one step of the state machine, from what is desired, seen and written down.

::

              desired ≠ live                     ready                answers                traffic has moved
    settled ─────────────────> starting ─────────────────> probing ─────────> switching ───────────────────> settled
       ^                        │   ^                       │   │ │            ^ │                     (old slot warm
       │    not ready in time,  │   └── no longer ready ────┴───┼─┼────────────┼─┘                      for the window)
       └── probe fails, proved ─┴───────────────────────────────┘ └> shifting ─┘ proved good at the last weight
           worse, or live is desired again                            1, 5, 25 … %
"""

from __future__ import annotations

from fairlead.release import names
from fairlead.release.commands import obey
from fairlead.release.journal import Failure, Journal, Phase, Release, Shift, What, Window
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
    if desired is not None and desired.command is not None and desired.command.identity != journal.obeyed:
        return _obey(desired, journal, now)
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
    """The candidate is ready: from there to a probe, from a passed probe to its first weight or the switch."""
    if release.phase is Phase.STARTING and not (release.rollback or release.passed):
        changes = {"phase": Phase.PROBING, "held": "", "tries": 0}
    elif release.phase is Phase.STARTING or (release.phase is Phase.PROBING and release.passed):
        changes = {**_first_weight(policy, journal, release, now), "held": ""}
    elif release.phase is Phase.SHIFTING and release.shift is not None:
        return _go_by_verdict(policy, desired, observed, journal, release, release.shift, now)
    elif release.phase is Phase.PROBING and release.tries >= TRIES:
        return _fail(
            desired, journal, release, f"{release.tries} probes failed; the last: {release.said}", now
        )
    elif release.phase is Phase.SWITCHING:
        changes = {"held": _no_way_in(policy, observed.traffic)}
    else:
        return journal
    return journal.but(release=release.model_copy(update=changes))


def _first_weight(policy: Policy, journal: Journal, release: Release, now: float) -> dict[str, object]:
    """Where a candidate that has passed its probe goes: to its weight, or to all of the traffic.

    All at once goes the very first revision, which has nothing to be compared with, and the way back to a warm one.
    """
    shift = release.shift
    if release.rollback or journal.live is None or not (shift or policy.steps):
        return {"phase": Phase.SWITCHING}
    if shift is not None:  # it was not ready for a while: the weight is the same, and evidence goes on
        return {"phase": Phase.SHIFTING, "shift": shift.model_copy(update={"since": now, "said": None})}
    return {"phase": Phase.SHIFTING, "shift": Shift(steps=policy.steps, since=now)}


def _go_by_verdict(
    policy: Policy,
    desired: Desired,
    observed: Observed,
    journal: Journal,
    release: Release,
    shift: Shift,
    now: float,
) -> Journal:
    """What the latest verdict asks for."""
    said = shift.said
    if said is None or said.action in ("hold", "no_data"):
        return journal
    if said.action == "abort":
        unfit = _unfit(policy, observed, journal)
        if unfit:
            return journal.but(release=release.model_copy(update={"held": f"not taken back: {unfit}"}))
        return _abort(desired, journal, release, "; ".join(said.reasons), now)
    if shift.paused:
        return journal
    return next_weight(journal, release, shift, "; ".join(said.reasons), now)


def next_weight(journal: Journal, release: Release, shift: Shift, why: str, now: float) -> Journal:
    """One step on: a larger weight, or all of the traffic after the last one."""
    if shift.step + 1 == len(shift.steps):
        moved_on = release.model_copy(update={"phase": Phase.SWITCHING, "said": why[:300]})
        return journal.but(release=moved_on)
    onward = shift.model_copy(update={"step": shift.step + 1, "since": now, "said": None})
    stepped = journal.but(release=release.model_copy(update={"shift": onward, "held": ""}))
    return stepped.noted(
        now, What.STEPPED, release.slot, release.revision, f"{onward.weight:g} % of the traffic: {why}"
    )


def _unfit(policy: Policy, observed: Observed, journal: Journal) -> str:
    """Why the live slot cannot take all of the traffic: a candidate is not taken back to something worse."""
    if journal.live is None:
        return "there is no live slot"
    lacking = missing(observed, policy, journal.slots[journal.live], journal.live, 1)
    return f"the live slot is not fit for all of the traffic ({lacking})" if lacking else ""


def _obey(desired: Desired, journal: Journal, now: float) -> Journal:
    """Do what a person says, once."""
    command = desired.command
    assert command is not None  # noqa: S101 - the caller asked
    journal = journal.but(obeyed=command.identity)
    release = journal.release
    if release is None or release.shift is None or release.phase is not Phase.SHIFTING:
        if command.verb == "abort" and release is not None and release.phase is not Phase.SWITCHING:
            return _abort(desired, journal, release, command.said(), now)
        return journal
    if command.verb == "abort":
        return _abort(desired, journal, release, command.said(), now)
    if command.verb == "promote":
        return next_weight(journal, release, release.shift, command.said(), now)
    told = journal.but(release=release.model_copy(update={"shift": obey(release.shift, command)}))
    return told.noted(now, What.TOLD, release.slot, release.revision, command.said())


def _abort(desired: Desired, journal: Journal, release: Release, why: str, now: float) -> Journal:
    ended = journal.but(
        release=None, failure=Failure(revision=release.revision, retry=desired.retry, why=why[:300])
    )
    return ended.noted(now, What.ABORTED, release.slot, release.revision, why)


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
