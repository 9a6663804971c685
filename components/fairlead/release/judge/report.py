"""States of the tests in figures and words, as guards say them."""

from __future__ import annotations

import numpy as np

from fairlead.release.judge.evidence import Evidence
from fairlead.release.judge.forecast import Counted, units_needed
from fairlead.release.judge.guard import HOLD_EVIDENCE, Action, GuardResult, Stage, difference
from fairlead.release.judge.margin import rung_of
from fairlead.release.judge.rates import RateState, RateTest


def rate_result(
    name: str, action: Action, test: RateTest, state: RateState, stage: Stage, *,
    required: bool, phi: float = 1.0, note: str = "", hold: str = "",
) -> GuardResult:  # fmt: skip
    """What a guard on two rates says at the present step."""
    rung = min(rung_of(stage.step, stage.steps), len(test.rungs) - 1)
    margin = test.rungs[rung]
    counted = Counted(*map(float, (state.x_c, state.n_c, state.x_s, state.n_s)))
    proof, peak = float(state.promote.log[rung]), float(state.peak)
    ratio, a_look = ratio_of(state), units_a_look(state)
    needed = units_needed(counted, ratio, margin, proof, stage.level, "promote", phi)
    to_abort = units_needed(counted, ratio, test.rungs[0], float(state.abort.log), stage.alarm, "abort", phi)
    said = hold or (
        f"{name}: proved worse than {test.rungs[0]}" if action == "hold" and peak >= HOLD_EVIDENCE else ""
    )
    return GuardResult(
        name=name, action=action, log_abort=float(state.abort.log), log_abort_peak=peak, log_promote=proof,
        n_c=counted.n_c, x_c=counted.x_c, n_s=counted.n_s, x_s=counted.x_s,
        estimate=difference(counted.x_c, counted.n_c, counted.x_s, counted.n_s),
        need=None if proof >= stage.level else needed,
        looks_to_promote=None if proof >= stage.level else in_looks(needed, a_look),
        looks_to_abort=in_looks(to_abort, a_look), required=required, proved=proof >= stage.level,
        hold=said, note=f"to prove: at most {margin}{note and '; '}{note}",
    )  # fmt: skip


def ratio_of(state: RateState) -> float:
    """Stable's units for each unit of the candidate, in the latest looks."""
    n_c, n_s = (float(units) for units in np.sum(state.recent, axis=-2))
    return n_s / n_c if n_c > 0 else 0.0


def units_a_look(state: RateState) -> float:
    """Units of the candidate in a look, of late."""
    return float(state.recent[..., 0].mean()) if state.recent.shape[-2] else 0.0


def in_looks(units: float | None, a_look: float) -> float | None:
    """Units as looks."""
    return units / a_look if units is not None and a_look > 0 else None


def still_needed(evidence: Evidence, units: float, level: float) -> float | None:
    """Units that a one-sample or paired test still needs, if its best bet goes on as it did."""
    missing = level - float(evidence.log)
    if missing <= 0:
        return None
    growth = float(evidence.growth) / units if units > 0 else 0.0
    return missing / growth if growth > 0 else None
