"""A server of known speed, for load tests that take no time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.bundle.load.capacity import MIB
from fairlead.records import LoadRound

Floats = NDArray[np.float64]


@dataclass
class Queue:
    """One server that takes *service* seconds for a request, in order of arrival (a D/1 queue)."""

    service: float
    late: float = 0.0
    """Seconds by which the generator is late."""
    growth: float = 0.0
    """Bytes a second."""
    loses: int = 0
    """One request in so many gets no answer; 0: none."""
    machine: Mapping[str, Any] = field(default_factory=lambda: {"cpus": 1})
    memory: float = 150.0 * MIB

    def drive(self, due: Floats, patience: float) -> LoadRound:
        # Done is the running maximum of arrivals less the work before them, plus the work: Lindley's recursion.
        work = self.service * np.arange(1, len(due) + 1)
        done = np.maximum.accumulate(due + self.late + self.service - work) + work
        if self.loses:
            done[:: self.loses] = np.nan
        at = np.arange(1.0, due[-1])
        samples = self.memory + self.growth * at
        self.memory += self.growth * due[-1]
        return LoadRound(
            due=due, noticed=due + self.late, done=done, cpu_seconds=self.service * len(due), memory_bytes=int(self.memory),
            memory_at=at, memory_samples=samples,
        )  # fmt: skip
