"""Evidence to a verdict: the only place where one is formed.

Rules, the first that applies:

1. the latest look could not be read, or time went backwards: ``no_data``, with the cause;
2. the mean evidence of the guards that abort has reached 1/alpha, and a named guard has ``min_bad`` bad answers: ``abort``, also
   when data have since stopped;
3. no new units of an arm for ``stale_after``: ``no_data``. Zero traffic is never success, and never failure;
4. a guard holds, and nobody has acknowledged it: ``hold``;
5. every required proof is complete, with the least units, looks and ages: ``promote``. What is required by nobody proves nothing;
6. older than ``max_duration``: ``on_timeout``, never promote;
7. ``hold``, with what is missing and the forecast.

Going back by one guard of several: ``E = Σ w_g E_g`` is evidence under any dependence (Vovk and Wang 2021). Going on needs each
proof by itself, and then no correction is due: a candidate beyond any one margin fails that proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from fairlead.release.judge.config import JudgeConfig, log_weights
from fairlead.release.judge.forecast import NOT_EXPECTED, hours, shown
from fairlead.release.judge.guard import GuardResult
from fairlead.release.judge.states import States

Decision = Literal["promote", "hold", "abort", "no_data"]


@dataclass(frozen=True, slots=True)
class Clock:
    """What time it is for a release, in seconds since 1970."""

    now: float
    started: float
    """When the release began."""
    step_started: float
    """When the present weight was set."""
    step: int = 0
    """Number of the present weight, from 0."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done at the present weight, and why."""

    action: Decision
    """``promote`` before the last step means "next weight"."""
    reasons: tuple[str, ...]
    forecast: str
    """What is still expected, in words; empty where there is nothing to expect."""
    guards: tuple[GuardResult, ...]
    log_abort: float
    """The mean evidence for going back, at its peak."""
    compared: bool
    """False after 100 %: the candidate alone, against bounds fixed before."""
    profile: str

    def to_json(self) -> str:
        """As JSON text; what was minus infinity is null."""
        return _ADAPTER.dump_json(self).decode()


_ADAPTER = TypeAdapter(Verdict)


def judge(config: JudgeConfig, states: States, clock: Clock, acknowledged: Collection[str] = ()) -> Verdict:
    """The verdict on what has been seen.

    Args:
        config: The judge's settings.
        states: The evidence.
        clock: What time it is, and where the release is.
        acknowledged: Names of guards whose reason to hold a person has seen and accepted.
    """
    guards = config.guards() if states.compared else config.guards_after()
    stage = config.stage(clock.step)
    results = tuple(guard.result(states.guards[name], stage) for name, guard in guards.items())
    bench = _Bench(config, states, clock, results, tuple(acknowledged))
    action, reasons = bench.decide()
    if not states.compared:
        reasons = (
            "not compared: all traffic is the candidate's; judged against bounds fixed before the release",
            *reasons,
        )
    if config.profile != "default":
        reasons = (*reasons, f"profile {config.profile}")
    forecast = bench.forecast() if action in ("hold", "no_data") and states.compared else ""
    return Verdict(action, reasons, forecast, results, states.peak.log, states.compared, config.profile)


