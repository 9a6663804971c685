"""What the driver sees of one model: frozen records, each with the resourceVersion it was read at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlead.release import names
from fairlead.release.actions import Weights
from fairlead.release.journal import Stamp
from fairlead.release.objects import digest, plain_template, slot_template


@dataclass(frozen=True, slots=True)
class Command:
    """What a person tells the driver, once."""

    identity: str
    """Told apart by it; one that was carried out is not carried out again."""
    verb: str
    """``pause``, ``resume``, ``promote``, ``abort`` or ``acknowledge``."""
    who: str
    why: str = ""
    guard: str = ""
    """Acknowledge: whose reason to hold is accepted."""

    def said(self) -> str:
        """In words."""
        about = f" {self.guard}" if self.guard else ""
        return f"{self.verb}{about} by {self.who}" + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class Desired:
    """The revision that Helm, Git or a person asks for."""

    stamp: Stamp
    retry: str = ""
    """Value of the retry annotation on the policy."""
    command: Command | None = None

    @property
    def revision(self) -> str:
        """The name of the revision."""
        return self.stamp.revision


@dataclass(frozen=True, slots=True)
class Deployed:
    """A slot's Deployment."""

    version: str
    annotations: Mapping[str, str]
    template: Mapping[str, Any]
    """As the API server answers it, with the slot's label."""
    owner: str
    """uid of its first owner."""
    replicas: int
    """Pods asked for."""
    total: int
    updated: int
    ready: int
    current: bool
    """Whether the status is about the newest specification."""
    refused: str = ""
    """Why the API server refuses to make its pods (a quota), if it does."""

    @property
    def revision(self) -> str:
        """The revision it says it is."""
        return self.annotations.get(names.REVISION, "")

    def stamp(self) -> Stamp:
        """What it is, as the stamp that would make it so."""
        said = self.annotations
        return Stamp(revision=self.revision, template=plain_template(self.template),
                     bundle=said.get(names.BUNDLE, ""), probe=said.get(names.PROBE, ""))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pods:
    """What only the pods themselves say."""

    leaving: int = 0
    """Pods that were told to stop and have not."""
    pending: str = ""
    """Why pods find no node, in the scheduler's words; empty if all have one."""
    trouble: str = ""
    """Why a container does not run: CrashLoopBackOff and the like."""


@dataclass(frozen=True, slots=True)
class Scaler:
    """A slot's HorizontalPodAutoscaler."""

    version: str
    floor: int | None
    ceiling: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot."""

    deployed: Deployed | None = None
    pods: Pods = Pods()
    scaler: Scaler | None = None


@dataclass(frozen=True, slots=True)
class Pointer:
    """Something that leads requests to a slot: an HTTPRoute, or the live Service."""

    version: str
    slot: str | None
    """The slot it leads to; None if it leads elsewhere, nowhere, or not exactly as the driver would write it."""
    obeyed: bool = True
    """Whether the controllers behind it say that they have seen its newest specification."""
    weights: Weights = field(default_factory=dict)
    """Where it leads to both slots, by which weights; empty otherwise."""

    def shares(self) -> Weights:
        """Slot to weight in percent; empty where it leads elsewhere.

        >>> Pointer("1", "blue").shares(), Pointer("1", None, weights={"blue": 95, "green": 5}).shares()
        ({'blue': 100}, {'blue': 95, 'green': 5})
        """
        return self.weights or ({self.slot: 100} if self.slot else {})


@dataclass(frozen=True, slots=True)
class Traffic:
    """Where requests go. None: there is no such object."""

    route: Pointer | None = None
    preview: Pointer | None = None
    service: Pointer | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """All the driver sees of one model at one moment."""

    namespace: str
    policy_name: str
    policy_uid: str
    slots: Mapping[str, Slot] = field(default_factory=lambda: dict.fromkeys(names.SLOTS, Slot()))
    traffic: Traffic = Traffic()
    journal_version: str | None = None


def fits(deployed: Deployed, stamp: Stamp, model: str, slot: str, owner: str) -> bool:
    """Whether a Deployment is what its stamp says, and belongs to the policy of uid *owner*."""
    expected = stamp.answered or digest(slot_template(stamp, model, slot))
    return (
        deployed.revision == stamp.revision
        and deployed.owner == owner
        and digest(deployed.template) == expected
    )
