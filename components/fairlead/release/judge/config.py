"""All that the judge goes by, fixed before the first look: a change of it, or of either version, starts the evidence anew.

Two named profiles. ``default`` is for releases. ``demo`` has short looks, blocks and soak, and only reports latency, so that a
release takes minutes; it is shown in every verdict, and its promises about slow faults are worth little. No other code differs.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.fixed import FixedGuard
from fairlead.release.judge.guard import AnyGuard, Stage
from fairlead.release.judge.labels import LabelsGuard
from fairlead.release.judge.latency import LatencyGuard
from fairlead.release.judge.predictions import PredictionsGuard
from fairlead.release.judge.shadow import FlipsGuard, PairedGuard
from fairlead.release.judge.slices import SlicesGuard
from fairlead.release.judge.traffic import TrafficGuard

WEIGHTS = {"errors": 0.4, "quality": 0.3, "value": 0.3, "latency": 0.2, "slices": 0.1, "predictions": 0.1, "flips": 0.1,
           "traffic": 0.1}  # fmt: skip
"""What a guard that aborts counts in the mean, before the missing ones are taken out: errors are the most certain harm."""


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """The settings of one release's judge. Times are in seconds."""

    errors: ErrorsGuard | None = field(default_factory=ErrorsGuard)
    latency: LatencyGuard | None = field(default_factory=LatencyGuard)
    predictions: PredictionsGuard | None = None
    flips: FlipsGuard | None = None
    quality: LabelsGuard | PairedGuard | None = None
    value: LabelsGuard | PairedGuard | None = None
    slices: SlicesGuard | None = None
    traffic: TrafficGuard | None = field(default_factory=TrafficGuard)
    after: tuple[FixedGuard, ...] = ()
    """Guards for the time after 100 %, when there is nothing left to compare with."""
    steps: tuple[float, ...] = (1.0, 5.0, 25.0, 50.0)
    """Weights of the candidate in percent; after the last one comes 100."""
    alpha: float = 0.05
    """Chance that a candidate inside the margins is ever aborted."""
    beta: float = 0.05
    """Chance that a candidate at or beyond a margin all along is ever promoted."""
    min_bad: int = 3
    """Bad answers without which nothing is aborted: guards against faults of the set-up, not against chance."""
    look: float = 60.0
    merge_seconds: float = 30.0
    """Looks are joined until they are this long …"""
    merge_units: float = 30.0
    """… and have this many units of the candidate."""
    min_units: float = 200.0
    """Units of each arm without which nothing is promoted."""
    min_looks: int = 3
    """Looks with evidence, likewise."""
    min_step: float = 60.0
    """Least age of a step."""
    soak: float = 1800.0
    """Least age of the last step: a good candidate is proved in ten minutes, a leak shows later."""
    stale_after: float = 300.0
    """Time without new units of an arm after which nothing can be said; at least five looks."""
    max_duration: float = 86400.0
    """Age at which a release that is not decided ends."""
    on_timeout: Literal["hold", "abort"] = "hold"
    """Never promote."""
    profile: str = "default"

    def guards(self) -> dict[str, AnyGuard]:
        """The guards that compare, by name, each with the ladder of this release's steps."""
        chosen = (self.errors, self.latency, self.predictions, self.flips, self.quality, self.value,
                  self.slices if self.slices and self.slices.names else None, self.traffic)  # fmt: skip
        return {guard.name: _with_steps(guard, len(self.steps)) for guard in chosen if guard is not None}

    def guards_after(self) -> dict[str, AnyGuard]:
        """The guards after 100 %, by name."""
        return {guard.name: guard for guard in self.after}

    def stage(self, step: int) -> Stage:
        """What guards need to know of step number *step*, from 0."""
        return Stage(step, len(self.steps), math.log(1 / self.beta), math.log(1 / self.alpha))

    @property
    def digest(self) -> str:
        """Part of the evidence's key."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, object]:
        """All settings as JSON values, to be shown and kept."""
        values: dict[str, object] = _ADAPTER.dump_python(self, mode="json")
        return values


_ADAPTER = TypeAdapter(JudgeConfig)


def _with_steps(guard: AnyGuard, steps: int) -> AnyGuard:
    return (
        replace(guard, steps=steps) if isinstance(guard, (ErrorsGuard, LatencyGuard, SlicesGuard)) else guard
    )


def log_weights(guards: dict[str, AnyGuard]) -> dict[str, float]:
    """``log w_g`` of the guards that abort; the w sum to 1. Guards after 100 % count like those before.

    >>> {name: round(float(np.exp(w)), 6) for name, w in log_weights(JudgeConfig().guards()).items()}
    {'errors': 0.666667, 'latency': 0.333333}
    """
    raw = {name: WEIGHTS[name] for name, guard in guards.items() if guard.action == "abort"}
    return {name: float(np.log(weight / sum(raw.values()))) for name, weight in raw.items()}


def demo(config: JudgeConfig) -> JudgeConfig:
    """*config* in the profile for demos and tests: minutes instead of hours, and latency only reported.

    >>> demo(JudgeConfig()).profile, demo(JudgeConfig()).soak
    ('demo', 6.0)
    """
    latency = config.latency and replace(config.latency, block=5.0, action="report", required=False)
    return replace(
        config, latency=latency, look=2.0, merge_seconds=1.0, min_step=2.0, soak=6.0, stale_after=20.0,
        max_duration=min(config.max_duration, 900.0), profile="demo",
    )  # fmt: skip
