"""What whoever watches a run is told, as records and as lines of a log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fairlead.adapters.progress import Event


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task's process or pod is about to start."""

    task: str


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """A task has ended. ``failed`` holds the reason, empty if there is none."""

    task: str
    seconds: float
    failed: str = ""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A whole run has ended: the last line of its log."""

    bundle: str = ""
    """The bundle's digest; empty if the run failed."""
    error: str = ""
    """A FairleadError as JSON; empty if there is none."""
    seconds: float = 0.0
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """Artifacts that a person wants to see, ``task/output`` to URI in the store."""
    mlflow_run: str = ""


Watcher = Callable[[TaskStarted | TaskEnded | Event], None]

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (TaskStarted, TaskEnded, RunEnded, Event)}


def to_line(event: TaskStarted | TaskEnded | RunEnded | Event) -> str:
    """One event as one line of JSON, with the time in seconds since 1970."""
    record = {"event": type(event).__name__, "time": round(time.time(), 3), **asdict(event)}
    return json.dumps(record, sort_keys=True)


def from_line(line: str) -> TaskStarted | TaskEnded | RunEnded | Event | None:
    """The event in a line of a log: as :func:`to_line` or a stage in a container writes it. None for any other line.

    >>> from_line(to_line(TaskStarted("data")))
    TaskStarted(task='data')
    >>> from_line('{"fairlead": {"stage": "data", "kind": "note", "text": "10 rows", "done": 0, "total": null}}').text
    '10 rows'
    >>> from_line("Traceback (most recent call last):")
    """
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
        if "fairlead" in record:
            return Event(**record["fairlead"])
        record.pop("time", None)
        return _KINDS[record.pop("event")](**record)  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError):
        return None
