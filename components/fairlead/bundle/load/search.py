"""Which rate to try next: the search for the highest rate that keeps the objective, as a pure function of what was tried.

Three phases. *Bracket*: rates double from a low start until one is missed. *Bisect*: the middle (geometric) of the
highest that held and the lowest that did not, until they are within 5 %. *Confirm*: the highest that held is tried for
longer; if it is missed there, the next rate is a tenth lower.

Machines hiccup, and a hiccup only ever makes a server look slower. So one miss is not believed: a short round that misses
is tried again, and the majority counts. A round in which the generator itself was late says nothing about the server
(*void*) and is tried again too, three times at most; a rate at which all three were void is above what the generator can
send. A thorough round's word is final.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

VOTES = 3


class Verdict(StrEnum):
    """What one round said about its rate."""

    HELD = "held"
    MISSED = "missed"
    """Or not surely held: the interval of the quantile reaches above the objective."""
    VOID = "void"
    """The generator was late."""


class Outcome(StrEnum):
    """How a search ended."""

    FOUND = "found"
    BELOW_LOWEST = "below the lowest"
    """Not even the lowest rate kept the objective."""
    GENERATOR = "above what the generator can send"
    """The objective held at the highest rate that could be sent; the server may be able to do more."""
    UNKNOWN = "unknown"
    """Rounds contradicted each other, or the generator was late even at rates that it can send: the machine is busy."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One round."""

    rate: float
    verdict: Verdict
    thorough: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Bounds of a search. Rates in requests a second."""

    lowest: float = 50.0
    start: float = 200.0
    highest: float = 100_000.0
    growth: float = 2.0
    precision: float = 1.05
    """The bisection ends when the bracket's ends are within this ratio."""
    retreat: float = 0.9
    """After a thorough miss."""
    votes: int = VOTES
    """Void rounds at one rate, at most; more than half as many misses decide."""
    rounds: int = 60
    """In all, after which nothing is known."""


