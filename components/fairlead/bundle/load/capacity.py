"""What a measured rate means for a deployment: replicas, requests and limits, autoscaling, cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from fairlead.bundle.load.search import Outcome
from fairlead.errors import IntegrityError
from fairlead.records import GateResult, JsonRecord
from fairlead.records import Outcome as GateOutcome

FORMAT_VERSION = 1

HEADROOM = 0.3
"""Share of the highest rate that is kept free: what a pod takes on until new ones are ready, and what a busier machine
costs."""
MEMORY_FACTOR = 1.25
"""A pod that exceeds its memory is killed, so it gets a quarter more than was seen."""

MIB = 1024 * 1024
GIB = 1024 * MIB
_MEMORY_STEP = 16 * MIB
_MILLICORES_STEP = 50


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a core and a GiB of memory, an hour each, in any one currency; None where a price is not known."""

    core_hour: float | None = None
    gib_hour: float | None = None


NO_PRICES = Prices()


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load test found."""

    outcome: Outcome
    highest_rate: float | None
    """Requests a second that one pod answered within the objective, in a round of full length."""
    p99_ms: float | None
    """At that rate, with its interval; an end is None where there is none."""
    p99_low_ms: float | None
    p99_high_ms: float | None
    cpu_seconds_per_request: float | None
    memory_bytes: int
    """Most that the server's processes held at the end of a round."""
    rounds: Sequence[Mapping[str, Any]] = ()
    """Each round: rate, seconds, what it said, quantiles and the generator's lateness in ms."""


