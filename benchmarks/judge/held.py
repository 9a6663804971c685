"""Streams that meet the guards' assumptions: chances of error, and power, beside other methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from benchmarks.judge import others as peers
from benchmarks.judge import streams
from benchmarks.judge.runs import LEVEL, Run, run, run_states
from benchmarks.judge.streams import EQUAL, Delays, Floats, Truth
from benchmarks.judge.tables import Report, found, percent

from fairlead.release.judge.arrays import log_sum
from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.fixed import FixedGuard
from fairlead.release.judge.labels import LabelsGuard, LabelsState
from fairlead.release.judge.latency import LatencyGuard
from fairlead.release.judge.margin import STRICT, Margin
from fairlead.release.judge.predictions import PredictionsGuard
from fairlead.release.judge.rates import Counts
from fairlead.release.judge.shadow import FlipsGuard, PairedGuard
from fairlead.release.judge.slices import SlicesGuard
from fairlead.release.judge.traffic import TrafficGuard
from fairlead.release.judge.windows import Bins, PairedLosses, Pairs, Share, Window

ALPHA = 0.05
EDGE = Truth("at the margin", 1.25, 0.001)


def _guard(margin: Margin, base: float) -> ErrorsGuard:
    """The rate before the release is known, but 20 % too high."""
    return ErrorsGuard(margin, prior_base=1.2 * base)


def _kept(stream: Iterator[Window]) -> list[Window]:
    return list(stream)


# ----------------------------------------------------------------------------------------------------- errors

CELLS = [(rate, base, share) for rate in (10, 100) for base in (0.001, 0.005, 0.02) for share in (0.05, 0.5)]
TRUTHS = (Truth("x2", 2.0), Truth("x4", 4.0), Truth("+0.5 pp", 1.0, 0.005), Truth("+1.5 pp", 1.0, 0.015))


def errors(report: Report, rollouts: int) -> None:
    report.title(
        "Failed requests",
        "60 looks of 60 s at one weight. *Edge*: the truth is exactly on the default margin, and both chances must be at most "
        "5 %. The last columns are at the default margin; *m*: inside the margin, so never to be aborted.",
    )
    rows, worst = (
        [],
        {"strict": np.zeros(1, bool), "edge abort": np.zeros(1, bool), "edge promote": np.zeros(1, bool)},
    )
    for rate, base, share in CELLS:
        name, sizes = f"errors {rate} {base} {share}", {"base": base, "share": share, "units": 60 * rate}
        equal = _kept(streams.errors(name, rollouts, **sizes))
        strict, default = (
            run(_guard(STRICT, base), rollouts, equal),
            run(_guard(Margin(), base), rollouts, equal),
        )
        edge = run(
            _guard(Margin(), base), rollouts, streams.errors(f"{name} edge", rollouts, truth=EDGE, **sizes)
        )
        cells = [percent(strict.aborted), percent(default.aborted), percent(edge.aborted), percent(edge.promoted),
                 found(default.promote)]  # fmt: skip
        for truth in TRUTHS:
            if truth.at(base) <= Margin().at(base):
                cells.append("m")
                continue
            stream = streams.errors(f"{name} {truth.says}", rollouts, truth=truth, **sizes)
            cells.append(found(run(_guard(Margin(), base), rollouts, stream).abort))
        rows.append((str(rate), f"{base:.1%}".replace("%", " %"), f"{share:.0%}".replace("%", " %"), *cells))
        for what, hits in (
            ("strict", strict.aborted),
            ("edge abort", edge.aborted),
            ("edge promote", edge.promoted),
        ):
            worst[what] = max(worst[what], hits, key=lambda some: float(np.mean(some)))
    report.table(("req/s", "base", "share", "A/A strict", "A/A default", "edge: abort", "edge: promote", "equal: promote",
                  *(truth.says for truth in TRUTHS)), rows)  # fmt: skip
    report.at_most("errors: equal candidate aborted, strict margin, worst cell", worst["strict"], ALPHA)
    report.at_most("errors: candidate at the margin aborted, worst cell", worst["edge abort"], ALPHA)
    report.at_most("errors: candidate at the margin promoted, worst cell", worst["edge promote"], ALPHA)
    _weights(report, rollouts)


def _weights(report: Report, rollouts: int) -> None:
    """Weights that change, also because of the evidence."""
    rules: dict[str, Callable[[int, Floats], Floats]] = {
        "ladder 1, 5, 25, 50 %": lambda look, log_e: np.full(len(log_e), (0.01, 0.05, 0.25, 0.5)[look // 60]),
        "up when the evidence looks bad, down when good": lambda _, log_e: np.where(log_e > 0, 0.5, 0.02),
    }
    rows = []
    for says, rule in rules.items():
        result = _steered(f"weights {says}", rollouts, STRICT, rule)
        edge = _steered(f"weights edge {says}", rollouts, Margin(), rule, EDGE)
        rows.append((says, percent(result.aborted), percent(edge.aborted), percent(edge.promoted)))
        report.at_most(f"errors, weight {says}: equal candidate aborted, strict", result.aborted, ALPHA)
        report.at_most(f"errors, weight {says}: candidate at the margin promoted", edge.promoted, ALPHA)
    report.say("240 looks, 100 req/s, the base swinging between 0.18 and 1.4 % with common shocks:")
    report.table(("weight", "A/A strict", "edge: abort", "edge: promote"), rows)


def _steered(
    name: str, rollouts: int, margin: Margin, rule: Callable[[int, Floats], Floats], truth: Truth = EQUAL
) -> Run:
    draw, guard = streams.generator(name), _guard(margin, 0.005)
    number = iter(range(240))

    def update(state: object, _: object) -> object:
        look = next(number)
        base = streams.swinging(draw, look, rollouts)
        n_c = np.round(6000 * rule(look, state.abort.log))  # type: ignore[attr-defined]
        x_c, x_s = (
            draw.binomial(n_c.astype(int), truth.at(base)),
            draw.binomial((6000 - n_c).astype(int), base),
        )
        return guard.update(state, Window(n_c, x_c, 6000 - n_c, x_s))  # type: ignore[arg-type]

    return run_states(guard.begin((rollouts,)), rollouts, range(240), update)


# ------------------------------------------------------------------------------------------------ other methods


def others(report: Report, rollouts: int) -> None:
    report.title(
        "Other methods on the same streams",
        "100 req/s, 60 looks; percent alarmed. A threshold looks at the candidate alone, so its chance of error follows the base "
        "rate and the window; a z-test at each look is not made for looking often; Mann-Whitney gives ten requests and ten "
        "thousand the same weight. (m: inside the default margin.)",
    )
    columns = [(0.05, 0.005, Truth("equal")), (0.05, 0.005, Truth("x2", 2.0)), (0.05, 0.005, Truth("x4", 4.0)),
               (0.5, 0.005, Truth("equal")), (0.5, 0.005, Truth("x2", 2.0)), (0.05, 0.001, Truth("equal")),
               (0.05, 0.001, Truth("x4", 4.0)), (0.05, 0.02, Truth("equal"))]  # fmt: skip
    methods: dict[str, list[str]] = {}
    for share, base, truth in columns:
        windows = _kept(
            streams.errors(
                f"others {share} {base} {truth.says}", rollouts, truth=truth, base=base, share=share
            )
        )
        few = [Window(*(count[: max(rollouts // 8, 20)] for count in window.floats())) for window in windows]
        cells = {
            "**this judge, strict**": run(_guard(STRICT, base), rollouts, windows).abort,
            "**this judge, default margin**": run(_guard(Margin(), base), rollouts, windows).abort,
            "z-test at each look, 5 %": peers.z_test(windows),
            "success >= 99 %, failure limit 0": peers.threshold(windows, 0.99, 0),
            "success >= 99 %, failure limit 1": peers.threshold(windows, 0.99, 1),
            "success >= 99 %, failure limit 3": peers.threshold(windows, 0.99, 3),
            "Mann-Whitney from look 10 (an eighth of the rollouts)": peers.mann_whitney(few),
        }
        for name, looks in cells.items():
            methods.setdefault(name, []).append(found(looks))
    heads = [
        f"{share:.0%}, base {base:.1%}: {truth.says}".replace("%", " %") for share, base, truth in columns
    ]
    report.table(("method", *heads), [(name, *cells) for name, cells in methods.items()])


def detection(report: Report, rollouts: int) -> None:
    report.title(
        "Detection: 0.5 % to 2 % errors", "200 candidate and 3,800 stable requests a look, default margin."
    )
    worse = streams.errors("detection", rollouts, truth=Truth("2 %", 4.0), units=4000, looks=60)
    result = run(ErrorsGuard(), rollouts, worse)
    report.table(
        ("by look", *map(str, (1, 2, 3, 4, 5, 10))),
        [("aborted", *(percent(result.aborted_by(look)) for look in (1, 2, 3, 4, 5, 10)))],
    )
    report.at_least("errors 0.5 to 2 %: aborted by the 5th look", result.aborted_by(5), 0.5)


# ---------------------------------------------------------------------------------------------------- latency

LATENCY_EDGE = Truth("at the margin", 1.25, 0.0025)


def latency(report: Report, rollouts: int) -> None:
    """A fifth of the rollouts, because each has 720 readings."""
    rollouts = max(rollouts // 5, 40)
    report.title(
        "Slow answers",
        f"{rollouts} rollouts of two hours read each 10 s, 1 % slow, shocks common to both arms, blocks of 60 s; in brackets the "
        "median minute. Noise of each arm's own is below, under broken assumptions.",
    )
    rows = []
    for rate, share in ((100, 0.05), (100, 0.5), (1000, 0.5)):
        row, strict, edge = latency_row(rollouts, rate, share, None)
        rows.append(row)
        where = f"slow answers, {rate} req/s, {100 * share:.0f} %"
        report.at_most(f"{where}: equal candidate aborted, strict", strict.aborted, ALPHA)
        report.at_most(f"{where}: candidate at the margin aborted", edge.aborted, ALPHA)
        report.at_most(f"{where}: candidate at the margin promoted", edge.promoted, ALPHA)
    report.table(LATENCY_COLUMNS, rows)


LATENCY_COLUMNS = ("req/s, share; own noise", "φ = 1, bets each 10 s: A/A strict", "A/A strict", "A/A default", "edge: abort",
                   "edge: promote", "equal: promote", "x2: abort", "x4: abort")  # fmt: skip


def _noise(own: float | None) -> str:
    return "none" if own is None else f"{own:.0f} s"


def latency_row(
    rollouts: int, rate: float, share: float, own: float | None
) -> tuple[tuple[str, ...], Run, Run]:
    name = f"slow {rate} {share} {own}"

    def stream(truth: Truth = EQUAL) -> Iterator[Window]:
        return streams.slow(f"{name} {truth.says}", rollouts, rate=rate, share=share, own=own, truth=truth)

    equal = _kept(stream())
    plain = run(ErrorsGuard(STRICT, prior_base=0.01), rollouts, equal)
    strict, default = run(LatencyGuard(STRICT), rollouts, equal), run(LatencyGuard(), rollouts, equal)
    edge = run(LatencyGuard(), rollouts, stream(LATENCY_EDGE))
    worse = [run(LatencyGuard(), rollouts, stream(Truth(f"x{factor}", float(factor)))) for factor in (2, 4)]
    cells = (percent(plain.aborted), percent(strict.aborted), percent(default.aborted), percent(edge.aborted),
             percent(edge.promoted), _minutes(default.promote), *(_minutes(some.abort) for some in worse))  # fmt: skip
    return (f"{rate:g}, {share:.0%}; {_noise(own)}".replace("%", " %"), *cells), strict, edge


def _minutes(looks: Floats) -> str:
    """Readings of 10 s as minutes."""
    return found(np.ceil(looks / 6))


# ---------------------------------------------------------------------------------------------------- answers


def answers(report: Report, rollouts: int) -> None:
    """Distribution of answers, flips, paired losses, routed share, fixed bounds."""
    report.title(
        "Answers, pairs and traffic",
        "Predictions: 300 and 5,700 a look, 10 bins, 30 looks. Flips: 1,000 pairs a look against 2 %, 60 looks. Paired losses: "
        "500 labelled pairs a look, margin 0.5 percentage points, 60 looks. Routed share: 5 % asked of 6,000, 60 looks. Fixed "
        "bound: 6,000 requests a look against 2 %, 60 looks.",
    )
    rows = [*_predictions(report, rollouts), *_flips(report, rollouts), *_pairs(report, rollouts),
            *_shares(report, rollouts), *_fixed(report, rollouts)]  # fmt: skip
    report.table(("guard", "truth", "proved worse", "proved inside"), rows)


def _predictions(report: Report, rollouts: int) -> Iterator[tuple[str, ...]]:
    few = max(rollouts // 4, 50)
    for distance in (0.0, 0.02, 0.05, 0.1, 0.2):
        draw, plain = streams.generator(f"bins {distance}"), np.full(10, 0.1)
        moved = plain + distance / 5 * np.repeat([1, -1], 5)
        windows = (
            Bins(draw.multinomial(300, moved, few), draw.multinomial(5700, plain, few)) for _ in range(30)
        )
        result = run(PredictionsGuard(10), few, windows)
        yield "predictions", f"total variation {distance:g}", found(result.abort), ""
        if distance == 0.05:
            report.at_most("predictions exactly at the tolerance: fired", result.aborted, ALPHA)


def _flips(report: Report, rollouts: int) -> Iterator[tuple[str, ...]]:
    for share in (0.005, 0.015, 0.02, 0.025, 0.04):
        draw = streams.generator(f"flips {share}")
        windows = (Pairs(np.full(rollouts, 1000.0), draw.binomial(1000, share, rollouts)) for _ in range(60))
        result = run(FlipsGuard(), rollouts, windows)
        yield "flips", f"{share:.1%} differ".replace("%", " %"), found(result.abort), found(result.promote)
        if share == 0.02:
            report.at_most("flips exactly at the bound: fired", result.aborted, ALPHA)
            report.at_most("flips exactly at the bound: proved inside", result.promoted, ALPHA)


def _pairs(report: Report, rollouts: int) -> Iterator[tuple[str, ...]]:
    for worse, better in ((0.02, 0.02), (0.01, 0.01), (0.025, 0.02), (0.035, 0.02), (0.015, 0.02)):
        draw, values = streams.generator(f"pairs {worse} {better}"), np.array([1.0, -1.0, 0.0])
        chances = (worse, better, 1 - worse - better)
        windows = (PairedLosses(values, draw.multinomial(500, chances, rollouts)) for _ in range(60))
        result = run(PairedGuard(), rollouts, windows)
        truth = f"only the candidate wrong {worse:.1%}, only stable {better:.1%}".replace("%", " %")
        yield "paired losses", truth, found(result.abort), found(result.promote)
        if (worse, better) == (0.025, 0.02):
            report.at_most("paired losses exactly at the margin: aborted", result.aborted, ALPHA)
            report.at_most("paired losses exactly at the margin: promoted", result.promoted, ALPHA)
    apart = run_states(
        (guard := LabelsGuard(margin=Margin(1.0, 0.005))).begin((rollouts,)),
        rollouts,
        _apart(rollouts),
        guard.compare,
    )
    yield "the same labels, half in each arm", "both wrong 10.0 %", found(apart.abort), found(apart.promote)


def _apart(rollouts: int) -> Iterator[Counts]:
    draw, n = streams.generator("apart"), np.full((rollouts, 1), 250.0)
    for _ in range(60):
        wrong = draw.binomial(250, 0.1, (2, rollouts, 1)).astype(float)
        yield Counts(n, wrong[0], n, wrong[1])


def _shares(report: Report, rollouts: int) -> Iterator[tuple[str, ...]]:
    for real in (0.05, 0.06, 0.08, 0.03):
        draw, guard = streams.generator(f"share {real}"), TrafficGuard()
        state, total = guard.begin((rollouts,)), np.full(rollouts, 6000.0)
        for _ in range(60):
            state = guard.update(state, Share(draw.binomial(6000, real, rollouts), total, 0.05))
        more, less = state.peak_more >= LEVEL, state.peak_less >= LEVEL
        yield (
            "routed share",
            f"{100 * real:.0f} % of 5 % asked",
            f"more {percent(more)}, less {percent(less)}",
            "",
        )
        if real == 0.06:
            report.at_most("routed share exactly at the tolerance: fired", more, ALPHA)


def _fixed(report: Report, rollouts: int) -> Iterator[tuple[str, ...]]:
    for rate in (0.01, 0.02, 0.03):
        draw, guard = streams.generator(f"fixed {rate}"), FixedGuard("errors", 0.02)
        none, n = np.zeros(rollouts), np.full(rollouts, 6000.0)
        result = run(
            guard, rollouts, (Window(n, draw.binomial(6000, rate, rollouts), none, none) for _ in range(60))
        )
        yield "fixed bound, not compared", f"{rate:.0%}".replace("%", " %"), found(result.abort), ""
        if rate == 0.02:
            report.at_most("fixed bound, truth exactly at it: aborted", result.aborted, ALPHA)


# ----------------------------------------------------------------------------------------------------- labels


def labelled(
    guard: LabelsGuard, rollouts: int, stream: Iterator[tuple[Floats, ...]], *, pooled: bool = False
) -> Run:
    """The labels guard by cohort; *pooled* adds the cohorts up, which it never does itself."""

    def update(state: LabelsState, counts: tuple[Floats, ...]) -> LabelsState:
        units = Counts(*(count.sum(axis=-1, keepdims=True) if pooled else count for count in counts))
        return guard.compare(state, units)

    return run_states(guard.begin((rollouts,)), rollouts, stream, update)


SAME, SOONER = Delays(5.0, 5.0), Delays(5.0, 1.25)


def labels(report: Report, rollouts: int) -> None:
    rollouts = max(rollouts // 4, 50)
    report.title(
        "Late labels, by arm",
        f"{rollouts} rollouts; a canary at 20 % of 1,000 requests a look, 10 % wrong, labels after 5 looks in the mean (1.25 for "
        "wrong answers where they come sooner, in both arms), 40 looks.",
    )
    rows = []
    for says, truth, delays in (
        ("equal", EQUAL, SAME), ("equal, errors labelled sooner in both arms", EQUAL, SOONER),
        ("+1 pp, exactly at the margin", Truth("+1", 1, 0.01), SAME), ("+3 pp", Truth("+3", 1, 0.03), SAME),
        ("-1 pp", Truth("-1", 1, -0.01), SAME),
    ):  # fmt: skip

        def stream(
            says: str = says, truth: Truth = truth, delays: Delays = delays
        ) -> Iterator[tuple[Floats, ...]]:
            return streams.arrivals(f"labels {says}", rollouts, delays=delays, truth=truth)

        strict = labelled(LabelsGuard(margin=STRICT), rollouts, stream())
        default = labelled(LabelsGuard(), rollouts, stream())
        rows.append((says, percent(strict.aborted), found(default.abort), found(default.promote)))
        if truth is EQUAL:
            report.at_most(f"late labels, {says}: aborted, strict", strict.aborted, ALPHA)
        if says.startswith("+1"):
            report.at_most("late labels exactly at the margin: aborted", default.aborted, ALPHA)
            report.at_most("late labels exactly at the margin: promoted", default.promoted, ALPHA)
    report.table(("truth", "strict: abort", "+1 pp: abort", "+1 pp: promote"), rows)
    _coverage(report, rollouts)


def _coverage(report: Report, rollouts: int) -> None:
    draw, guard = streams.generator("coverage"), LabelsGuard()
    state = guard.begin((rollouts,))
    n_c, n_s = np.full((rollouts, 1), 200.0), np.full((rollouts, 1), 800.0)
    for _ in range(40):
        missing_c, missing_s = draw.binomial(200, 0.12, (rollouts, 1)), draw.binomial(800, 0.1, (rollouts, 1))
        state = guard.cover(state, Counts(n_c, missing_c.astype(float), n_s, missing_s.astype(float)))
    report.at_most(
        "coverage of labels, 2 pp apart as allowed: held", state.coverage.peak[..., 0] >= LEVEL, ALPHA
    )


# ----------------------------------------------------------------------------------------------------- slices


def slices(report: Report, rollouts: int) -> None:
    rollouts = max(rollouts // 4, 50)
    report.title(
        "Slices", f"{rollouts} rollouts; 10 slices, 20 % of 100 req/s, base 0.5 %, strict margin, 60 looks."
    )
    names = tuple("abcdefghij")
    rows = []
    for says, factors in (("equal", [1] * 10), ("one slice x5", [5] + [1] * 9), ("all x1.5", [1.5] * 10)):
        draw, guard = (
            streams.generator(f"slices {says}"),
            replace(SlicesGuard(names, STRICT), prior_base=0.006),
        )
        state, when = guard.begin((rollouts,)), np.full(rollouts, np.inf)
        for look in range(1, 61):
            window = {
                name: Window(np.full(rollouts, 120.0), draw.binomial(120, 0.005 * factor, rollouts),
                             np.full(rollouts, 480.0), draw.binomial(480, 0.005, rollouts))
                for name, factor in zip(names, factors, strict=True)
            }  # fmt: skip
            state = guard.update(state, window)
            when = np.where((state.peak >= LEVEL) & np.isinf(when), look, when)
        rows.append((says, found(when)))
        if says == "equal":
            report.at_most("slices, all equal: aborted, strict", np.isfinite(when), ALPHA)
    report.table(("truth", "mean of the slices >= 1/alpha"), rows)


# ---------------------------------------------------------------------------------------------- several guards


def several(report: Report, rollouts: int) -> None:
    """The weighted mean of four guards, as a verdict takes it."""
    report.title(
        "Several guards together",
        "Errors 0.5 %, slow 1 %, wrong 10 % (on pairs, half of the requests), 20 % of 100 req/s, 60 looks, strict margins; the "
        "mean of the evidence with weights 0.44, 0.22 and 0.33.",
    )
    rows = []
    for says, factors in (
        ("equal", (1.0, 1.0, 1.0)),
        ("errors x2", (2.0, 1.0, 1.0)),
        ("all a little worse", (1.6, 1.6, 1.2)),
    ):
        when = _together(f"several {says}", rollouts, factors)
        rows.append((says, found(when)))
        if says == "equal":
            report.at_most("three guards together, all equal: aborted, strict", np.isfinite(when), ALPHA)
    report.table(("truth", "aborted"), rows)


def _together(name: str, rollouts: int, factors: tuple[float, float, float]) -> Floats:
    draw = streams.generator(name)
    guards = (ErrorsGuard(STRICT), LatencyGuard(STRICT), PairedGuard(margin=0.0))
    states = [guard.begin((rollouts,)) for guard in guards]
    weights = np.log(np.array([0.4, 0.2, 0.3]) / 0.9)
    when, n_c, n_s = np.full(rollouts, np.inf), np.full(rollouts, 1200.0), np.full(rollouts, 4800.0)
    wrong = 0.02 + 0.1 * (factors[2] - 1)
    for look in range(1, 61):
        counted = [Window(n_c, draw.binomial(1200, rate * factor, rollouts), n_s, draw.binomial(4800, rate, rollouts))
                   for rate, factor in ((0.005, factors[0]), (0.01, factors[1]))]  # fmt: skip
        pairs = PairedLosses(
            np.array([1.0, -1.0, 0.0]), draw.multinomial(600, (wrong, 0.02, 0.98 - wrong), rollouts)
        )
        states = [
            guard.update(state, window)
            for guard, state, window in zip(guards, states, (*counted, pairs), strict=True)
        ]
        log_e = np.stack([states[0].abort.log, states[1].rates.abort.log, states[2].abort.log], axis=-1)
        mean = log_sum(log_e + weights)
        when = np.where((mean >= LEVEL) & np.isinf(when), look, when)
    return when