@dataclass(frozen=True, slots=True)
class Try:
    """The next round."""

    rate: float
    thorough: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The end; ``rate`` is the highest that was confirmed, None if there is none."""

    outcome: Outcome
    rate: float | None = None


def next_rate(history: Sequence[Tried], plan: Plan = Plan()) -> Try | Done:
    """What to do after *history*.

    >>> held, missed = Verdict.HELD, Verdict.MISSED
    >>> next_rate([])
    Try(rate=200.0, thorough=False)
    >>> next_rate([Tried(200, held)])  # doubled while it holds
    Try(rate=400.0, thorough=False)
    >>> next_rate([Tried(200, held), Tried(400, missed)])  # a miss is tried again
    Try(rate=400, thorough=False)
    >>> next_rate([Tried(200, held), Tried(400, missed), Tried(400, missed)]).rate  # the geometric middle
    282.84
    >>> next_rate([Tried(400, held), Tried(410, missed), Tried(410, missed)])  # close enough: for longer now
    Try(rate=400, thorough=True)
    >>> next_rate([Tried(400, held), Tried(410, missed), Tried(410, missed), Tried(400, held, thorough=True)])
    Done(outcome=<Outcome.FOUND: 'found'>, rate=400)
    """
    if len(history) >= plan.rounds:
        return Done(Outcome.UNKNOWN)
    if history and (again := _again(history, plan)) is not None:
        return again
    if any(tried.thorough for tried in history):
        return _after_thorough(history, plan)
    return _after_short(history, plan)


def _again(history: Sequence[Tried], plan: Plan) -> Try | None:
    """The last round once more, if its rate is not decided yet."""
    last = history[-1]
    settled = _settle(history, last.rate, last.thorough, plan)
    return Try(last.rate, last.thorough) if settled is None else None


def _settle(history: Iterable[Tried], rate: float, thorough: bool, plan: Plan) -> Verdict | None:
    """What the rounds at a rate say together; None while another round could decide."""
    said = [tried.verdict for tried in history if tried.rate == rate and tried.thorough == thorough]
    if thorough:
        return next((one for one in said if one is not Verdict.VOID), decided(said, plan.votes))
    return decided(said, plan.votes)


def decided(said: Sequence[Verdict], votes: int = VOTES) -> Verdict | None:
    """The majority of at most *votes* rounds, as soon as it is known: the first word that held, or two of three that missed.

    >>> decided([Verdict.HELD]).value, decided([Verdict.MISSED])
    ('held', None)
    >>> decided([Verdict.MISSED, Verdict.HELD, Verdict.HELD]).value, decided([Verdict.MISSED] * 2).value
    ('held', 'missed')
    >>> decided([Verdict.VOID] * 3).value
    'void'
    """
    held, missed, void = (said.count(verdict) for verdict in (Verdict.HELD, Verdict.MISSED, Verdict.VOID))
    if void >= votes:
        return Verdict.VOID
    if held > missed:
        return Verdict.HELD
    return Verdict.MISSED if missed > votes // 2 else None


def _after_short(history: Sequence[Tried], plan: Plan) -> Try | Done:
    """Bracket and bisect; the first thorough round when the bracket is narrow."""
    good, bad = _bracket(history, plan)
    if bad is None:
        if good is None:
            return Try(plan.start)
        return (
            Try(good, thorough=True) if good >= plan.highest else Try(min(good * plan.growth, plan.highest))
        )
    if good is None:
        return _lower(history, bad, plan)
    if bad / good <= plan.precision:
        return Try(good, thorough=True)
    return Try(_rounded(math.sqrt(good * bad)))


def _bracket(history: Sequence[Tried], plan: Plan) -> tuple[float | None, float | None]:
    """The lowest rate that did not hold, and the highest below it that did."""
    settled = {
        tried.rate: _settle(history, tried.rate, False, plan) for tried in history if not tried.thorough
    }
    bad = min((rate for rate, said in settled.items() if said is not Verdict.HELD), default=None)
    good = max(
        (rate for rate, said in settled.items() if said is Verdict.HELD and (bad is None or rate < bad)),
        default=None,
    )
    return good, bad


def _lower(history: Sequence[Tried], bad: float, plan: Plan) -> Try | Done:
    """The next rate below one that did not hold, while none has held."""
    if bad > plan.lowest:
        return Try(max(plan.lowest, _rounded(bad / plan.growth)))
    void = _settle(history, bad, False, plan) is Verdict.VOID
    return Done(Outcome.UNKNOWN if void else Outcome.BELOW_LOWEST)


def _after_thorough(history: Sequence[Tried], plan: Plan) -> Try | Done:
    """The end, or a step down."""
    last = history[-1]
    verdict = _settle(history, last.rate, True, plan)
    if verdict is Verdict.VOID:
        return Done(Outcome.UNKNOWN)
    if verdict is Verdict.HELD:
        return Done(_reason(history, plan), last.rate)
    if last.rate <= plan.lowest:
        return Done(Outcome.BELOW_LOWEST)
    return Try(max(plan.lowest, _rounded(last.rate * plan.retreat)), thorough=True)


def _reason(history: Sequence[Tried], plan: Plan) -> Outcome:
    """Who set the bound above the rate that was confirmed at once: the server, or the generator."""
    if sum(tried.thorough and tried.verdict is not Verdict.VOID for tried in history) > 1:
        return Outcome.FOUND  # a thorough round was missed: the server's bound is near
    _, bad = _bracket(history, plan)
    if bad is None or _settle(history, bad, False, plan) is Verdict.VOID:
        return Outcome.GENERATOR
    return Outcome.FOUND


def _rounded(rate: float) -> float:
    """Five digits are enough for a rate, and can be read.

    >>> _rounded(282.842712), _rounded(25600.4)
    (282.84, 25600.0)
    """
    return float(f"{rate:.5g}")
