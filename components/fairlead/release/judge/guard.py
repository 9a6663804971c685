"""What all guards have in common: what they may do, what they say, and which functions they have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

Action = Literal["abort", "hold", "report"]
"""abort: the guard's evidence counts towards going back. hold: it stops the release until a person has looked. report: shown."""

HOLD_LEVEL = 0.05
"""Chance that a guard holds a release for nothing. Each has its own, outside the mean of the guards that abort."""
HOLD_EVIDENCE = math.log(1 / HOLD_LEVEL)


@dataclass(frozen=True, slots=True)
class GuardResult:
    """What one guard has to say."""

    name: str
    action: Action
    log_abort: float = 0.0
    """``log E`` now that the candidate is worse than the margin."""
    log_abort_peak: float = 0.0
    """Its largest value so far; what aborting and holding go by."""
    log_promote: float = 0.0
    """``log E`` now that it is not, at the margin of the present step."""
    n_c: float = 0.0
    """Units that were bet on."""
    x_c: float = 0.0
    """Bad ones among them."""
    n_s: float = 0.0
    x_s: float = 0.0
    estimate: float | None = None
    """Plug-in: the candidate's rate minus stable's, or what the note says it is."""
    need: float | None = None
    """Units of the candidate that the promote side still needs at the present estimate; None if it is not expected, or done."""
    looks_to_promote: float | None = None
    """The same in looks."""
    looks_to_abort: float | None = None
    """Looks until the abort side is complete, likewise."""
    required: bool = False
    """Whether the present step cannot be left without its promote side."""
    proved: bool = False
    """Whether its promote side is complete."""
    hold: str = ""
    """Why it holds the release, in words; empty if it does not."""
    note: str = ""
    """More, in words."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a release is, as far as guards care."""

    step: int = 0
    steps: int = 1
    level: float = math.log(1 / 0.05)
    """``log 1/beta``: the evidence that a proof takes."""
    alarm: float = math.log(1 / 0.05)
    """``log 1/alpha``: the evidence that going back takes."""

    @property
    def is_last(self) -> bool:
        """Whether the next weight would be 100 %."""
        return self.step >= self.steps - 1


S = TypeVar("S")
W_contra = TypeVar("W_contra", contravariant=True)


class Guard(Protocol[S, W_contra]):
    """One guard: its settings, which are fixed before the first look, and its pure functions of them."""

    @property
    def name(self) -> str:
        """In verdicts and in the journal."""
        ...

    @property
    def action(self) -> Action:
        """What its evidence may do."""
        ...

    @property
    def state(self) -> type[S]:
        """The class of its states."""
        ...

    def begin(self, shape: tuple[int, ...] = ()) -> S:
        """The state before the first look."""
        ...

    def update(self, state: S, window: W_contra) -> S:
        """The state after one look; the same state where the window has a fault."""
        ...

    def against(self, state: S) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        ...

    def result(self, state: S, stage: Stage) -> GuardResult:
        """What it says now."""
        ...


AnyGuard = Guard[Any, Any]


def rate_of(bad: float, units: float) -> float | None:
    """A rate, or None where there is nothing to divide by."""
    return bad / units if units > 0 else None


def difference(x_c: float, n_c: float, x_s: float, n_s: float) -> float | None:
    """The candidate's rate minus stable's."""
    rate_c, rate_s = rate_of(x_c, n_c), rate_of(x_s, n_s)
    return None if rate_c is None or rate_s is None else rate_c - rate_s
