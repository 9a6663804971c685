"""Whether a slot may get traffic, and how many pods it needs for that."""

from __future__ import annotations

from fairlead.release.journal import Journal, Release, Stamp
from fairlead.release.observed import Observed, Slot, fits
from fairlead.release.policy import Policy


def missing(observed: Observed, policy: Policy, stamp: Stamp, slot: str, needed: int) -> str:
    """What the slot still lacks before traffic may go there, in words; empty if nothing.

    A pod that is leaving counts as lacking: it is of an older revision, and might be the one that answers the probe.
    """
    found, pods = observed.slots[slot].deployed, observed.slots[slot].pods
    if found is None or not fits(found, stamp, policy.model, slot, observed.policy_uid):
        return "its Deployment is not stamped yet"
    if not found.current:
        return "its Deployment has not been looked at by Kubernetes yet"
    if found.replicas < needed:
        return f"{found.replicas} of {needed} pods asked for"
    if not found.updated == found.ready == found.total == found.replicas:
        return f"{min(found.ready, found.updated)} of {found.replicas} pods ready"
    if pods.leaving:
        return f"{pods.leaving} pods of an older revision are still leaving"
    return ""


def no_room(slot: Slot) -> str:
    """Why Kubernetes finds no room for the slot's pods: no node, or a quota; empty if it does."""
    return slot.pods.pending or (slot.deployed.refused if slot.deployed else "")


def pods_needed(policy: Policy, observed: Observed, journal: Journal, release: Release) -> int:
    """How many ready pods the candidate must have before it gets traffic.

    As many as the live slot has now, and at least as many as it had when the release began: the autoscaler needs load to
    scale a slot, so the load must never come first. A rollback is urgent and asks for the floor only; the slot is scaled
    up at the same time. Never more than the autoscaler's own limit.

    Examples (floor 2): first release → 2; live slot at 5 pods → 5; rollback with the live slot at 5 → 2;
    live slot at 5 and the candidate's maxReplicas 4 → 4.
    """
    if release.rollback:
        return bounded(observed.slots[release.slot], policy.scale.floor)
    return bounded(observed.slots[release.slot], max(release.replicas, live_pods(policy, observed, journal)))


def live_pods(policy: Policy, observed: Observed, journal: Journal) -> int:
    """Pods asked for in the live slot, at least the floor."""
    deployed = observed.slots[journal.live].deployed if journal.live else None
    return max(policy.scale.floor, deployed.replicas if deployed else 0)


def bounded(slot: Slot, replicas: int) -> int:
    """*replicas*, but no more than the slot's autoscaler allows."""
    return min(replicas, slot.scaler.ceiling) if slot.scaler else replicas
