"""Money as a loss: the quality guards judge value where outcomes have a price.

A gain of v money per prediction, cut at ±B, is the loss ``(B - v)/(2B)`` between 0 and 1; a margin of m money is then ``m/(2B)``.
For pairs the difference of losses stays in money, cut at ±B. The cap is part of the metric: what is beyond it is invisible, and
the larger it is, the more labels a proof takes.
"""

from __future__ import annotations

import numpy as np

from fairlead.release.judge.arrays import Floats
from fairlead.release.judge.guard import Action
from fairlead.release.judge.labels import LabelsGuard
from fairlead.release.judge.margin import Margin
from fairlead.release.judge.shadow import PairedGuard
from fairlead.release.judge.windows import PairedLosses


def loss_of(money: Floats, cap: float) -> Floats:
    """Money gained per prediction as a loss from 0 to 1.

    >>> loss_of(np.array([85.0, -4.0, -500.0]), 100.0).tolist()
    [0.075, 0.52, 1.0]
    """
    return (cap - np.clip(money, -cap, cap)) / (2 * cap)


def paired(money_c: Floats, money_s: Floats, cap: float) -> PairedLosses:
    """What the candidate loses against stable on the same requests, in money, cut at ±cap."""
    lost, count = np.unique(np.clip(money_s - money_c, -cap, cap), return_counts=True)
    return PairedLosses(lost, count.astype(np.float64))


def value_guard(
    margin: float, cap: float, *, pairs: bool, unit: str, action: Action = "abort", required: bool = True
) -> PairedGuard | LabelsGuard:
    """The guard on money.

    Args:
        margin: Money per prediction that the candidate may lose on average, above 0 and below *cap*.
        cap: B, money.
        pairs: Whether both versions answer the same requests.
        unit: The currency.
        action: What its evidence may do.
        required: Whether promotion needs its proof.
    """
    if pairs:
        return PairedGuard("value", margin, cap, action, required, unit=unit)
    line = Margin(1.0, margin / (2 * cap))
    return LabelsGuard("value", line, action, required, prior_base=0.5)
