"""What the driver counts, and its Prometheus text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of a turn's duration, seconds."""


@dataclass
class Figures:
    """Counters of one process. One thread writes; a reader may see a turn half counted, which no alert minds."""

    heartbeat: float = 0.0
    """When the last turn in which Kubernetes answered ended, seconds since 1970."""
    alive: float = 0.0
    """When the last turn ended, answered or not."""
    leading: bool = False
    errors: int = 0
    conflicts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    turns: int = 0
    seconds: float = 0.0
    within: Counter[float] = field(default_factory=Counter)

    def turned(self, now: float, seconds: float | None, *, answered: bool) -> None:
        """Count a turn; *seconds* is None for one that only waited for the lease."""
        self.alive = now
        if answered:
            self.heartbeat = now
        if seconds is not None:
            self.turns += 1
            self.seconds += seconds
            self.within.update(bound for bound in BOUNDS if seconds <= bound)

    def ended(self, outcome: str) -> None:
        """Count an outcome of a release."""
        self.outcomes[outcome] += 1

    def acted(self, action: str) -> None:
        """Count an action."""
        self.actions[action] += 1

    def text(self) -> str:
        """All figures in Prometheus' text format."""
        lines = [
            *_metric("heartbeat_timestamp_seconds", "gauge", "End of the last turn in which Kubernetes answered.",
                     {"": self.heartbeat}),
            *_metric("leader", "gauge", "1 if this process holds the lease.", {"": int(self.leading)}),
            *_metric("errors_total", "counter", "Looks or writes that failed.", {"": self.errors}),
            *_metric("conflicts_total", "counter", "Writes refused because the object had moved on.", {"": self.conflicts}),
            *_metric("actions_total", "counter", "Actions done, by kind.", _by("action", self.actions)),
            *_metric("releases_total", "counter", "Releases started and ended, by outcome.", _by("outcome", self.outcomes)),
            *_metric("reconcile_seconds", "histogram", "Duration of a turn over all models.", self._durations()),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def _durations(self) -> dict[str, float]:
        buckets = {f'_bucket{{le="{bound}"}}': self.within[bound] for bound in BOUNDS}
        return {
            **buckets,
            '_bucket{le="+Inf"}': self.turns,
            "_sum": round(self.seconds, 6),
            "_count": self.turns,
        }


def _by(label: str, counts: Counter[str]) -> dict[str, int]:
    return {f'{{{label}="{key}"}}': count for key, count in sorted(counts.items())}


def _metric(name: str, kind: str, says: str, values: dict[str, float] | dict[str, int]) -> list[str]:
    name = f"fairlead_driver_{name}"
    samples = [f"{name}{labels} {value}" for labels, value in values.items()]
    return [f"# HELP {name} {says}", f"# TYPE {name} {kind}", *samples]
