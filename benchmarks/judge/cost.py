"""The time a guard needs a look, for one release."""

from __future__ import annotations

import statistics
import time
from typing import Any

from benchmarks.judge.tables import Report

from fairlead.release.judge import Clock, JudgeConfig, Look, Window, begin, judge, observe
from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.fixed import FixedGuard
from fairlead.release.judge.guard import AnyGuard
from fairlead.release.judge.labels import LabelsGuard
from fairlead.release.judge.latency import LatencyGuard
from fairlead.release.judge.predictions import PredictionsGuard
from fairlead.release.judge.shadow import FlipsGuard, PairedGuard
from fairlead.release.judge.slices import SlicesGuard
from fairlead.release.judge.traffic import TrafficGuard
from fairlead.release.judge.windows import Bins, Cohort, Coverage, LabelWindow, PairedLosses, Pairs, Share

WINDOW = Window(300, 3, 5700, 30)
GUARDS: dict[str, tuple[AnyGuard, Any]] = {
    "errors, four steps": (ErrorsGuard(steps=4), WINDOW),
    "latency, four steps, 256 blocks known": (LatencyGuard(steps=4), WINDOW),
    "predictions, 10 bins": (PredictionsGuard(10), Bins([30] * 10, [570] * 10)),
    "flips": (FlipsGuard(), Pairs(300, 3)),
    "paired losses": (PairedGuard(), PairedLosses.of_counts(3, 2, 295)),
    "late labels, 10 cohorts": (
        LabelsGuard(),
        LabelWindow(mature=tuple(Cohort(number, (1.0, 0.0) * 10, (0.0, 1.0) * 40) for number in range(10)),
                    coverage=(Coverage(1, 200, 20, 800, 80),), labels=1000),
    ),
    "slices, 10 of them, four steps": (SlicesGuard(tuple("abcdefghij"), steps=4), dict.fromkeys("abcdefghij", WINDOW)),
    "traffic": (TrafficGuard(), Share(300, 6000, 0.05)),
    "fixed bound": (FixedGuard("errors", 0.02), WINDOW),
}  # fmt: skip
WARM, TIMES = 300, 200


def cost(report: Report, rollouts: int) -> None:  # noqa: ARG001 - one release
    report.title("Time a look", f"One release, median processor time of {TIMES} looks after {WARM}.")
    rows = []
    for says, (guard, window) in GUARDS.items():
        spent = _median_ms(guard, window)
        rows.append((says, f"{spent:.2f}"))
        report.below(f"time a look: {says}", spent, 1.0, "ms")
    rows.append(("all of a default release: observe and judge", f"{_whole_ms():.2f}"))
    report.table(("guard", "ms a look"), rows)


def _median_ms(guard: AnyGuard, window: Any) -> float:
    state, spent = guard.begin(), []
    for number in range(WARM + TIMES):
        started = time.process_time()
        state = guard.update(state, window)
        if number >= WARM:
            spent.append(time.process_time() - started)
    return 1000 * statistics.median(spent)


def _whole_ms() -> float:
    config, spent = JudgeConfig(), []
    states = begin(config, "stable", "candidate")
    for number in range(1, TIMES):
        started = time.process_time()
        states = observe(config, states, Look(60.0 * number, 60.0, 0.05, WINDOW, WINDOW))
        judge(config, states, Clock(60.0 * number, 0.0, 0.0, 1))
        spent.append(time.process_time() - started)
    return 1000 * statistics.median(spent)
