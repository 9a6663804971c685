"""Rules that travel with a model: ``serving.json`` of its bundle, made from ``serve:`` of the project file.

A part of the bundle's digest, because they change what is answered, kept or measured. A bundle without the
file has the defaults::

    {"objective_seconds": 0.05, "explain": true, "log": {"inputs": null, "sample": 1.0, "subject": ""},
     "providers": ["CPUExecutionProvider"], "batching": null}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fairlead.errors import IntegrityError

FILE = "serving.json"

Keeping = Literal["keep", "hash", "drop"]
"""What the prediction log does with a field."""


@dataclass(frozen=True, slots=True)
class LogRules:
    """What the prediction log may hold."""

    inputs: Mapping[str, Keeping] | None = None
    """By field. None: nobody has said what may be kept, so no inputs are. A field without a rule is dropped."""
    sample: float = 1.0
    """Share of requests that are logged."""
    subject: str = ""
    """The field that says whose data a row is. Its hash is kept, so that a person's rows can be deleted."""


@dataclass(frozen=True, slots=True)
class Batching:
    """Requests that are scored together."""

    rows: int
    """At most so many."""
    wait_ms: float
    """The first of them waits no longer."""


@dataclass(frozen=True, slots=True)
class Rules:
    """All of ``serving.json``."""

    objective_seconds: float = 0.05
    """The latency that 99 of 100 answers keep; a bucket edge of the histogram."""
    explain: bool = True
    """Whether ``/explain`` answers: contributions of fields tell a caller about the model."""
    log: LogRules = field(default_factory=LogRules)
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    """ONNX Runtime's execution providers, best first."""
    batching: Batching | None = None
    """None where scoring requests together does not pay."""


def read_rules(folder: Path) -> Rules:
    """The rules of the bundle in *folder*.

    Raises:
        IntegrityError: The file is there, and is not what this runtime reads.
    """
    path = folder / FILE
    try:
        return rules_of(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Rules()
    except (OSError, ValueError, TypeError, KeyError) as cause:
        raise IntegrityError(f"{path}: holds no rules this runtime reads: {cause}") from cause


def rules_of(record: Mapping[str, Any]) -> Rules:
    """The inverse of ``dataclasses.asdict``. Raises TypeError for keys it does not know.

    >>> rules_of({"log": {"sample": 0.5}, "providers": ["CPUExecutionProvider"]}).log
    LogRules(inputs=None, sample=0.5, subject='')
    """
    known = dict(record)
    if "log" in known:
        known["log"] = LogRules(**known["log"])
    if known.get("batching") is not None:
        known["batching"] = Batching(**known["batching"])
    if "providers" in known:
        known["providers"] = tuple(known["providers"])
    return Rules(**known)
