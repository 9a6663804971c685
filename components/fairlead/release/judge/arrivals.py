"""From a list of labels to the windows of the labels guard: each request once, by cohort, in the order of arrival.

A pure function of the whole list, so that nothing about single requests has to be remembered between looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fairlead.release.judge.windows import Cohort, Coverage, LabelWindow

Arm = Literal["candidate", "stable"]


@dataclass(frozen=True, slots=True)
class Label:
    """One label that arrived."""

    request: str
    """Identifier of the request; of several labels the first to arrive counts."""
    cohort: int
    """Number of the look in which the prediction was made."""
    arm: Arm
    loss: float
    """0 to 1."""
    arrived: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """One cohort of predictions."""

    ended: float
    """When its look ended, in seconds since 1970; its age counts from here."""
    n_c: int
    n_s: int


def arrived(
    labels: Iterable[Label], cohorts: Mapping[int, Predicted], since: float, until: float, maturity: float
) -> LabelWindow:
    """What a look from *since* to *until* has to tell the labels guard.

    Args:
        labels: All labels of the release so far, in any order.
        cohorts: Its cohorts by number. Labels of others are ignored.
        since: End of the look before, seconds since 1970.
        until: End of this look.
        maturity: Seconds after which margins are judged on a cohort.

    >>> labels = [Label("a", 1, "candidate", 1.0, 5.0), Label("b", 1, "stable", 0.0, 6.0), Label("a", 1, "candidate", 0.0, 7.0)]
    >>> window = arrived(labels, {1: Predicted(0.0, 2, 1)}, 0.0, 10.0, maturity=10.0)
    >>> window.mature[0].c, window.coverage[0].missing_c, window.corrections
    ((1.0,), 1, 1)
    """
    order = sorted(labels, key=lambda label: (label.arrived, label.request))
    known = [label for label in order if label.cohort in cohorts and label.arrived <= until]
    first: dict[str, Label] = {}
    corrections = 0
    for label in known:
        if label.request not in first:
            first[label.request] = label
        elif since < label.arrived:
            corrections += 1
    used = list(first.values())
    mature_at = {number: cohort.ended + maturity for number, cohort in cohorts.items()}
    young = [
        label for label in used if since < label.arrived <= until and label.arrived < mature_at[label.cohort]
    ]
    ripe = [label for label in used if since < max(label.arrived, mature_at[label.cohort]) <= until]
    return LabelWindow(
        young=_by_cohort(young),
        mature=_by_cohort(ripe),
        coverage=tuple(
            _coverage(number, cohort, used)
            for number, cohort in sorted(cohorts.items())
            if since < mature_at[number] <= until
        ),
        labels=sum(since < label.arrived for label in used),
        corrections=corrections,
    )


def _by_cohort(labels: Sequence[Label]) -> tuple[Cohort, ...]:
    losses: dict[int, dict[Arm, list[float]]] = {}
    for label in labels:
        losses.setdefault(label.cohort, {"candidate": [], "stable": []})[label.arm].append(label.loss)
    return tuple(
        Cohort(number, tuple(sorted(arms["candidate"])), tuple(sorted(arms["stable"])))
        for number, arms in sorted(losses.items())
    )


def _coverage(number: int, cohort: Predicted, labels: Sequence[Label]) -> Coverage:
    came = [label.arm for label in labels if label.cohort == number]
    missing_c, missing_s = cohort.n_c - came.count("candidate"), cohort.n_s - came.count("stable")
    return Coverage(number, cohort.n_c, max(0, missing_c), cohort.n_s, max(0, missing_s))
