"""What differs from the journal, and the writes that put it right.

Nothing here depends on how the difference came about: a step that a kill cut off, ``helm upgrade --force``, a person with
kubectl. At most one write an object, because each carries the resourceVersion of the look it was decided on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead.release import names
from fairlead.release.actions import (
    Action,
    CreateSlot,
    ScaleSlot,
    SetFloor,
    SetRules,
    SetSelector,
    StampSlot,
    Weights,
)
from fairlead.release.journal import Journal, Phase
from fairlead.release.observed import Observed, Pointer, Slot, fits
from fairlead.release.policy import Policy
from fairlead.release.readiness import bounded, live_pods, missing, pods_needed


@dataclass(frozen=True, slots=True)
class Wish:
    """How many pods a slot is to have."""

    role: str
    """live, candidate, warm or idle."""
    least: int
    """Pods at least; 0 for an idle slot, which has none."""
    floor: int
    """``minReplicas`` of its autoscaler."""
    exact: bool = False
    """Whether *least* is also the most: there is no autoscaler, and nothing else keeps pods."""


def repairs(policy: Policy, observed: Observed, journal: Journal) -> list[Action]:
    """Every write that is due, pods first and traffic last."""
    found: list[Action] = []
    for slot in names.SLOTS:
        found += _of_slot(policy, observed, journal, slot, wish(policy, observed, journal, slot))
    return [*found, *_of_traffic(policy, observed, journal)]


def wish(policy: Policy, observed: Observed, journal: Journal, slot: str) -> Wish:
    """What the journal wants of a slot.

    Both slots of a release keep the pods the live slot had when it began until the window ends, so that an autoscaler that sees
    one of them idle cannot take away what a way back would need.

    Examples (floor 2, autoscaled): settled, live → at least 2; releasing from 5 pods, live → 5, candidate → 5;
    in the window after it, live and warm → 5; idle → 0, its floor waiting at 2.
    """
    release, window, floor = journal.release, journal.window, policy.scale.floor
    if slot == journal.live:
        kept = release.replicas if release else window.replicas if window else floor
        least = bounded(observed.slots[slot], kept)
        exact = observed.slots[slot].scaler is None and not release and not window
        return Wish("live", least, least, exact)
    if release and slot == release.slot:
        least = pods_needed(policy, observed, journal, release)
        if release.rollback:
            least = bounded(observed.slots[slot], max(least, live_pods(policy, observed, journal)))
        return Wish("candidate", least, least)
    if window and slot == window.slot:
        least = bounded(observed.slots[slot], window.replicas)
        return Wish("warm", least, least)
    return Wish("idle", 0, bounded(observed.slots[slot], floor))


def _of_slot(
    policy: Policy, observed: Observed, journal: Journal, slot: str, wanted: Wish
) -> Iterator[Action]:
    seen = observed.slots[slot]
    if seen.scaler and seen.scaler.floor != wanted.floor:
        yield SetFloor(slot, wanted.floor, f"minReplicas of the {wanted.role} slot is {seen.scaler.floor}")
    if wanted.role == "idle":
        yield from _emptied(observed, journal, slot, seen)
        return
    stamp = journal.slots[slot]
    if seen.deployed is None:
        yield CreateSlot(slot, stamp, wanted.least, f"the {wanted.role} slot has no Deployment")
    elif not fits(seen.deployed, stamp, policy.model, slot, observed.policy_uid):
        yield StampSlot(
            slot, stamp, f"the {wanted.role} slot's Deployment is not revision {stamp.revision} as stamped"
        )
    elif seen.deployed.replicas < wanted.least or (wanted.exact and seen.deployed.replicas != wanted.least):
        yield ScaleSlot(slot, wanted.least, f"the {wanted.role} slot has {seen.deployed.replicas} pods")


def _emptied(observed: Observed, journal: Journal, slot: str, seen: Slot) -> Iterator[Action]:
    """An idle slot goes to zero, but never while anything may still lead requests to it."""
    pointers = (observed.traffic.route, observed.traffic.preview, observed.traffic.service)
    led = any(pointer and pointer.slot != journal.live for pointer in pointers) and journal.live is not None
    if seen.deployed and seen.deployed.replicas and not led:
        yield ScaleSlot(slot, 0, "the slot is idle")


def _of_traffic(policy: Policy, observed: Observed, journal: Journal) -> Iterator[Action]:
    release, traffic = journal.release, observed.traffic
    target, shown, shared = journal.live, journal.live, None
    if release and release.phase is not Phase.STARTING:
        needed = pods_needed(policy, observed, journal, release)
        if not missing(observed, policy, journal.slots[release.slot], release.slot, needed):
            shown = release.slot
            target = release.slot if release.phase is Phase.SWITCHING else target
            shared = weights_of(journal)
    weights = shared or ({target: 100.0} if target else {})
    if weights and _differs(traffic.route, weights):
        yield SetRules(str(policy.traffic.route), weights, f"the rules do not lead to {in_words(weights)}")
    if target and _differs(traffic.service, {target: 100.0}):
        yield SetSelector(target, f"the live Service does not select slot {target}")
    if shown and _differs(traffic.preview, {shown: 100.0}):
        yield SetRules(
            str(policy.traffic.preview_route), {shown: 100.0}, f"the preview does not lead to slot {shown}"
        )


def weights_of(journal: Journal) -> Weights | None:
    """How traffic is shared while it is moved by steps; None at any other time."""
    release = journal.release
    if release is None or release.phase is not Phase.SHIFTING or release.shift is None or not journal.live:
        return None
    return {journal.live: 100.0 - release.shift.weight, release.slot: release.shift.weight}


def in_words(weights: Weights) -> str:
    """Slots and their shares.

    >>> in_words({"blue": 100.0}), in_words({"blue": 95.0, "green": 5.0})
    ('slot blue', 'slots blue (95 %) and green (5 %)')
    """
    if len(weights) == 1:
        return f"slot {next(iter(weights))}"
    return "slots " + " and ".join(f"{slot} ({share:g} %)" for slot, share in weights.items())


def _differs(pointer: Pointer | None, weights: Weights) -> bool:
    return pointer is not None and pointer.shares() != weights
