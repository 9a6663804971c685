"""What a decision can ask for. Each action is one write (or one probe), idempotent, and says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.release.journal import Journal, Stamp

Weights = Mapping[str, float]
"""Slot to its share of the traffic in percent; slots without a share are left out."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An event for people, on the policy ConfigMap."""

    reason: str
    """One CamelCase word, as Kubernetes wants it."""
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Write the journal, then tell people."""

    journal: Journal
    notices: tuple[Notice, ...]
    why: str


@dataclass(frozen=True, slots=True)
class CreateSlot:
    """Make the slot's Deployment."""

    slot: str
    stamp: Stamp
    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class StampSlot:
    """Make the slot's Deployment what its stamp says, whatever was changed. Leaves the number of pods alone."""

    slot: str
    stamp: Stamp
    why: str


@dataclass(frozen=True, slots=True)
class ScaleSlot:
    """Set the number of pods."""

    slot: str
    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class SetFloor:
    """Set ``minReplicas`` of the slot's autoscaler."""

    slot: str
    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class SetRules:
    """Set all rules of an HTTPRoute."""

    route: str
    weights: Weights
    why: str


@dataclass(frozen=True, slots=True)
class SetSelector:
    """Set the selector of the live Service."""

    slot: str
    why: str


@dataclass(frozen=True, slots=True)
class ProbeSlot:
    """Ask the slot for predictions, and write down in the journal what it answered."""

    slot: str
    stamp: Stamp
    why: str


@dataclass(frozen=True, slots=True)
class TakeLook:
    """Read the counters of both slots, have them judged, and write down in the journal what was said."""

    slot: str
    """The candidate's."""
    why: str


Action = (
    Record | CreateSlot | StampSlot | ScaleSlot | SetFloor | SetRules | SetSelector | ProbeSlot | TakeLook
)
