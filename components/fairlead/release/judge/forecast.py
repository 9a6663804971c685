"""How much more traffic a verdict takes. Never enters a decision.

Evidence grows, per unit of the candidate, by ``g = KL(p̂_c‖θ*_c) + r·KL(p̂_s‖θ*_s)`` under the present estimates, where
``r = n_s/n_c`` is the present exposure and θ* the nearest point of the margin line; ``N = (level - log E)/g`` units are missing.
This is rough: in eight of ten simulated releases the true number was between a tenth and seven times the forecast of the fifth
look. So it is shown with one significant digit and as a range, "÷4 … ×4".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fairlead.release.judge.bets import Side, project
from fairlead.release.judge.margin import Margin

NOT_EXPECTED = "not expected at the present estimate"
LESS_THAN_A_LOOK = "less than one look"


@dataclass(frozen=True, slots=True)
class Counted:
    """All units that a guard has seen."""

    x_c: float
    n_c: float
    x_s: float
    n_s: float


def units_needed(
    counted: Counted, ratio: float, margin: Margin, log_e: float, level: float, side: Side, phi: float = 1.0
) -> float | None:
    """Units of the candidate until the evidence reaches *level*; None where the estimate is on the other side of the line.

    Args:
        counted: What was seen so far.
        ratio: Stable's units for each unit of the candidate at present.
        margin: The line.
        log_e: Evidence so far.
        level: ``log 1/alpha`` or ``log 1/beta``.
        side: Which proof.
        phi: What ``log e`` is divided by.

    >>> seen = Counted(20, 1500, 28, 28500)
    >>> round(units_needed(seen, 19, Margin(), 1.0, math.log(20), "abort"), 6)
    163.030497
    >>> units_needed(seen, 19, Margin(), 1.0, math.log(20), "promote") is None
    True
    """
    p_c, p_s = (counted.x_c + 0.5) / (counted.n_c + 1), (counted.x_s + 0.5) / (counted.n_s + 1)
    beyond = p_c - margin.at(p_s)
    if not (beyond > 0 if side == "abort" else beyond < 0) or not ratio > 0 or not math.isfinite(ratio):
        return None
    return _needed(p_c, p_s, ratio, margin, level - log_e, phi)


def planned(base: float, ratio: float, margin: Margin, level: float, worse: float = 1.0) -> float | None:
    """Units of the candidate that a proof will take, before the first look; one nat more for the mixture.

    Args:
        base: Stable's rate.
        ratio: Stable's units for each unit of the candidate.
        margin: The line.
        level: ``log 1/alpha`` or ``log 1/beta``.
        worse: The candidate's rate over stable's: 1 to plan the promotion of an equal candidate.

    >>> round(planned(0.001, 19, Margin(), math.log(20)) / 300, 1)
    31.1
    """
    p_c = min(worse * base, 0.995)
    if p_c == margin.at(base) or not 0 < base < 1:
        return None
    return _needed(p_c, base, ratio, margin, level + 1.0, 1.0)


def _needed(p_c: float, p_s: float, ratio: float, margin: Margin, missing: float, phi: float) -> float | None:
    star_c, star_s = (float(star) for star in project(p_c, p_s, 1.0, ratio, margin.ratio, margin.add))
    growth = (_divergence(p_c, star_c) + ratio * _divergence(p_s, star_s)) / max(phi, 1.0)
    if missing <= 0:
        return 0.0
    return missing / growth if growth > 0 and math.isfinite(growth) else None


def _divergence(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two chances."""
    return float(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))


def shown(looks: float | None, look_seconds: float, max_duration: float) -> str:
    """A forecast in words.

    >>> shown(163 / 75, 60, 86400), shown(0.4, 60, 86400), shown(None, 60, 86400)
    ('about 2 looks (÷4 … ×4)', 'less than one look', 'not expected at the present estimate')
    >>> shown(1e5, 60, 86400)
    'more than 24 h at the present rate'
    """
    if looks is None or not math.isfinite(looks):
        return NOT_EXPECTED
    if looks < 1:
        return LESS_THAN_A_LOOK
    if looks * look_seconds > max_duration:
        return f"more than {hours(max_duration)} at the present rate"
    digit = 10.0 ** math.floor(math.log10(looks))
    rounded = round(looks / digit) * digit
    return f"about {rounded:.0f} look{'s' if rounded > 1 else ''} (÷4 … ×4)"


def hours(seconds: float) -> str:
    """A duration in its largest fitting unit.

    >>> hours(86400), hours(90), hours(1800)
    ('24 h', '90 s', '30 min')
    """
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
