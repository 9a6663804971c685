"""One look of the judge at a release under way: from two readings of the counters to a verdict in the journal. Pure.

The readings themselves are kept in memory only. After a kill the first one is a new beginning, and what was counted meanwhile is
unknown: it is evidence of nothing, and costs time and no validity, because it was lost whatever it said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fairlead.release.journal import Journal, Release, Said, Shift
from fairlead.release.judge import Clock, JudgeConfig, Look, Verdict, begin, judge, observe, read
from fairlead.release.judge.configure import Known, config_of
from fairlead.release.judge.latency import objective_bound
from fairlead.release.policy import Policy
from fairlead.release.readings import Arm, look_between
from fairlead.spec.project import Problem
from fairlead.spec.release import Release as Plan

Arms = Mapping[str, Arm]
"""Slot to what its pods have counted."""

PODS = 2
"""With fewer pods a slow node cannot be told from a slow version, so slow answers are only reported."""


def config_for(policy: Policy, shift: Shift) -> JudgeConfig:
    """The judge's settings for a release under way."""
    plan = policy.release or Plan()
    config = config_of(
        plan, Problem(statement=policy.model, owner=policy.model), Known(slow_above=shift.slow_above, bins=shift.bins)
    )  # fmt: skip
    if config.latency is not None and policy.scale.floor < PODS:
        config = replace(config, latency=replace(config.latency, action="report", required=False))
    return replace(
        config,
        latency=config.latency if shift.slow_above is not None else None,
        predictions=config.predictions if shift.bins else None,
        steps=shift.steps,
    )


def seconds_between(policy: Policy) -> float:
    """Length of a look."""
    return config_for(policy, Shift(steps=policy.steps or (100.0,), since=0.0)).look


def first(policy: Policy, journal: Journal, shift: Shift, arms: Arms, now: float) -> Shift:
    """After the first reading at a weight, with which the next one is compared; the very first fixes what can be judged."""
    problem = next((arm.problem for arm in arms.values() if arm.problem), "")
    if problem:
        return shift.model_copy(update={"looked": now, "said": Said(action="no_data", reasons=(problem,))})
    if shift.looked:
        return shift.model_copy(update={"looked": now})
    stable = arms[journal.live] if journal.live else Arm(now)
    objective_ms = _objective_ms(policy)
    slow_above = None if objective_ms is None else objective_bound(stable.bounds, objective_ms / 1000)
    bins = len(next(iter(stable.bins.values()), ()))
    return shift.model_copy(update={"looked": now, "slow_above": slow_above, "bins": bins})


def judged(
    policy: Policy,
    journal: Journal,
    release: Release,
    shift: Shift,
    before: Arms,
    after: Arms,
    now: float,
) -> tuple[Shift, Look, Verdict]:
    """After a look: the evidence has grown, and the judge has spoken. With it what was seen and what was said, to be kept."""
    stable = journal.live or ""
    look = look_between(
        before, after, candidate=release.slot, stable=stable, weight=shift.weight / 100, slow_above=shift.slow_above
    )  # fmt: skip
    if look.predictions is not None and len(look.predictions.c) != shift.bins:
        look = replace(look, predictions=None)
    config = config_for(policy, shift)
    about = (journal.slots[stable].revision, release.revision)
    states = read(config, *about, shift.evidence) if shift.evidence else begin(config, *about)
    states = observe(config, states, look)
    verdict = judge(config, states, Clock(now, release.started, shift.since, shift.step), shift.acknowledged)
    said = Said(action=verdict.action, reasons=verdict.reasons, forecast=verdict.forecast)
    onward = shift.model_copy(
        update={"looked": now, "looks": shift.looks + 1, "evidence": states.to_json(), "said": said}
    )
    return onward, look, verdict


def look_record(release: Release, shift: Shift, look: Look, verdict: Verdict) -> dict[str, Any]:
    """A look as it is kept beside the journal: what was counted, what every guard made of it, what was decided."""
    window = look.errors
    counted = (
        {} if window is None else {"n_c": window.n_c, "x_c": window.x_c, "n_s": window.n_s, "x_s": window.x_s}
    )
    return {
        "at": look.at,
        "seconds": look.seconds,
        "revision": release.revision,
        "started": release.started,
        "step": shift.step,
        "weight": shift.weight,
        "counted": counted,
        "verdict": json.loads(verdict.to_json()),
    }


def _objective_ms(policy: Policy) -> float | None:
    rule = policy.release.guards.latency if policy.release else None
    return (rule.objective_ms if rule else None) or policy.objective_ms
