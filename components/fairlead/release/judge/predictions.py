"""The distribution of answers: is it further from stable's than the tolerance?

The null is that the total variation between the arms is at most τ in each look, so a harmless small shift never fires, however
much traffic there is, and both arms may drift together. It is tested at one set of bins, those where the candidate's *past* share
is above stable's: ``TV ≤ τ`` implies ``P_c(A) ≤ P_s(A) + τ`` for any set A that the look's outcomes did not choose.

There is no promote side: that no difference was proved is no proof of likeness. A new model is meant to predict differently, so
the guard holds, and a person looks, unless the policy says that it aborts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairlead.release.judge.arrays import Array, Floats, Mask, zeros
from fairlead.release.judge.bets import bets_at
from fairlead.release.judge.evidence import Evidence
from fairlead.release.judge.guard import HOLD_EVIDENCE, Action, GuardResult, Stage
from fairlead.release.judge.windows import Bins

_GAINS = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
"""Alternatives: how far from ``base + τ`` towards 1."""
_REFERENCE = 1000.0
"""Units a reference histogram counts as."""


@dataclass(frozen=True, slots=True, eq=False)
class BinsState:
    """What has been seen, and the evidence of it."""

    c: Array
    """(…, bins)"""
    s: Array
    abort: Evidence
    peak: Array


@dataclass(frozen=True, slots=True)
class PredictionsGuard:
    """How the distribution of answers is judged."""

    bins: int = 10
    """Classes, or bins of the score with edges fixed from stable's history."""
    tolerance: float = 0.05
    """τ: total variation that is allowed, a share."""
    action: Action = "hold"
    reference: tuple[float, ...] | None = None
    """Stable's shares by bin before the release."""
    reserve: float = 0.2
    name: ClassVar[str] = "predictions"
    state: ClassVar[type[BinsState]] = BinsState

    def begin(self, shape: tuple[int, ...] = ()) -> BinsState:
        """The state before the first look."""
        none = zeros((*shape, self.bins))
        return BinsState(none, none, Evidence.fresh(len(_GAINS), shape), zeros(shape))

    def update(self, state: BinsState, window: Bins) -> BinsState:
        """The state after one look. The first one only shows where to look.

        >>> guard = PredictionsGuard(bins=3)
        >>> state = guard.update(guard.begin(), Bins([400, 350, 250], [5000, 3000, 2000]))
        >>> state = guard.update(state, Bins([380, 300, 320], [5050, 2980, 1970]))
        >>> float(state.abort.log.round(6))
        8.353676
        """
        if window.fault() or np.shape(window.c)[-1] != self.bins:
            return state
        c, s = np.broadcast_arrays(np.asarray(window.c, dtype=float), np.asarray(window.s, dtype=float))
        n_c, n_s = c.sum(axis=-1), s.sum(axis=-1)
        if not ((n_c > 0) & (n_s > 0)).any():
            return state
        witness, base = self._witness(state)
        may_bet = (state.c.sum(axis=-1) > 0) & witness.any(axis=-1) & (base < 0.99 - self.tolerance)
        log_e = self._factors(base, n_c, (c * witness).sum(axis=-1), n_s, (s * witness).sum(axis=-1))
        abort = state.abort.after(log_e, self.reserve, may_bet & (n_c > 0) & (n_s > 0))
        return BinsState(state.c + c, state.s + s, abort, np.maximum(state.peak, abort.log))

    def _factors(self, base: Floats, n_c: Floats, x_c: Floats, n_s: Floats, x_s: Floats) -> Floats:
        edge = np.minimum(base + self.tolerance, 0.99)[..., None]
        return bets_at(base, edge + _GAINS * (1 - edge), n_c, n_s, 1.0, self.tolerance, above=True).counts(
            n_c, x_c, n_s, x_s
        )

    def _shares(self, state: BinsState) -> tuple[Floats, Floats]:
        """Past shares by bin of both arms; one unit a bin to begin with."""
        prior = 0.0 if self.reference is None else _REFERENCE * np.array(self.reference) / sum(self.reference)
        c, s = state.c + 1, state.s + 1 + prior
        return c / c.sum(axis=-1, keepdims=True), s / s.sum(axis=-1, keepdims=True)

    def _witness(self, state: BinsState) -> tuple[Mask, Floats]:
        """The bins where the candidate's past share is larger, (…, bins), and stable's share of them, (…,)."""
        share_c, share_s = self._shares(state)
        witness = share_c > share_s
        return witness, np.maximum(1e-4, np.where(witness, share_s, 0.0).sum(axis=-1))

    def against(self, state: BinsState) -> float:
        """``log E`` now that the candidate is worse than it may be."""
        return float(state.abort.log)

    def result(self, state: BinsState, stage: Stage) -> GuardResult:  # noqa: ARG002 - it has no promote side
        """What it says now."""
        share_c, share_s = self._shares(state)
        witness, _ = self._witness(state)
        distance = float(np.maximum(share_c - share_s, 0).sum())
        where = ", ".join(str(position) for position in np.flatnonzero(witness)) or "none"
        n_c, n_s = float(state.c.sum()), float(state.s.sum())
        fired = self.action == "hold" and float(state.peak) >= HOLD_EVIDENCE
        said = f"predictions differ: total variation above {self.tolerance:.0%}; a person should look"
        return GuardResult(
            name=self.name, action=self.action,
            log_abort=self.against(state), log_abort_peak=float(state.peak),
            n_c=n_c, x_c=float((state.c * witness).sum()), n_s=n_s, x_s=float((state.s * witness).sum()),
            estimate=distance if n_c > 0 and n_s > 0 else None,
            hold=said if fired else "",
            note=f"estimate is the total variation; bins where the candidate has more: {where}",
        )  # fmt: skip
