"""The judge's settings from the project file."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fairlead.release.judge.config import JudgeConfig, demo
from fairlead.release.judge.errors import ErrorsGuard
from fairlead.release.judge.fixed import FixedGuard
from fairlead.release.judge.labels import LabelsGuard
from fairlead.release.judge.latency import LatencyGuard
from fairlead.release.judge.margin import Margin
from fairlead.release.judge.predictions import PredictionsGuard
from fairlead.release.judge.shadow import FlipsGuard, PairedGuard
from fairlead.release.judge.slices import SlicesGuard
from fairlead.release.judge.traffic import TrafficGuard
from fairlead.release.judge.value import value_guard
from fairlead.spec.project import Problem
from fairlead.spec.release import Guards, LabelsRule, MarginLine, QualityRule, Release, ValueRule
from fairlead.spec.run import seconds_of


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of stable before the release: better bets on the first looks, and the bounds after 100 %."""

    errors: float = 0.005
    """Share of failed requests in the hour before."""
    slow: float = 0.01
    """Share of slow answers."""
    slow_above: float | None = None
    """Seconds above which an answer is slow: a bound of the histogram."""
    bins: int = 10
    """Classes, or bins of the score."""
    shares: tuple[float, ...] | None = None
    """Stable's shares by bin."""


def config_of(release: Release, problem: Problem, known: Known | None = None) -> JudgeConfig:
    """The settings that the project file asks for.

    Args:
        release: The section ``release``.
        problem: The section ``problem``, for the currency.
        known: What is known of stable; careful guesses where it is not.

    >>> config_of(Release(), Problem(statement="s", owner="o")).steps
    (1.0, 5.0, 25.0, 50.0)
    """
    known, guards, pairs = known or Known(), release.guards, release.shadow or release.strategy == "shadow"
    config = JudgeConfig(
        errors=_errors(guards, known), latency=_latency(guards, known), predictions=_predictions(guards, known),
        flips=_flips(guards) if pairs else None, quality=_quality(guards.quality, pairs=pairs),
        value=_value(guards.value, problem, pairs=pairs), slices=_slices(guards, known), traffic=_traffic(guards),
        after=_after(guards, known),
        steps=release.steps if release.strategy == "canary" else (50.0,),
        alpha=release.alpha, beta=release.beta, max_duration=float(seconds_of(release.timeout)),
        on_timeout=release.on_timeout,
    )  # fmt: skip
    return _with_times(demo(config) if release.profile == "demo" else config, release)


def _with_times(config: JudgeConfig, release: Release) -> JudgeConfig:
    """What the file says about times replaces what the profile does."""
    said = {
        name: float(seconds_of(duration))
        for name in ("look", "min_step", "soak", "stale_after")
        if (duration := getattr(release, name)) is not None
    }
    if "max_duration" not in said and "timeout" in release.model_fields_set:
        said["max_duration"] = float(seconds_of(release.timeout))
    rule = release.guards.latency
    if config.latency is not None and rule is not None and rule.block is not None:
        config = replace(config, latency=replace(config.latency, block=float(seconds_of(rule.block))))
    return replace(config, **said)  # type: ignore[arg-type]  # all of them are seconds


def _margin(line: MarginLine) -> Margin:
    return Margin(line.ratio, line.add)


def _errors(guards: Guards, known: Known) -> ErrorsGuard | None:
    rule = guards.errors
    if rule is None:
        return None
    return ErrorsGuard(
        _margin(rule.margin), rule.action, rule.required, prior_base=known.errors, burst=rule.burst
    )


def _latency(guards: Guards, known: Known) -> LatencyGuard | None:
    rule = guards.latency
    if rule is None:
        return None
    return LatencyGuard(
        _margin(rule.margin), rule.action, rule.required, kappa0=rule.kappa0, prior_base=known.slow, bound=known.slow_above
    )  # fmt: skip


def _predictions(guards: Guards, known: Known) -> PredictionsGuard | None:
    rule = guards.predictions
    return None if rule is None else PredictionsGuard(known.bins, rule.tolerance, rule.action, known.shares)


def _flips(guards: Guards) -> FlipsGuard | None:
    rule = guards.flips
    return None if rule is None else FlipsGuard(rule.bound, rule.action, rule.required)


def _slices(guards: Guards, known: Known) -> SlicesGuard | None:
    rule = guards.slices
    if rule is None:
        return None
    return SlicesGuard(
        rule.values,
        _margin(rule.margin),
        rule.action,
        rule.required,
        rule.required_share,
        prior_base=known.errors,
    )


def _traffic(guards: Guards) -> TrafficGuard | None:
    rule = guards.traffic
    return None if rule is None else TrafficGuard(rule.tolerance, rule.action)


def _quality(rule: QualityRule | None, *, pairs: bool) -> PairedGuard | LabelsGuard | None:
    if rule is None or rule.labels is None:
        return None
    if pairs:
        return PairedGuard("quality", rule.margin or 0.005, 1.0, rule.action, rule.required)
    return _labelled(
        LabelsGuard("quality", Margin(1.0, rule.margin or 0.01), rule.action, rule.required), rule.labels
    )


def _value(rule: ValueRule | None, problem: Problem, *, pairs: bool) -> PairedGuard | LabelsGuard | None:
    if rule is None or rule.labels is None:
        return None
    unit = problem.value.currency if problem.value else ""
    guard = value_guard(
        rule.margin, rule.cap, pairs=pairs, unit=unit, action=rule.action, required=rule.required
    )
    return _labelled(guard, rule.labels) if isinstance(guard, LabelsGuard) else guard


def _labelled(guard: LabelsGuard, labels: LabelsRule) -> LabelsGuard:
    return replace(guard, missing=labels.missing, coverage=labels.coverage, early=labels.early)


def _after(guards: Guards, known: Known) -> tuple[FixedGuard, ...]:
    """Bounds for the time after 100 %: twice stable's rate, and five times what the margin adds."""
    found = []
    if guards.errors is not None:
        found.append(FixedGuard("errors", guards.after.errors or _bound(known.errors, guards.errors.margin)))
    if guards.latency is not None:
        found.append(FixedGuard("latency", guards.after.slow or _bound(known.slow, guards.latency.margin)))
    return tuple(found)


def _bound(rate: float, margin: MarginLine) -> float:
    return min(0.5, max(margin.ratio, 2.0) * rate + 5 * max(margin.add, 0.001))
