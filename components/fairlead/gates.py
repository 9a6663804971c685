"""The bars a model must pass, judged.

Every bar of a gate gives one result. Passed and not applicable let a model through; failed and not measurable
do not: what could not be measured was not shown to be good enough.

=======================  ==============================================  ================
bar                      situation                                       outcome
=======================  ==============================================  ================
any                      the metric was not measured, or is no number    not measurable
at_least 0.8             measured 0.8 or more                            passed
at_least 0.8             measured less than 0.8                          failed
at_most 0.1              measured 0.1 or less                            passed
at_most 0.1              measured more than 0.1                          failed
better_than baseline     the baseline has no such metric                 not measurable
better_than baseline     better by at least ``by``, and not equal        passed
better_than baseline     equal, worse, or better by less                 failed
not_worse_than champion  there is no champion yet                        not applicable
not_worse_than champion  the champion could not be asked, or the         not measurable
                         interval is not defined
not_worse_than champion  the bad end of the paired 95 % interval of the  passed
                         difference is no worse than ``margin``
not_worse_than champion  the bad end is worse than ``margin``            failed
=======================  ==============================================  ================

*Better* and *worse* follow the metric's direction (``fairlead.spec.metrics``). The bad end is the lower one
where more is better, else the upper one. Figures that agree to twelve digits count as equal, so that 0.3
reaches 0.1 + 0.2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairlead.records import GateResult, Outcome
from fairlead.report.numbers import number
from fairlead.spec.metrics import METRICS
from fairlead.spec.project import Gate

_EQUAL = 1e-12


@dataclass(frozen=True, slots=True)
class Difference:
    """This model against the champion on the same rows."""

    this: float
    champion: float
    low: float | None
    """Paired 95 % bootstrap interval of *this minus champion*."""
    high: float | None


@dataclass(frozen=True, slots=True)
class ChampionComparison:
    """This model and the registered champion, both asked about the same test rows."""

    version: str
    rows: int
    differences: Mapping[str, Difference]
    reason: str = ""
    """Why the champion could not be asked; then there are no differences."""


def judge(
    gates: Sequence[Gate],
    metrics: Mapping[str, float],
    baseline: Mapping[str, float],
    champion: ChampionComparison | None,
) -> list[GateResult]:
    """Judge every bar of every gate, in the order of the project file.

    Args:
        gates: From the project file.
        metrics: The model's metrics on the test rows.
        baseline: The baseline's metrics on the same rows.
        champion: The paired comparison with the registered champion; None if there is none yet.

    >>> [result] = judge([Gate(metric="roc_auc", at_least=0.8)], {"roc_auc": 0.91}, {}, None)
    >>> result.outcome.value, result.reason
    ('passed', 'roc_auc is 0.91, at least 0.8 is asked')
    """
    return [result for gate in gates for result in _bars(gate, metrics, baseline, champion)]


def lets_through(results: Sequence[GateResult]) -> bool:
    """Whether the model may be registered: no bar failed, none was not measurable."""
    return all(Outcome(result.outcome).lets_through for result in results)


def _bars(
    gate: Gate,
    metrics: Mapping[str, float],
    baseline: Mapping[str, float],
    champion: ChampionComparison | None,
) -> Iterator[GateResult]:
    measured = _number(metrics.get(gate.metric))
    if gate.at_least is not None:
        yield _at_least(gate.metric, measured, gate.at_least)
    if gate.at_most is not None:
        yield _at_most(gate.metric, measured, gate.at_most)
    if gate.better_than is not None:
        yield _better_than_baseline(gate.metric, measured, _number(baseline.get(gate.metric)), gate.by)
    if gate.not_worse_than is not None:
        yield _not_worse_than_champion(gate.metric, measured, champion, gate.margin)


def _number(figure: float | None) -> float | None:
    return None if figure is None or not math.isfinite(figure) else figure


def _at_least(metric: str, measured: float | None, bar: float) -> GateResult:
    words = f"{metric} at least {bar:g}"
    if measured is None:
        return _not_measured(words, metric, bar)
    reason = f"{metric} is {_exact(measured, bar)}, at least {bar:g} is asked"
    return _result(words, reason, measured, bar, passed=_reaches(measured, bar))


def _at_most(metric: str, measured: float | None, bar: float) -> GateResult:
    words = f"{metric} at most {bar:g}"
    if measured is None:
        return _not_measured(words, metric, bar)
    reason = f"{metric} is {_exact(measured, bar)}, at most {bar:g} is asked"
    return _result(words, reason, measured, bar, passed=_reaches(-measured, -bar))


def _better_than_baseline(
    metric: str, measured: float | None, baseline: float | None, by: float
) -> GateResult:
    words = f"{metric} better than baseline" + (f" by {by:g}" if by else "")
    if measured is None or baseline is None:
        return _not_measured(words, metric, None, of="the model" if measured is None else "the baseline")
    sign = _sign(metric)
    bar = baseline + sign * by
    gain = sign * (measured - baseline)
    asked = f"better by {by:g}" if by else "better"
    reason = f"{metric} is {_exact(measured, bar)}, the baseline's is {number(baseline)}, {asked} is asked"
    equal = _reaches(-gain, 0.0)
    return _result(words, reason, measured, bar, passed=_reaches(sign * measured, sign * bar) and not equal)


def _not_worse_than_champion(
    metric: str, measured: float | None, champion: ChampionComparison | None, margin: float
) -> GateResult:
    words = f"{metric} not worse than champion" + (f" (margin {margin:g})" if margin else "")
    if measured is None:
        return _not_measured(words, metric, None)
    if champion is None:
        reason = f"there is no champion yet, {metric} is {number(measured)}"
        return GateResult(words, Outcome.NOT_APPLICABLE, reason, measured, None)
    difference = champion.differences.get(metric)
    if difference is None or difference.low is None or difference.high is None:
        why = champion.reason or f"{metric} could not be compared on {champion.rows:,} rows"
        reason = (
            f"the champion (version {champion.version}) was not compared: {why}; "
            "promote a version that can be, or leave the gate out"
        )
        return GateResult(words, Outcome.NOT_MEASURABLE, reason, measured, None)
    return _non_inferior(words, metric, champion, difference, margin)


def _non_inferior(
    words: str, metric: str, champion: ChampionComparison, difference: Difference, margin: float
) -> GateResult:
    low, high = difference.low or 0.0, difference.high or 0.0
    sign = _sign(metric)
    worst = low if sign > 0 else -high
    bar = difference.champion - sign * margin
    reason = (
        f"{metric} is {number(difference.this)}, that of the champion (version {champion.version}) is "
        f"{number(difference.champion)} on the same {champion.rows:,} rows; the difference lies between "
        f"{number(low)} and {number(high)} (95 %), and may not be worse than {number(-sign * margin)}"
    )
    return _result(words, reason, difference.this, bar, passed=_reaches(worst, -margin))


def _not_measured(words: str, metric: str, bar: float | None, of: str = "the model") -> GateResult:
    known = "" if metric in METRICS else "; there is no metric of this name"
    reason = f"{metric} of {of} could not be measured on the test rows{known}"
    return GateResult(words, Outcome.NOT_MEASURABLE, reason, None, bar)


def _result(words: str, reason: str, measured: float, bar: float, *, passed: bool) -> GateResult:
    return GateResult(words, Outcome.PASSED if passed else Outcome.FAILED, reason, measured, bar)


def _reaches(figure: float, bar: float) -> bool:
    return figure >= bar - _EQUAL * max(1.0, abs(bar))


def _sign(metric: str) -> int:
    return 1 if METRICS[metric].higher_is_better else -1


def _exact(measured: float, bar: float) -> str:
    """*measured* with as many digits as tell it from *bar*, so that no sentence says "0.8 fails 0.8"."""
    for digits in (4, 6, 9):
        text = number(measured, digits)
        if text != number(bar, digits):
            return text
    return number(measured)
