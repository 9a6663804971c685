"""Labels that come later, on a canary's split: are the candidate's answers wrong more often than stable's?

**Order.** Each label counts once, when it arrives. **Cohorts.** The predictions of one look are a cohort; labels are compared
within a cohort and the factors multiplied, never pooled: while the weight rises the candidate's labels are younger than
stable's, and errors that are labelled sooner would condemn any candidate. **Maturity.** The size of a difference
among early labels is not its final size, so margins are judged on cohorts past ``maturity``; younger ones feed a guard with a
strict margin at most.
**Coverage.** At maturity the shares without a label are compared in both directions; unequal ones mean that labels are
selected, which no comparison survives.

Labels that only the model's own decision brings about (approved, flagged) are not valid here: use an audit sample or a shadow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from fairlead.release.judge.arrays import Array, Floats, zeros
from fairlead.release.judge.guard import HOLD_EVIDENCE, Action, GuardResult, Stage
from fairlead.release.judge.margin import STRICT, Margin
from fairlead.release.judge.rates import Counts, Losses, RateState, RateTest, Units, advance, begin
from fairlead.release.judge.report import rate_result
from fairlead.release.judge.windows import Cohort, Coverage, LabelWindow

MARGIN = Margin(1.0, 0.01)
"""One more wrong answer in a hundred: the smallest that ordinary numbers of labels decide."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelsState:
    """What has been seen, and the evidence of it."""

    rates: RateState
    """Labels of mature cohorts, against the margin."""
    worst: RateState
    """The promote side when a missing label counts against the candidate."""
    early: RateState
    """Labels of all ages, against the strict margin."""
    coverage: RateState
    """(…, 2) missing labels: whether the candidate has fewer labels, and whether stable has."""
    labels: Array
    corrections: Array


@dataclass(frozen=True, slots=True)
class LabelsGuard:
    """How late labels are judged."""

    name: str = "quality"
    margin: Margin = MARGIN
    action: Action = "abort"
    required: bool = True
    early: Literal["off", "hold"] = "off"
    """Whether labels below maturity may hold the release when they prove any harm at all."""
    missing: Literal["ignore", "worst_case"] = "ignore"
    """worst_case: for the promote side a missing label is an error of the candidate and a right answer of stable."""
    coverage: float = 0.02
    """How far the shares without a label may be apart."""
    corrections: float = 0.01
    """Share of corrected labels above which the labels are not to be relied on."""
    prior_base: float = 0.1
    """Stable's mean loss before the release."""
    prior_missing: float = 0.1
    """Stable's share without a label at maturity, before the release."""
    prior_weight: float = 1000.0
    reserve: float = 0.2
    burst: float = 1.0
    """As for errors: users with many labels are bursts."""
    state: ClassVar[type[LabelsState]] = LabelsState

    def begin(self, shape: tuple[int, ...] = ()) -> LabelsState:
        """The state before the first look."""
        fresh, both = begin(self.test, shape), begin(self._missing_test, (*shape, 2))
        return LabelsState(fresh, fresh, fresh, both, zeros(shape), zeros(shape))

    @property
    def test(self) -> RateTest:
        """The test of two mean losses at the margin."""
        return RateTest((self.margin,), self.prior_base, self.prior_weight, self.reserve)

    @property
    def _missing_test(self) -> RateTest:
        line = Margin(1.0, self.coverage)
        return RateTest((line,), self.prior_missing, self.prior_weight, self.reserve, ("abort",))

    def update(self, state: LabelsState, window: LabelWindow) -> LabelsState:
        """The state after one look.

        >>> guard = LabelsGuard(margin=Margin(1.0, 0.02), prior_base=0.2)
        >>> window = LabelWindow(mature=(Cohort(1, (.1, .9, .4, 0), (.2, .1, 0, .3, .5, .1, .2, 0)),))
        >>> state = guard.update(guard.begin(), window)
        >>> float(state.rates.abort.log.round(6)), float(state.rates.promote.log[0].round(6))
        (-0.224375, -0.47428)
        """
        if window.fault():
            return state
        after = self.compare(state, losses_of(window.mature))
        if self.missing == "worst_case":
            promote = replace(self.test, sides=("promote",))
            after = replace(after, worst=advance(promote, state.worst, _worst_case(window), self.burst))
        if self.early == "hold":
            strict = replace(self.test, rungs=(STRICT,), sides=("abort",))
            after = replace(after, early=advance(strict, state.early, losses_of(window.young), self.burst))
        after = self.cover(after, covered(window.coverage))
        return replace(
            after,
            labels=after.labels + float(window.labels),
            corrections=after.corrections + float(window.corrections),
        )

    def compare(self, state: LabelsState, mature: Units) -> LabelsState:
        """Bet on losses, by cohort."""
        return replace(state, rates=advance(self.test, state.rates, mature, self.burst))

    def cover(self, state: LabelsState, missing: Counts) -> LabelsState:
        """Bet on missing labels, in both directions at once."""
        arms = (missing.n_c, missing.x_c, missing.n_s, missing.x_s)
        swapped = (missing.n_s, missing.x_s, missing.n_c, missing.x_c)
        both = Counts(*(np.stack(counts, axis=-2) for counts in zip(arms, swapped, strict=True)))
        return replace(state, coverage=advance(self._missing_test, state.coverage, both, self.burst))

    def against(self, state: LabelsState) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        return float(state.rates.abort.log)

    def result(self, state: LabelsState, stage: Stage) -> GuardResult:
        """What it says now. Labels are late, so only the last step asks for its proof."""
        proof = state.worst if self.missing == "worst_case" else state.rates
        joined = replace(state.rates, promote=proof.promote)
        return rate_result(
            self.name, self.action, self.test, joined, stage, required=self.required and stage.is_last, phi=self.burst,
            hold=self._hold(state), note=f"{float(state.labels):g} labels, {float(state.corrections):g} corrected",
        )  # fmt: skip

    def _hold(self, state: LabelsState) -> str:
        labels, corrected = float(state.labels), float(state.corrections)
        if state.coverage.peak.max() >= HOLD_EVIDENCE:
            who = ("the candidate", "stable")[int(state.coverage.peak.argmax())]
            return f"{self.name}: labels are missing unequally: {who} has fewer"
        if corrected > self.corrections * max(labels, 1.0):
            return f"{self.name}: {corrected:g} of {labels:g} labels were corrected after they were used"
        if self.early == "hold" and float(state.early.peak) >= HOLD_EVIDENCE:
            return f"{self.name}: early labels prove the candidate worse; the size of it is not known yet"
        return ""


