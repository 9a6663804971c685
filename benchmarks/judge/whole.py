"""Whole releases, one at a time, through ``observe`` and ``judge`` as the driver calls them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from benchmarks.judge import streams
from benchmarks.judge.tables import Report

from fairlead.release.judge import Clock, JudgeConfig, Look, Window, begin, judge, observe

LOOKS = 240


def whole(report: Report, rollouts: int) -> None:
    rollouts = max(rollouts // 10, 10)
    report.title(
        "Whole releases",
        f"{rollouts} releases of each kind through `observe` and `judge`: errors and slow answers, 1, 5, 25, 50 %, 100 req/s, "
        "0.5 % errors and 1 % slow in stable, looks of 60 s, no soak, four hours at most. A threshold for comparison: success >= "
        "99 %, failure limit 5, 10 percentage points more at each look.",
    )
    rows = []
    for says, factor in (
        ("equal", 1.0),
        ("0.75 %, just beyond the margin", 1.5),
        ("x2", 2.0),
        ("x4", 4.0),
        ("20 % errors", 40.0),
    ):
        ends, looks, bad = zip(
            *(_release(f"{says} {number}", factor) for number in range(rollouts)), strict=True
        )
        share = {end: 100 * ends.count(end) / rollouts for end in ("promote", "abort", "open")}
        theirs = [_threshold(f"{says} {number}", factor) for number in range(rollouts)]
        promoted = 100 * sum(end == "promote" for end, _ in theirs) / rollouts
        rows.append((says, *(f"{value:.0f}" for value in share.values()), f"{np.median(looks):.0f}", f"{np.mean(bad):.0f}",
                     f"{promoted:.0f} / {100 - promoted:.0f}; {np.mean([count for _, count in theirs]):.0f}"))  # fmt: skip
        hits = np.array([end == "abort" for end in ends])
        if factor == 1.0:
            report.at_most("whole releases, equal candidate: aborted", hits, 0.05)
        else:
            report.at_most(
                f"whole releases, {says}: promoted", np.array([end == "promote" for end in ends]), 0.05
            )
    report.table(("truth", "promoted", "aborted", "open", "median looks", "bad answers of the candidate",
                  "threshold: promoted / aborted; bad answers"), rows)  # fmt: skip


def _release(name: str, factor: float) -> tuple[str, int, int]:
    """How it ended, after how many looks, with how many bad answers of the candidate."""
    draw, config = streams.generator(name), replace(JudgeConfig(), soak=0.0)
    states, step, since, bad = begin(config, "stable", "candidate"), 0, 0.0, 0
    for number in range(1, LOOKS + 1):
        now, weight = 60.0 * number, config.steps[step] / 100
        n_c, n_s = round(6000 * weight), round(6000 * (1 - weight))
        errors = Window(
            n_c, int(draw.binomial(n_c, min(0.005 * factor, 1))), n_s, int(draw.binomial(n_s, 0.005))
        )
        slow = Window(n_c, int(draw.binomial(n_c, 0.01)), n_s, int(draw.binomial(n_s, 0.01)))
        bad += int(errors.x_c)
        states = observe(config, states, Look(now, 60.0, weight, errors, slow))
        verdict = judge(config, states, Clock(now, 0.0, since, step))
        if verdict.action == "abort":
            return "abort", number, bad
        if verdict.action == "promote":
            if step == len(config.steps) - 1:
                return "promote", number, bad
            step, since = step + 1, now
    return "open", LOOKS, bad


def _threshold(name: str, factor: float) -> tuple[str, int]:
    draw, failed, bad = streams.generator(f"threshold {name}"), 0, 0
    for weight in np.arange(0.1, 1.01, 0.1):
        n_c = round(6000 * weight)
        x_c = int(draw.binomial(n_c, min(0.005 * factor, 1)))
        bad += x_c
        failed += x_c / n_c > 0.01
        if failed > 5:
            return "abort", bad
    return "promote", bad