@dataclass(frozen=True, slots=True)
class _Bench:
    """All that the rules look at."""

    config: JudgeConfig
    states: States
    clock: Clock
    results: Sequence[GuardResult]
    acknowledged: tuple[str, ...]

    def decide(self) -> tuple[Decision, tuple[str, ...]]:
        """The rules in their order."""
        stops: tuple[tuple[Decision, Callable[[], tuple[str, ...]]], ...] = (
            ("no_data", self._unreadable), ("abort", self._proved_worse), ("no_data", self._silent), ("hold", self._held),
        )  # fmt: skip
        for decision, reasons_of in stops:
            if reasons := reasons_of():
                return decision, reasons
        if not (missing := self._missing()):
            return "promote", (self._all_proved(),)
        if self._age(self.clock.started) >= self.config.max_duration and self.states.compared:
            undecided = f"undecided after {hours(self.config.max_duration)}: close to the margin, or too little traffic"
            return self.config.on_timeout, (undecided, *missing)
        return "hold", missing

    def _age(self, since: float) -> float:
        age = self.clock.now - since
        return age if math.isfinite(age) else 0.0

    # ------------------------------------------------------------------------------------------------ 1 and 3

    def _unreadable(self) -> tuple[str, ...]:
        if self.states.problem:
            return (self.states.problem,)
        if not all(map(math.isfinite, (self.clock.now, self.clock.started, self.clock.step_started))):
            return ("the clock cannot be read",)
        if self.states.at is not None and self.states.at > self.clock.now + self.config.look:
            return ("the latest look ends in the future: a clock went back",)
        return ()

    def _silent(self) -> tuple[str, ...]:
        """Which arm had no units for too long."""
        allowed = max(5 * self.config.look, self.config.stale_after)
        arms = [("candidate", self.states.last_c)]
        if self.states.compared:
            arms.append(("stable", self.states.last_s))
        for arm, last in arms:
            silent = self._age(self.clock.started if last is None else last)
            if silent >= allowed:
                return (
                    f"no new {arm} traffic for {silent:.0f} s: zero traffic is neither success nor failure",
                )
        return ()

    # ------------------------------------------------------------------------------------------------------ 2

    def _proved_worse(self) -> tuple[str, ...]:
        level, peak = math.log(1 / self.config.alpha), self.states.peak
        if peak.log < level:
            return ()
        guards = self.config.guards() if self.states.compared else self.config.guards_after()
        weights = log_weights(guards)
        share = {name: weights[name] + log_e for name, log_e in peak.by.items() if name in weights}
        alone = [name for name, log_e in share.items() if log_e >= level]
        names = alone or sorted(share, key=lambda name: (-share[name], name))[:2]
        worst = [result for result in self.results if result.name in names]
        if not any(result.x_c >= self.config.min_bad for result in worst):
            return ()
        how = "" if alone else " together"
        return tuple(f"{_counted(result)}: proved worse than the margin{how} (log E {peak.by[result.name]:.2f})"
                     for result in worst)  # fmt: skip

    # ------------------------------------------------------------------------------------------------------ 4

    def _held(self) -> tuple[str, ...]:
        return tuple(
            result.hold for result in self.results if result.hold and result.name not in self.acknowledged
        )

    # ------------------------------------------------------------------------------------------------------ 5

    def _missing(self) -> tuple[str, ...]:
        """What promotion still lacks, in words; empty if nothing."""
        if not self.states.compared:
            return ("nothing was proved worse so far; the comparison ended with 100 %",)
        config, states = self.config, self.states
        required = [result for result in self.results if result.required]
        checks = (
            (not required, "no guard is required at this step, so nothing can be proved"),
            (states.n_c < config.min_units, f"{states.n_c:g} of {config.min_units:g} candidate units"),
            (states.n_s < config.min_units, f"{states.n_s:g} of {config.min_units:g} stable units"),
            (states.looks < config.min_looks, f"{states.looks} of {config.min_looks} looks with evidence"),
            (self._age(self.clock.step_started) < self._least_age(), self._age_missing()),
        )
        unproved = [f"{_counted(result)}: not yet proved inside the margin (log E {result.log_promote:.2f} of "
                    f"{math.log(1 / config.beta):.2f}; {result.note})" for result in required if not result.proved]  # fmt: skip
        return (*unproved, *(said for lacks, said in checks if lacks))

    def _is_last(self) -> bool:
        return self.clock.step >= len(self.config.steps) - 1

    def _least_age(self) -> float:
        return max(self.config.min_step, self.config.soak) if self._is_last() else self.config.min_step

    def _age_missing(self) -> str:
        what = "soak of the last step" if self._is_last() else "least time at a weight"
        return f"{what}: {max(0.0, self._age(self.clock.step_started)):.0f} of {self._least_age():.0f} s"

    def _all_proved(self) -> str:
        names = ", ".join(result.name for result in self.results if result.required)
        return f"proved inside the margin: {names}"

    # ------------------------------------------------------------------------------------------------------ 7

    def forecast(self) -> str:
        """The slowest of the required proofs, and what would be proved worse, if anything."""
        config = self.config
        unproved = [result for result in self.results if result.required and not result.proved]
        said = []
        if unproved:
            slowest = max(
                unproved,
                key=lambda result: math.inf if result.looks_to_promote is None else result.looks_to_promote,
            )
            said.append(
                f"promote: {shown(slowest.looks_to_promote, config.look, config.max_duration)} ({slowest.name})"
            )
        aborting = [
            result
            for result in self.results
            if result.action == "abort" and result.looks_to_abort is not None
        ]
        if aborting:
            first = min(aborting, key=lambda result: result.looks_to_abort or 0.0)
            said.append(
                f"abort: {shown(first.looks_to_abort, config.look, config.max_duration)} ({first.name})"
            )
        return "; ".join(said) or f"promote: {NOT_EXPECTED if unproved else 'proofs are complete'}"


def _counted(result: GuardResult) -> str:
    """The guard's name and what it counted."""
    against = f", stable {result.x_s:g} of {result.n_s:g}" if result.n_s else ""
    return f"{result.name}: candidate {result.x_c:g} of {result.n_c:g}{against}"