def losses_of(cohorts: Sequence[Cohort]) -> Losses:
    """Losses by cohort as arrays, (cohorts, values); independent of the order in which labels came.

    >>> losses_of([Cohort(1, (1.0, 0.0, 1.0), (0.0,))]).w_c.tolist()
    [[1.0, 2.0]]
    """
    return _losses([Counter(cohort.c) for cohort in cohorts], [Counter(cohort.s) for cohort in cohorts])


def _worst_case(window: LabelWindow) -> Losses:
    """What the promote side sees in the worst case: cohorts at maturity, with a loss for each missing label, and none later."""
    came = {cohort.number: cohort for cohort in window.mature}
    found_c, found_s = [], []
    for one in window.coverage:
        seen = came.get(one.number, Cohort(one.number))
        c, s = dict(Counter(seen.c)), dict(Counter(seen.s))
        found_c.append(c | {1.0: c.get(1.0, 0) + one.missing_c})
        found_s.append(s | {0.0: s.get(0.0, 0) + one.missing_s})
    return _losses(found_c, found_s)


def _losses(c: Sequence[Mapping[float, float]], s: Sequence[Mapping[float, float]]) -> Losses:
    """From how often each loss occurred, a mapping a cohort."""
    y_c, w_c = _padded(c)
    y_s, w_s = _padded(s)
    return Losses(y_c, w_c, y_s, w_s)


def _padded(cohorts: Sequence[Mapping[float, float]]) -> tuple[Floats, Floats]:
    """Values and how often each occurred, (cohorts, values), padded with zeros that occurred 0 times."""
    width = max(map(len, cohorts), default=0)
    values, counts = zeros((len(cohorts), width)), zeros((len(cohorts), width))
    for position, found in enumerate(cohorts):
        for place, value in enumerate(sorted(found)):
            values[position, place], counts[position, place] = value, found[value]
    return values, counts


def covered(cohorts: Sequence[Coverage]) -> Counts:
    """Predictions and missing labels by cohort as arrays, (cohorts,)."""
    rows = np.array(
        [(one.n_c, one.missing_c, one.n_s, one.missing_s) for one in cohorts], dtype=np.float64
    ).reshape(-1, 4)
    return Counts(*rows.T)
