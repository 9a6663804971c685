"""Streams that break an assumption: what the promises are worth then. No bars, only figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from benchmarks.judge import held, streams
from benchmarks.judge.runs import LEVEL, run
from benchmarks.judge.streams import EQUAL, Delays, Floats, Truth
from benchmarks.judge.tables import Report, percent

from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.labels import LabelsGuard
from fairlead.release.judge.margin import STRICT
from fairlead.release.judge.rates import Counts
from fairlead.release.judge.windows import Window


def broken(report: Report, rollouts: int) -> None:
    report.title(
        "Where assumptions are broken",
        "Equal candidates unless said; percent aborted, which ought to be at most 5 at the strict margin. What the judge does "
        "about each stands in docs/judge.md.",
    )
    _latency(report, rollouts)
    _bursts(report, rollouts)
    _exposure(report, rollouts)
    _labels(report, rollouts)


def _latency(report: Report, rollouts: int) -> None:
    report.say(
        "**Slow answers, with noise of each arm's own** (sd 0.5 of the logarithm, correlation time as given; blocks of 60 s). "
        "At half a block the chance of error is near what is promised, at a block and more it is not; with 300 s an arm as a "
        "whole wanders for minutes, and no statistic can tell that from a slow version."
    )
    cells = ((100, 0.05, 30.0), (100, 0.05, 60.0), (100, 0.5, 30.0), (100, 0.5, 60.0), (100, 0.5, 300.0),
             (1000, 0.5, 30.0), (1000, 0.5, 60.0))  # fmt: skip
    few = max(rollouts // 5, 40)
    report.table(held.LATENCY_COLUMNS, [held.latency_row(few, *cell)[0] for cell in cells])


def _bursts(report: Report, rollouts: int) -> None:
    report.say(
        "**Requests that fail in groups** (retries, sessions; geometric sizes), 100 req/s, base 0.5 %. φ is the guard's `burst`; "
        "counting groups instead of requests needs none."
    )
    rows = []
    for mean in (3.0, 10.0):
        for share in (0.05, 0.5):
            stream = list(
                streams.bursts(f"bursts {mean} {share}", rollouts, mean=mean, share=share, counted=False)
            )
            groups = streams.bursts(f"groups {mean} {share}", rollouts, mean=mean, share=share, counted=True)
            found = [percent(run(ErrorsGuard(STRICT, burst=phi), rollouts, stream).aborted)
                     for phi in (1.0, mean, 2 * mean - 1, 3 * mean)]  # fmt: skip
            found.append(percent(run(ErrorsGuard(STRICT), rollouts, groups).aborted))
            rows.append((f"mean {mean:g}, share {share:.0%}".replace("%", " %"), *found))
    report.table(("groups", "φ = 1", "φ = mean", "**φ = E[k²]/E[k]**", "φ = 3·mean", "groups counted"), rows)


def _exposure(report: Report, rollouts: int) -> None:
    report.say("**Exposure that is not what it is taken for**, 240 looks, base swinging:")
    wrong = {"nominal weight 20 % used, 24 % routed": _nominal, "stable measured 60 looks earlier": _earlier}
    rows = [
        (says, percent(run(ErrorsGuard(STRICT), rollouts, stream(rollouts)).aborted))
        for says, stream in wrong.items()
    ]
    report.table(("what is wrong", "A/A strict"), rows)


def _nominal(rollouts: int) -> Iterator[Window]:
    draw = streams.generator("nominal")
    for look in range(240):
        base = streams.swinging(draw, look, rollouts)
        x_c, x_s = draw.binomial(1440, base), draw.binomial(4560, base)
        yield Window(np.full(rollouts, 1200.0), np.minimum(x_c, 1200), np.full(rollouts, 4800.0), x_s)


def _earlier(rollouts: int) -> Iterator[Window]:
    draw = streams.generator("earlier")
    for look in range(240):
        now, before = streams.swinging(draw, look, rollouts), streams.swinging(draw, look - 60, rollouts)
        yield Window(
            np.full(rollouts, 3000.0),
            draw.binomial(3000, now),
            np.full(rollouts, 3000.0),
            draw.binomial(3000, before),
        )


def _labels(report: Report, rollouts: int) -> None:
    few = max(rollouts // 4, 50)
    report.say(
        "**Late labels**, the weight rising from 5 to 50 % at look 15, 40 looks. Pooling cohorts, which the guard never does, "
        "condemns any candidate when errors are labelled sooner (3 looks against 12):"
    )
    guard, rows = LabelsGuard(margin=STRICT), []
    for says, delays, swings in (
        ("same delay for all", Delays(12, 12), False), ("errors labelled sooner", Delays(12, 3), False),
        ("same delay, error rate swinging", Delays(12, 12), True), ("both", Delays(12, 3), True),
    ):  # fmt: skip
        name = f"cohorts {says}"
        results = [
            held.labelled(
                guard,
                few,
                streams.arrivals(name, few, delays=delays, first=0.05, later=0.5, swings=swings),
                pooled=pooled,
            )
            for pooled in (True, False)
        ]
        rows.append((says, *(percent(result.aborted) for result in results)))
        report.at_most(f"late labels by cohort, {says}: aborted, strict", results[1].aborted, held.ALPHA)
    report.table(("labels", "pooled", "**by cohort**"), rows)
    report.lines += [
        "Labels that depend on which version answered; nothing but the check of coverage can see the second:",
        "",
    ]
    report.table(("labels", "strict: abort", "+1 pp: abort", "coverage: held"), [_selected(few, *row) for row in (
        ("errors labelled sooner in the candidate only", Delays(5, 5, 1.25), EQUAL),
        ("the candidate's right answers get 80 % of labels", Delays(5, 5, kept_c=0.8), EQUAL),
    )])  # fmt: skip


def _selected(rollouts: int, says: str, delays: Delays, truth: Truth) -> tuple[str, ...]:
    def stream() -> Iterator[tuple[Floats, ...]]:
        return streams.arrivals(f"selected {says}", rollouts, delays=delays, truth=truth)

    guard = LabelsGuard()
    strict = held.labelled(replace(guard, margin=STRICT), rollouts, stream())
    default = held.labelled(guard, rollouts, stream())
    return says, percent(strict.aborted), percent(default.aborted), percent(_held(guard, rollouts, delays))


def _held(guard: LabelsGuard, rollouts: int, delays: Delays) -> Floats:
    """Whether the check of coverage held: predictions a look older than 20 looks, 10 % of which never get a label."""
    draw, state = streams.generator("coverage broken"), guard.begin((rollouts,))
    for _ in range(20):
        missing = []
        for number, kept in ((200, delays.kept_c), (800, 1.0)):
            labelled = draw.binomial(draw.binomial(number, 0.9, (rollouts, 1)), 1 - 0.9 * (1 - kept))
            missing.append((number - labelled).astype(float))
        n_c, n_s = np.full((rollouts, 1), 200.0), np.full((rollouts, 1), 800.0)
        state = guard.cover(state, Counts(n_c, missing[0], n_s, missing[1]))
    return np.asarray(state.coverage.peak.max(axis=-1) >= LEVEL)
