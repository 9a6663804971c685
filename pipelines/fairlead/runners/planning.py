"""What a run would do again and why, decided from digests before anything runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairlead.atomic import write_text
from fairlead.records import JsonRecord

LAST_RUN = "last-run.json"


@dataclass(frozen=True, slots=True)
class RunInputs(JsonRecord):
    """Digests of everything that can change a run's result."""

    source: str
    """The raw rows; empty if only reading can tell (SQL)."""
    contract: str
    data: str
    """The section ``data`` of the project file, and what else of it the snapshot's schema states: name, task, positive class."""
    model: str
    """The section ``model``."""
    problem: str
    """The section ``problem``: outcome values move the threshold, and an objective at the threshold."""
    code: str
    """The project's own Python code."""
    lock: str
    """The installed packages, fairlead included."""
    bundle: str = ""
    """Digest of the bundle that came of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one stage would do."""

    stage: str
    runs: bool
    why: str


_READS = {
    "data": ("source", "contract", "data", "lock"),
    "search": ("model", "problem", "code"),
    "model": (),
    "bundle": (),
}
"""Which inputs each stage reads, beside what the stage before it gives."""

_SAYS = {
    "source": "the rows changed",
    "contract": "the contract changed",
    "data": "the section data, the name, the task or the positive class changed",
    "model": "the section model changed",
    "problem": "the section problem changed",
    "code": "the project's code changed",
    "lock": "installed packages changed",
}


def plan_of(last: RunInputs | None, now: RunInputs) -> list[Step]:
    """What each stage would do, given the inputs of the last finished run.

    A stage gives something new when one of its own inputs changed or a stage before it gives something new. The data stage is
    not even run again then: its snapshot is in the store under the digest of its inputs.

    >>> before = RunInputs("s", "c", "d", "m", "p", "k", "l")
    >>> [(step.stage, step.runs) for step in plan_of(before, RunInputs("s", "c", "d", "m", "q", "k", "l"))]
    [('data', False), ('search', True), ('model', True), ('bundle', True)]
    >>> plan_of(None, before)[0].why
    'there is no earlier run'
    """
    if last is None:
        return [Step(stage, True, "there is no earlier run") for stage in _READS]
    steps: list[Step] = []
    because = ""
    for stage, inputs in _READS.items():
        changed = [_SAYS[name] for name in inputs if getattr(last, name) != getattr(now, name)]
        if stage == "data" and not now.source:
            changed.append("only reading can tell whether the rows changed")
        if changed:
            steps.append(Step(stage, True, "; ".join(changed)))
            because = because or stage
        elif because:
            steps.append(Step(stage, True, f"follows {because}"))
        else:
            steps.append(Step(stage, False, "same inputs, same result"))
    return steps


def inputs_of(
    sections: Mapping[str, Any], *, source: str | None, contract: bytes, code: str, lock: str
) -> RunInputs:
    """Digest the inputs. *sections* is the project file as a mapping."""
    return RunInputs(
        source=source or "",
        contract=hashlib.sha256(contract).hexdigest(),
        data=_digest(
            [sections["name"], sections["data"], sections["model"]["task"], sections["model"]["positive"]]
        ),
        model=_digest(sections["model"]),
        problem=_digest(sections["problem"]),
        code=code,
        lock=lock,
    )


def code_digest(root: Path) -> str:
    """Digest of the project's Python files: what the archive holds beside project file and contract."""
    from fairlead.adapters.archives import code_files

    return _digest(
        {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in code_files(root)}
    )


def read_last(state: Path) -> RunInputs | None:
    """The inputs of the last run that gave a bundle; None if there is none, or if another version wrote it."""
    try:
        return RunInputs.from_json((state / LAST_RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None


def write_last(state: Path, inputs: RunInputs, bundle: str) -> None:
    """Remember *inputs* as those of the last run that gave a bundle."""
    write_text(state / LAST_RUN, replace(inputs, bundle=bundle).to_json())


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
