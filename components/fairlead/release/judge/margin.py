"""How much worse than stable the candidate may be: one line for relative, absolute and mixed margins.

The margin line is ``m(p_s) = ratio · p_s + add``. Aborting needs proof that the candidate is above it, promoting that it is
below. At a low rate the ratio alone would need millions of requests, at a high rate the addend alone would be out of reach.

Steps before the last one prove a coarser margin: at 1 % of the traffic the final one would take days. The ladder, from the last
step back (worked for the default margin of errors):

============  ==========================  =================
step          (ratio, add) becomes        default
============  ==========================  =================
last          (ratio, add)                (1.25, +0.1 pp)
one before    (≥ 2, 5 · add)              (2, +0.5 pp)
two before    (≥ 3, 20 · add)             (3, +2 pp)
earlier       (≥ 5, 50 · add)             (5, +5 pp)
============  ==========================  =================

``add`` never exceeds 0.5, and a guard with ratio 1 keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass

_LADDER = ((1.0, 1.0), (2.0, 5.0), (3.0, 20.0), (5.0, 50.0))
_MOST_ADDED = 0.5


@dataclass(frozen=True, slots=True)
class Margin:
    """The candidate may have a rate of at most ``ratio · stable + add``."""

    ratio: float = 1.25
    """No unit, above 0."""
    add: float = 0.001
    """A share, from 0 to below 1. With 0, a guard that counts no bad answers at all can never prove anything."""

    def at(self, stable: float) -> float:
        """The highest allowed rate of the candidate."""
        return self.ratio * stable + self.add

    def __str__(self) -> str:
        return f"{self.ratio:g}·stable + {100 * self.add:g} pp"


STRICT = Margin(1.0, 0.0)
"""Any proven harm. To measure false alarms with, and as the abort margin of those who want it."""


def rungs(final: Margin, steps: int) -> tuple[Margin, ...]:
    """The distinct margins of *steps* steps, the last step's first: at most four.

    >>> [str(margin) for margin in rungs(Margin(), 2)]
    ['1.25·stable + 0.1 pp', '2·stable + 0.5 pp']
    """
    return tuple(_coarser(final, *factors) for factors in _LADDER[: max(1, min(steps, len(_LADDER)))])


def rung_of(step: int, steps: int) -> int:
    """Which of :func:`rungs` step number *step* (from 0) of *steps* has to prove.

    >>> [rung_of(step, 6) for step in range(6)]
    [3, 3, 3, 2, 1, 0]
    """
    return min(max(steps - 1 - step, 0), len(_LADDER) - 1)


def step_margins(final: Margin, steps: int) -> tuple[Margin, ...]:
    """The margin to prove before leaving each step, first step first.

    >>> [(m.ratio, round(m.add, 6)) for m in step_margins(Margin(), 4)]
    [(5.0, 0.05), (3.0, 0.02), (2.0, 0.005), (1.25, 0.001)]
    >>> [(m.ratio, round(m.add, 6)) for m in step_margins(Margin(1.0, 0.05), 3)]
    [(1.0, 0.5), (1.0, 0.25), (1.0, 0.05)]
    """
    ladder = rungs(final, steps)
    return tuple(ladder[rung_of(step, steps)] for step in range(steps))


def _coarser(final: Margin, ratio: float, add: float) -> Margin:
    wider = final.ratio if final.ratio == 1.0 else max(final.ratio, ratio)
    return Margin(wider, max(final.add, min(_MOST_ADDED, add * final.add)))
