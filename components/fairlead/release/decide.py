"""What to do next: a pure function of policy, desire, sight, memory and clock.

One look gives either one step of the journal or the writes that make the cluster what the journal says, never both: a step
is written down before anything is changed for it, so there is no moment at which a kill loses or repeats one.

Worked examples (floor 1, ``r1`` live in blue, ``r2`` desired, steps 10 and 50 %; the same table is tested):

==================================================================  ==========================================================
seen                                                                decided
==================================================================  ==========================================================
no journal                                                          Record: nothing runs, or what runs is adopted
``r1`` desired, all as stamped                                      nothing
``r2`` desired                                                      Record: release to green, *starting*
green has no Deployment                                             CreateSlot green
green has 0 of 1 pods ready                                         nothing
… for longer than readySeconds                                      Record: failed
… because no node has room                                          Record: held, the time does not run
green ready                                                         Record: *probing*
*probing*                                                           ProbeSlot green
… 3 probes failed                                                   Record: failed
… answered                                                          Record: *switching*, or with a plan *shifting* at 10 %
*shifting* at 10 %                                                  SetRules blue 90, green 10
… rules as wanted, and a look's length has passed                   TakeLook
… the judge holds, or has no data                                   nothing
… proved good                                                       Record: *shifting* at 50 %; after the last weight *switching*
… proved worse                                                      Record: aborted
… proved worse, and blue is not ready                               Record: held
… not all ready any more                                            Record: *starting*, and the rules lead to blue
*switching*                                                         SetRules green, SetSelector green
rules lead to green                                                 Record: switched, blue warm
``r1`` desired while blue is warm                                   Record: release to blue, *rollback*: ready, then switching
the window is over                                                  Record: window closed
blue idle with pods                                                 ScaleSlot blue 0
rules, selector, minReplicas, template or Deployment not as wanted  SetRules, SetSelector, SetFloor, StampSlot, CreateSlot
==================================================================  ==========================================================
"""

from __future__ import annotations

from fairlead.release.actions import Action, Notice, ProbeSlot, Record, TakeLook
from fairlead.release.advance import TRIES, adopt, advance
from fairlead.release.journal import Journal, Outcome, Phase, What
from fairlead.release.looks import seconds_between
from fairlead.release.observed import Desired, Observed
from fairlead.release.policy import Policy
from fairlead.release.readiness import missing, pods_needed
from fairlead.release.repair import repairs

PAUSE = 1.0
"""Seconds between two probes of a candidate."""


def decide(
    policy: Policy, desired: Desired | None, observed: Observed, journal: Journal | None, now: float
) -> list[Action]:
    """The next actions, to be done in order; after a Conflict the rest is dropped and one looks again.

    Args:
        policy: How this model is released.
        desired: The revision asked for; None while there is no model yet.
        observed: What is there.
        journal: What was intended so far; None if nothing is written down.
        now: Seconds since 1970.
    """
    if journal is None:
        return [_record(None, adopt(observed, now))]
    following = advance(policy, desired, observed, journal, now)
    if following != journal:
        return [_record(journal, following)]
    due = repairs(policy, observed, journal)
    return [
        *due,
        *_probe(policy, observed, journal, now),
        *([] if due else _look(policy, observed, journal, now)),
    ]


def _probe(policy: Policy, observed: Observed, journal: Journal, now: float) -> list[Action]:
    release = journal.release
    if release is None or release.phase is not Phase.PROBING or release.passed or release.tries >= TRIES:
        return []
    stamp = journal.slots[release.slot]
    lacking = missing(observed, policy, stamp, release.slot, pods_needed(policy, observed, journal, release))
    if lacking or 0 <= now - release.tried < PAUSE:
        return []
    return [ProbeSlot(release.slot, stamp, f"probe {release.tries + 1} of {TRIES}")]


def _look(policy: Policy, observed: Observed, journal: Journal, now: float) -> list[Action]:
    """A look at a weight that the gateway has taken in, as often as the plan says; nothing else may be due."""
    release, route = journal.release, observed.traffic.route
    if release is None or release.phase is not Phase.SHIFTING or release.shift is None:
        return []
    if route is None or not route.obeyed or 0 <= now - release.shift.looked < seconds_between(policy):
        return []
    return [TakeLook(release.slot, f"look {release.shift.looks + 1} at {release.shift.weight:g} %")]


def _record(before: Journal | None, after: Journal) -> Record:
    fresh = [outcome for outcome in after.outcomes if before is None or outcome not in before.outcomes]
    why = "; ".join(f"{outcome.what.value}: {outcome.why}" for outcome in fresh) or _step(after)
    return Record(after, tuple(map(notice_of, fresh)), why)


def _step(after: Journal) -> str:
    if after.release is None:
        return "settled"
    return f"{after.release.phase.value}{': ' + after.release.held if after.release.held else ''}"


def notice_of(outcome: Outcome) -> Notice:
    """What people are told of an outcome."""
    word = "".join(part.capitalize() for part in outcome.what.value.split())
    said = f"revision {outcome.revision} in slot {outcome.slot}: {outcome.what.value}: {outcome.why}"
    return Notice(
        f"Release{word}", said, warning=outcome.what in (What.FAILED, What.ABORTED, What.ROLLED_BACK)
    )
