"""What the judge remembers of a release, and the only place where it changes: :func:`observe`.

Looks that are short, or have few units of the candidate, are joined first, but never across a change of weight. The end of a
joined look depends on exposures only, not on outcomes, so joining costs no validity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from fairlead.errors import IntegrityError
from fairlead.release.judge.arrays import log_sum
from fairlead.release.judge.config import JudgeConfig, log_weights
from fairlead.release.judge.fixed import FixedState
from fairlead.release.judge.guard import AnyGuard
from fairlead.release.judge.labels import LabelsState
from fairlead.release.judge.latency import LatencyState
from fairlead.release.judge.predictions import BinsState
from fairlead.release.judge.rates import RateState
from fairlead.release.judge.shadow import FlipsState, PairedState
from fairlead.release.judge.slices import SlicesState
from fairlead.release.judge.traffic import TrafficState
from fairlead.release.judge.windows import Bins, Look, Share, Window

Key = tuple[str, str, str]
"""Stable version, candidate version, digest of the settings: what the evidence is about."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest evidence for going back so far."""

    log: float = 0.0
    """``log Σ w_g E_g``"""
    by: Mapping[str, float] = field(default_factory=dict)
    """Each guard's ``log E`` at that time."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A look that is too short yet."""

    seconds: float
    weight: float | None = None
    errors: Window | None = None
    predictions: Bins | None = None
    slices: Mapping[str, Window] = field(default_factory=dict)

    @classmethod
    def of(cls, look: Look) -> Pending:
        """The counts of one look."""
        return cls(look.seconds, look.weight, look.errors, look.predictions, look.slices)

    def plus(self, look: Look) -> Pending:
        """Both together."""
        slices = {
            name: _joined(self.slices.get(name), look.slices.get(name))
            for name in sorted({*self.slices, *look.slices})
        }
        return Pending(self.seconds + look.seconds, self.weight, _joined(self.errors, look.errors),
                       _joined(self.predictions, look.predictions), slices)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Everything the judge knows. :meth:`to_json` and :func:`read` keep it bit for bit."""

    key: Key
    guards: Mapping[str, Any]
    """Each guard's state."""
    compared: bool = True
    """False after 100 %: the candidate alone, against bounds fixed before."""
    pending: Pending | None = None
    looks: int = 0
    """Looks with evidence, joined ones counted once."""
    n_c: float = 0.0
    """Units of the candidate so far, evidence or not."""
    n_s: float = 0.0
    at: float | None = None
    """End of the latest look, seconds since 1970."""
    last_c: float | None = None
    """End of the latest look with units of the candidate."""
    last_s: float | None = None
    problem: str = ""
    """Why the latest look could not be read; empty if it could."""
    peak: Peak = field(default_factory=Peak)

    def to_json(self) -> str:
        """The text to keep."""
        guards = {name: _dumped(state) for name, state in self.guards.items()}
        rest = _REST.dump_python(replace(self, guards={}), mode="json")
        return json.dumps(rest | {"guards": guards}, allow_nan=False, separators=(",", ":"))


_REST = TypeAdapter(States)
_KINDS: tuple[type[Any], ...] = (RateState, LatencyState, BinsState, FlipsState, PairedState, LabelsState, SlicesState,
                                 TrafficState, FixedState)  # fmt: skip
_ADAPTERS: dict[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in _KINDS}


def begin(config: JudgeConfig, stable: str, candidate: str, *, compared: bool = True) -> States:
    """The states before the first look.

    Args:
        config: The judge's settings.
        stable: Identifier of the stable version, which changes with anything about it.
        candidate: The same of the candidate.
        compared: False for the time after 100 %.
    """
    guards = _guards(config, compared=compared)
    return States(
        (stable, candidate, config.digest), {name: guard.begin() for name, guard in guards.items()}, compared
    )


def read(config: JudgeConfig, stable: str, candidate: str, text: str, *, compared: bool = True) -> States:
    """The inverse of :meth:`States.to_json`. Evidence about anything else is forgotten: the states are fresh then.

    Raises:
        IntegrityError: The text is not what :meth:`States.to_json` wrote.
    """
    fresh = begin(config, stable, candidate, compared=compared)
    try:
        record = json.loads(text)
        if tuple(record["key"]) != fresh.key or record["compared"] != compared:
            return fresh
        guards = {
            name: _ADAPTERS[guard.state.__name__].validate_python(record["guards"][name])
            for name, guard in _guards(config, compared=compared).items()
        }
        kept: States = _REST.validate_python(record | {"guards": {}})
        return replace(kept, guards=guards)
    except (ValueError, KeyError, TypeError, ValidationError) as cause:
        raise IntegrityError(
            f"the judge's evidence cannot be read ({type(cause).__name__}: {cause})",
            hint="Delete it: the release goes on at its present weight, and evidence starts anew.",
        ) from cause


