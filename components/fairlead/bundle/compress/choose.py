"""Which variant is served, by the project's rule.

What a variant loses is known with an interval. It qualifies if even the bad end of the interval is within the rule's
limit, and fails if even the good end is beyond it; between the two nobody knows, and what is not known is not served.

=============================================  ==================================================
situation                                      outcome
=============================================  ==================================================
the rule is ``none``                           kept as it is
a variant qualifies                            compressed: the smallest (or fastest) that qualifies
none qualifies, some may                       unknown: served as it is
none qualifies, none may                       kept as it is
the metric was not measured                    unknown: served as it is
=============================================  ==================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fairlead.report.numbers import number
from fairlead.spec.compress import Rule
from fairlead.spec.metrics import METRICS

Verdict = Literal["qualifies", "may", "fails"]
Outcome = Literal["compressed", "kept as it is", "unknown"]
_EQUAL = 1e-12


@dataclass(frozen=True, slots=True)
class Option:
    """What the rule looks at in one variant."""

    name: str
    bytes: int
    seconds: float
    """For one row."""
    low: float | None
    """Ends of the 95 % interval of *variant minus uncompressed* in the rule's metric; None if it is not defined."""
    high: float | None
    refused: str = ""
    """Why it may not be served whatever it is worth: parity or a gate. Empty if it may."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is served, and why."""

    outcome: Outcome
    chosen: str | None
    """Name of the variant; None: the uncompressed model."""
    reason: str


def choose(rule: Rule, original: Option, figure: float | None, options: Sequence[Option]) -> Decision:
    """Apply the rule.

    Args:
        rule: From the project file.
        original: The uncompressed model; only its size and time are looked at.
        figure: The uncompressed model's figure in the rule's metric; None if it could not be measured.
        options: The variants, in any order; among equals the first is taken.

    >>> rule, original = Rule("smallest", 0.2), Option("as it is", 1000, 1e-5, None, None)
    >>> half, tiny = Option("half", 500, 9e-6, -0.1, 0.3), Option("tiny", 90, 8e-6, -9.0, -1.0)
    >>> choose(rule, original, 180.0, [half, tiny])
    Decision(outcome='compressed', chosen='half', reason='half loses at most 0.1 of 180 value_per_1000, 0.36 is allowed')

    An interval that reaches beyond the limit proves nothing either way:

    >>> choose(rule, original, 180.0, [Option("half", 500, 9e-6, -4.0, 3.0), tiny]).outcome
    'unknown'
    >>> choose(rule, original, 180.0, [tiny]).outcome
    'kept as it is'
    """
    if rule.wish == "none":
        return Decision("kept as it is", None, "the rule is to measure only")
    if figure is None:
        return Decision("unknown", None, f"{rule.metric} could not be measured on the test rows")
    allowed = abs(figure) * rule.percent / 100
    better = [one for one in options if not one.refused and _cost(rule, one) < _cost(rule, original)]
    verdicts = {one.name: verdict(one, rule.metric, allowed) for one in better}
    qualified = [one for one in better if verdicts[one.name] == "qualifies"]
    if qualified:
        best = min(qualified, key=lambda one: _cost(rule, one))
        said = (
            f"{best.name} loses at most {number(loss(best, rule.metric))} of {number(figure)} {rule.metric}"
        )
        return Decision("compressed", best.name, f"{said}, {number(allowed)} is allowed")
    if unsure := [name for name, found in verdicts.items() if found == "may"]:
        return Decision("unknown", None, f"the test rows cannot tell whether {', '.join(unsure)} "
                        f"lose{'s' * (len(unsure) == 1)} more than {number(allowed)} {rule.metric}")  # fmt: skip
    return Decision("kept as it is", None, _nothing(rule, better, allowed))


def verdict(option: Option, metric: str, allowed: float) -> Verdict:
    """Whether a variant loses at most *allowed*, in the metric's unit.

    >>> verdict(Option("a", 1, 1.0, -0.1, 0.2), "roc_auc", 0.1), verdict(Option("a", 1, 1.0, -0.1, 0.2), "mae", 0.1)
    ('qualifies', 'may')
    """
    if option.low is None or option.high is None:
        return "may"
    worst, best = loss(option, metric), _least_loss(option, metric)
    slack = _EQUAL * max(1.0, abs(allowed))
    if worst <= allowed + slack:
        return "qualifies"
    return "fails" if best > allowed + slack else "may"


def loss(option: Option, metric: str) -> float:
    """The most that a variant loses, 0 if it gains; not defined without an interval."""
    ends = -(option.low or 0.0), option.high or 0.0
    return max(0.0, ends[0] if METRICS[metric].higher_is_better else ends[1])


def _least_loss(option: Option, metric: str) -> float:
    return -(option.high or 0.0) if METRICS[metric].higher_is_better else option.low or 0.0


def _cost(rule: Rule, option: Option) -> float:
    return option.bytes if rule.wish == "smallest" else option.seconds


def _nothing(rule: Rule, better: Sequence[Option], allowed: float) -> str:
    word = "smaller" if rule.wish == "smallest" else "faster"
    if not better:
        return f"no variant that may be served is {word}"
    return f"every {word} variant loses more than {number(allowed)} {rule.metric}"
