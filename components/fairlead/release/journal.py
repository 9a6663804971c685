"""What the driver intends and how far it got, so that it can be killed at any moment and go on.

The journal is the state only: which slot is live, what each slot is meant to be, the release under way, the window in which
one can go back at once, the last failure, and the last few outcomes. It is written *before* the cluster is changed; a change
that a kill cut off is seen as missing by the next look and made then. It lives in one ConfigMap and is written whole.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from fairlead.errors import IntegrityError
from fairlead.spec.base import SpecModel

LIMIT = 64 * 1024
"""Bytes a journal may have: far below what etcd takes, so that a write is never refused for its size."""
KEPT = 20
"""Outcomes that are kept."""


class Phase(StrEnum):
    """How far a release is."""

    STARTING = "starting"
    """The candidate's pods are on their way to ready."""
    PROBING = "probing"
    """The candidate is ready and has yet to answer the probe."""
    SHIFTING = "shifting"
    """Traffic moves to it by steps, as far as the judge finds it good."""
    SWITCHING = "switching"
    """The candidate has proved itself; traffic is moved to it."""


class What(StrEnum):
    """How a release ended, or that it began."""

    STARTED = "started"
    STEPPED = "stepped"
    """It has the next weight."""
    SWITCHED = "switched"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"
    ABORTED = "aborted"
    """The judge proved it worse than the margins, or a person ended it."""
    TOLD = "told"
    """A person paused, resumed or went on, or accepted what the judge held the release for."""
    REPLACED = "replaced"
    """A newer revision took the candidate's slot."""
    CANCELLED = "cancelled"
    """The desired revision is the live one again, or there is none any more."""
    ADOPTED = "adopted"
    """There was no journal; it was written anew from what runs."""


class Stamp(SpecModel):
    """What a slot's Deployment is meant to be. Kept here, because by the time it must be repaired the chart may say otherwise."""

    revision: str
    template: dict[str, Any]
    """Pod template without the slot's label."""
    bundle: str = ""
    probe: str = ""
    """Value of the probe annotation; empty if there is none."""
    answered: str = ""
    """Digest of the template as the API server answered it, where admission made it differ from what was sent."""


class Said(SpecModel):
    """The judge's latest verdict."""

    action: Literal["promote", "hold", "abort", "no_data"]
    reasons: tuple[str, ...] = ()
    forecast: str = ""


class Shift(SpecModel):
    """How far traffic has moved, and what is known of the candidate."""

    steps: tuple[float, ...]
    """Weights in percent, fixed when the release began."""
    step: int = 0
    since: float
    """When the present weight was set."""
    looked: float = 0.0
    """When the judge last looked."""
    looks: int = 0
    bins: int = 0
    """How many labels or bins of the score the answers have, fixed when counters are read first; 0: they are not judged."""
    slow_above: float | None = None
    """Bound of the histogram in seconds above which an answer is slow, fixed likewise; None: slow answers are not judged."""
    evidence: str = ""
    """The judge's states; empty before the first look."""
    said: Said | None = None
    """About the present weight."""
    paused: str = ""
    """By whom and why; no next step meanwhile, but the judge goes on, and may end the release."""
    acknowledged: tuple[str, ...] = ()
    """Guards whose reason to hold a person has accepted."""

    @property
    def weight(self) -> float:
        """The candidate's weight in percent."""
        return self.steps[self.step]


class Release(SpecModel):
    """A revision on its way to live."""

    slot: str
    revision: str
    phase: Phase
    started: float
    """Seconds since 1970, as all times here: they must outlive the process."""
    since: float
    """From when the time to get ready counts; moved on while there is no room for the pods."""
    replicas: int
    """The live slot's pods when the release began, at least the floor; the live slot keeps as many until the window ends."""
    rollback: bool = False
    """Back to the revision that is still warm: nothing to start, nothing to probe."""
    held: str = ""
    """Why the release waits without its time running: no room for the pods."""
    tries: int = 0
    tried: float = 0.0
    """When the last probe was sent."""
    passed: bool = False
    said: str = ""
    """What the last probe found."""
    shift: Shift | None = None
    """Once traffic moves by steps."""


class Window(SpecModel):
    """After a switch: the old slot is warm."""

    slot: str
    """The old slot."""
    since: float
    until: float
    replicas: int
    """Pods that both slots keep."""


class Failure(SpecModel):
    """The revision that failed; it is not tried again by itself."""

    revision: str
    retry: str
    """The retry annotation when it failed."""
    why: str


class Outcome(SpecModel):
    """One line of history."""

    at: float
    what: What
    revision: str
    slot: str
    why: str


class Journal(SpecModel):
    """The state of one model's releases."""

    version: Literal[1] = 1
    live: str | None = None
    """The slot that traffic belongs to."""
    slots: dict[str, Stamp] = Field(default_factory=dict)
    release: Release | None = None
    window: Window | None = None
    failure: Failure | None = None
    outcomes: tuple[Outcome, ...] = ()
    """Newest last."""
    obeyed: str = ""
    """The last command of a person that was carried out."""

    @model_validator(mode="after")
    def _each_slot_in_use_has_a_stamp(self) -> Self:
        used = {self.live, self.release and self.release.slot, self.window and self.window.slot} - {None}
        if not used <= set(self.slots):
            raise ValueError(f"there is no stamp for {', '.join(sorted(map(str, used - set(self.slots))))}")
        return self

    def live_revision(self) -> str | None:
        """The revision that serves."""
        return self.slots[self.live].revision if self.live else None

    def but(self, **changes: Any) -> Journal:
        """A copy with *changes*."""
        return self.model_copy(update=changes)

    def noted(self, at: float, what: What, slot: str, revision: str, why: str) -> Journal:
        """A copy with one more outcome."""
        outcome = Outcome(at=round(at, 3), what=what, slot=slot, revision=revision, why=why[:500])
        return self.but(outcomes=(*self.outcomes, outcome)[-KEPT:])

    def to_json(self) -> str:
        """The text to keep.

        Raises:
            IntegrityError: It has more than 64 KiB.
        """
        text = self.model_dump_json()
        size = len(text.encode())
        if size > LIMIT:
            raise IntegrityError(f"the release journal would have {size} bytes, and {LIMIT} are allowed",
                                 hint="The pod template is too large: move long values into a ConfigMap.")  # fmt: skip
        return text

    @classmethod
    def from_json(cls, text: str) -> Journal:
        """The inverse of :meth:`to_json`.

        Raises:
            IntegrityError: It is no journal, or of a version that this driver does not know.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as cause:
            first = cause.errors()[0]
            where = ".".join(map(str, first["loc"])) or "journal.json"
            raise IntegrityError(
                f"the release journal cannot be read ({where}: {first['msg']}), so nothing is changed",
                hint="A newer driver wrote it: use that one. If it is damaged, delete its ConfigMap: what runs is then adopted.",
            ) from cause