@dataclass(frozen=True, slots=True)
class Capacity(JsonRecord):
    """``capacity.json``: what one pod can do, and what a deployment needs.

    ``cpu``, ``memory`` and ``replicas`` are the keys of the section ``capacity`` of the chart's values, and ``cpu_percent`` is
    its ``scale.cpuPercent``. A request carries one row, so requests are predictions. Rates hold for the machine they were
    measured on: the server had ``machine.server_cpus`` of its CPUs.
    """

    bundle: str
    """Digest."""
    objective_ms: float
    """99 % of requests are answered within it."""
    outcome: str
    """A :class:`~fairlead.bundle.load.search.Outcome`. All figures but memory are None unless a rate was confirmed."""
    highest_rate: float | None
    """Requests a second of one pod at which the objective just held."""
    headroom: float
    """Share of the highest rate that is left free."""
    rate: float | None
    """Requests a second that a pod is to be given: what is promised, and what ``--check`` tries."""
    p99_ms: float | None
    p99_low_ms: float | None
    p99_high_ms: float | None
    cpu_seconds_per_request: float | None
    memory_bytes: int
    expected_rate: float | None
    """Requests a second that the deployment must answer."""
    replicas: int
    """Pods for the expected rate; 0: not known."""
    cpu: str
    """CPU request of a pod as Kubernetes writes it; empty: not known."""
    memory: str
    """Memory request and limit of a pod."""
    cpu_percent: int | None
    """Target of the autoscaler: CPU use, as a share of the request, of a pod that gets ``rate``."""
    price_core_hour: float | None
    price_gib_hour: float | None
    cost_per_million: float | None
    """Of a million predictions: by ``replicas`` pods at the expected rate, or else by a pod at ``rate``."""
    machine: Mapping[str, Any]
    """Where it was measured."""
    rounds: Sequence[Mapping[str, Any]] = ()
    format_version: int = FORMAT_VERSION

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The inverse of ``to_json``.

        Raises:
            IntegrityError: It is no capacity file, or one of a version that is not read here.
        """
        try:
            record = json.loads(text)
            version = record["format_version"]
            if version != FORMAT_VERSION:
                raise IntegrityError(
                    f"the capacity file has version {version}, this fairlead reads {FORMAT_VERSION}"
                )
            return cls(**record)
        except (ValueError, TypeError, KeyError) as cause:
            raise IntegrityError(f"this is no capacity file: {cause}") from cause


def capacity_of(
    measured: Measured,
    *,
    bundle: str,
    objective_ms: float,
    machine: Mapping[str, Any],
    expected_rate: float | None = None,
    prices: Prices = NO_PRICES,
    headroom: float = HEADROOM,
) -> Capacity:
    """Work out what follows from *measured*.

    Args:
        measured: What the load test found.
        bundle: Digest of the bundle.
        objective_ms: Bound of the p99.
        machine: Where it was measured.
        expected_rate: Requests a second of the whole deployment, if it is known.
        prices: For the cost.
        headroom: Share of the highest rate that is left free, 0 ≤ headroom < 1.

    >>> found = Measured(Outcome.FOUND, 10_000.0, 20.0, 19.0, 22.0, 98e-6, 150 * MIB)
    >>> made = capacity_of(found, bundle="ab", objective_ms=50, machine={}, expected_rate=20_000, prices=Prices(0.04, 0.005))
    >>> made.rate, made.replicas, made.cpu, made.memory, made.cpu_percent
    (7000.0, 3, '1000m', '192Mi', 68)
    >>> round(made.cost_per_million, 6)  # three pods: 3 · (0.04 + 0.1875 · 0.005) an hour for 72 million predictions
    0.001706
    """
    rate = None if measured.highest_rate is None else measured.highest_rate * (1 - headroom)
    cpu_each = measured.cpu_seconds_per_request
    cores = (
        None
        if cpu_each is None or measured.highest_rate is None
        else cores_for(measured.highest_rate * cpu_each)
    )
    memory = memory_for(measured.memory_bytes)
    replicas = 0 if rate is None or expected_rate is None else replicas_for(expected_rate, rate)
    return Capacity(
        bundle=bundle,
        objective_ms=objective_ms,
        outcome=measured.outcome.value,
        highest_rate=measured.highest_rate,
        headroom=headroom,
        rate=rate,
        p99_ms=measured.p99_ms,
        p99_low_ms=measured.p99_low_ms,
        p99_high_ms=measured.p99_high_ms,
        cpu_seconds_per_request=cpu_each,
        memory_bytes=measured.memory_bytes,
        expected_rate=expected_rate,
        replicas=replicas,
        cpu="" if cores is None else f"{round(cores * 1000)}m",
        memory=f"{memory // MIB}Mi",
        cpu_percent=None
        if rate is None or cpu_each is None or cores is None
        else utilisation(rate * cpu_each, cores),
        price_core_hour=prices.core_hour,
        price_gib_hour=prices.gib_hour,
        cost_per_million=_cost(prices, cores, memory, replicas, expected_rate, rate),
        machine=machine,
        rounds=measured.rounds,
    )


def replicas_for(expected_rate: float, rate: float) -> int:
    """Pods that answer *expected_rate* when each is given at most *rate*.

    Spare pods are not counted: the chart has two at least (``scale.minReplicas``).

    >>> replicas_for(20_000, 7_000), replicas_for(7_000, 7_000), replicas_for(1, 7_000)
    (3, 1, 1)
    """
    return max(1, math.ceil(expected_rate / rate))


def cores_for(used: float) -> float:
    """CPU request for *used* cores: the next step of 50 m, 50 m at least.

    >>> cores_for(0.98), cores_for(0.61), cores_for(0.001)
    (1.0, 0.65, 0.05)
    """
    # A thousandth less, so that a measured 1.0004 does not ask for a core and a twentieth.
    return max(1, math.ceil((used * 1000 - 1) / _MILLICORES_STEP)) * _MILLICORES_STEP / 1000


def memory_for(seen: int) -> int:
    """Bytes to request when *seen* were used: a quarter more, in steps of 16 MiB.

    >>> memory_for(150 * MIB) // MIB
    192
    """
    return math.ceil(seen * MEMORY_FACTOR / _MEMORY_STEP) * _MEMORY_STEP


def utilisation(used: float, requested: float) -> int:
    """CPU use as a percentage of the request, rounded down: an autoscaler that acts a little early keeps the objective.

    >>> utilisation(0.686, 1.0)
    68
    """
    return max(1, min(100, math.floor(100 * used / requested)))


def cost_per_million(prices: Prices, cores: float, memory: int, rate: float) -> float | None:
    """Price of a million predictions by pods of this size, each of which answers *rate* a second; None without prices.

    A price that is not given counts as 0 if the other one is.

    >>> round(cost_per_million(Prices(0.04, 0.005), 1.0, GIB, 100.0), 4)  # 0.045 an hour, 360,000 predictions an hour
    0.125
    """
    if prices.core_hour is None and prices.gib_hour is None:
        return None
    hourly = cores * (prices.core_hour or 0.0) + memory / GIB * (prices.gib_hour or 0.0)
    return hourly / (rate * 3600) * 1e6


def _cost(
    prices: Prices,
    cores: float | None,
    memory: int,
    replicas: int,
    expected_rate: float | None,
    rate: float | None,
) -> float | None:
    if cores is None or rate is None:
        return None
    each = rate if expected_rate is None else expected_rate / replicas
    return cost_per_million(prices, cores, memory, each)


# ------------------------------------------------------------------------------------------------------- gate


def judge(capacity: Capacity, at_least: float | None) -> GateResult:
    """Whether a pod answers as many requests a second as the project asks for, within the objective.

    ``rate`` is compared, so the headroom is included. Where the generator was the bound, a rate that is too low says nothing.
    """
    gate = f"{_shown(at_least)} requests a second per pod, p99 within {capacity.objective_ms:g} ms"
    if at_least is None:
        return GateResult(
            "requests a second per pod", GateOutcome.NOT_APPLICABLE, "the project asks for no rate"
        )
    if capacity.outcome == Outcome.BELOW_LOWEST:
        return GateResult(
            gate,
            GateOutcome.FAILED,
            "not even the lowest rate that is tried kept the objective",
            0.0,
            at_least,
        )
    if capacity.rate is None:
        return GateResult(
            gate, GateOutcome.NOT_MEASURABLE, "the machine is too busy for a measurement", None, at_least
        )
    said = f"{_shown(capacity.rate)} with {capacity.headroom:.0%} headroom"
    if capacity.rate >= at_least:
        return GateResult(gate, GateOutcome.PASSED, said, capacity.rate, at_least)
    if capacity.outcome == Outcome.GENERATOR:
        why = f"{said}; the generator cannot send more from this machine"
        return GateResult(gate, GateOutcome.NOT_MEASURABLE, why, capacity.rate, at_least)
    return GateResult(gate, GateOutcome.FAILED, said, capacity.rate, at_least)


def _shown(rate: float | None) -> str:
    return "no" if rate is None else f"{rate:,.0f}"


def chart_values(capacity: Capacity) -> dict[str, dict[str, Any]]:
    """The sections of the chart's values that follow; empty where no rate was confirmed.

    >>> found = Measured(Outcome.FOUND, 10_000.0, 20.0, 19.0, 22.0, 98e-6, 150 * MIB)
    >>> chart_values(capacity_of(found, bundle="ab", objective_ms=50, machine={}))
    {'capacity': {'cpu': '1000m', 'memory': '192Mi', 'replicas': 0}, 'scale': {'cpuPercent': 68}}
    """
    if capacity.rate is None or capacity.cpu_percent is None:
        return {}
    asked = {key: getattr(capacity, key) for key in ("cpu", "memory", "replicas")}
    return {"capacity": asked, "scale": {"cpuPercent": capacity.cpu_percent}}
