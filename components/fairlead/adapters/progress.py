"""What a person watching a run sees, sent as events from a task to whoever started it.

A task does not know who watches: a terminal, a log collector or nobody. It emits :class:`Event` records; the sink decides. In a
container the sink prints JSON lines; in a warm local process it is a pipe to the runner.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to show."""

    stage: str
    kind: Literal["note", "bar"]
    text: str
    done: int = 0
    total: int | None = None


Sink = Callable[[Event], None]


def print_line(event: Event) -> None:
    """The sink of a container: one JSON object a line."""
    print(json.dumps({"fairlead": asdict(event)}, sort_keys=True), file=sys.stdout, flush=True)  # noqa: T201


_sink: Sink = print_line


def send_events_to(sink: Sink) -> None:
    """Use *sink* for all stages of this process from now on."""
    global _sink  # noqa: PLW0603 - one process runs one task; the runner sets this before the task starts
    _sink = sink


class EventProgress:
    """Fulfils :class:`fairlead.records.Progress` by emitting events."""

    REPORT_EVERY = 0.2
    """Seconds between two events of one bar, so that a fast loop does not spend its time on reporting."""

    def __init__(self, stage: str) -> None:
        """Emit events in the name of *stage*."""
        self.stage = stage

    def note(self, text: str) -> None:
        """Show one line."""
        _sink(Event(self.stage, "note", text))

    @contextmanager
    def bar(self, text: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a bar; the value of the context takes the number of steps done since its last call."""
        done, reported = 0, 0.0

        def advance(steps: int = 1) -> None:
            nonlocal done, reported
            done += steps
            now = time.monotonic()
            if now - reported >= self.REPORT_EVERY:
                reported = now
                _sink(Event(self.stage, "bar", text, done, total))

        yield advance
        _sink(Event(self.stage, "bar", text, done, total if total is not None else done))