def observe(config: JudgeConfig, states: States, look: Look) -> States:
    """The states after one look. A look that cannot be read, or that was seen before, adds no evidence.

    Args:
        config: The judge's settings.
        states: What was known before.
        look: What was observed since.
    """
    if states.at is not None and look.at == states.at:
        return states
    problem = look.fault()
    if not problem and states.at is not None and look.at < states.at:
        problem = "the look ended before the one before it: a clock went back"
    if problem:
        return replace(states, problem=problem)
    states = _count(states, look)
    states = _update(config, states, _at_once(look, compared=states.compared))
    return _with_peak(config, _join(config, states, look) if states.compared else states)


def update(guard: AnyGuard, state: Any, window: Any) -> Any:
    """One guard's state after one look: pure, and the only way evidence grows."""
    return guard.update(state, window)


def _guards(config: JudgeConfig, *, compared: bool) -> dict[str, AnyGuard]:
    return config.guards() if compared else config.guards_after()


def units_of(look: Look) -> tuple[float, float]:
    """Units of candidate and stable: requests, or pairs where there is only a shadow."""
    for window in (look.errors, look.latency):
        if window is not None:
            return float(window.n_c), float(window.n_s)
    return (float(look.pairs.n), float(look.pairs.n)) if look.pairs is not None else (0.0, 0.0)


def _count(states: States, look: Look) -> States:
    n_c, n_s = units_of(look)
    return replace(
        states, problem="", at=look.at, n_c=states.n_c + n_c, n_s=states.n_s + n_s,
        last_c=look.at if n_c > 0 else states.last_c, last_s=look.at if n_s > 0 else states.last_s,
    )  # fmt: skip


def _at_once(look: Look, *, compared: bool) -> dict[str, Any]:
    """Windows that are not joined: they have their own blocks, or are no counts of both arms."""
    latency = look.latency and replace(look.latency, seconds=look.seconds, weight=look.weight)
    if not compared:
        return {"errors": look.errors, "latency": latency}
    return {
        "latency": latency,
        "flips": look.pairs,
        "quality": look.quality,
        "value": look.value,
        "traffic": _share(look),
    }


def _share(look: Look) -> Share | None:
    if look.errors is None or look.weight is None:
        return None
    return Share(look.errors.n_c, look.errors.n_c + look.errors.n_s, look.weight)


def _update(config: JudgeConfig, states: States, windows: Mapping[str, Any]) -> States:
    """Every guard that has a window."""
    guards = _guards(config, compared=states.compared)
    changed = {
        name: update(guard, states.guards[name], windows[name])
        for name, guard in guards.items()
        if windows.get(name) is not None
    }
    return replace(states, guards={**states.guards, **changed})


def _join(config: JudgeConfig, states: States, look: Look) -> States:
    """Add the look's counts to the pending ones, and bet on them when there are enough or the weight has changed."""
    pending = states.pending
    if pending is not None and pending.weight != look.weight:
        states, pending = _flush(config, states, pending), None
    pending = Pending.of(look) if pending is None else pending.plus(look)
    units = pending.errors.n_c if pending.errors is not None else config.merge_units
    if pending.seconds >= config.merge_seconds and units >= config.merge_units:
        return _flush(config, states, pending)
    return replace(states, pending=pending)


def _flush(config: JudgeConfig, states: States, pending: Pending) -> States:
    windows = {"errors": pending.errors, "predictions": pending.predictions, "slices": pending.slices or None}
    errors = pending.errors
    with_evidence = errors is None or (errors.n_c > 0 and errors.n_s > 0)
    return _update(config, replace(states, pending=None, looks=states.looks + bool(with_evidence)), windows)


def _with_peak(config: JudgeConfig, states: States) -> States:
    """The mean of the evidence of the guards that abort, if it has never been larger."""
    guards = _guards(config, compared=states.compared)
    weights = log_weights(guards)
    if not weights:
        return states
    by = {name: guards[name].against(states.guards[name]) for name in weights}
    mean = float(log_sum(np.array([weights[name] + by[name] for name in weights])))
    return replace(states, peak=Peak(mean, by)) if mean > states.peak.log else states


def _joined(mine: Any, theirs: Any) -> Any:
    if mine is None or theirs is None:
        return mine if theirs is None else theirs
    return mine.plus(theirs)


def _dumped(state: Any) -> Any:
    return _ADAPTERS[type(state).__name__].dump_python(state, mode="json")
