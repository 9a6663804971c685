"""From measured models to the lines of the table: figures, differences to the model as trained, gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.bundle.compress.hold import gates_of
from fairlead.bundle.compress.measure import Judged, Speed, decided_otherwise, differences
from fairlead.bundle.compress.table import Line
from fairlead.bundle.compress.variants import Variant
from fairlead.bundle.exports import Export
from fairlead.heldout import LabelledRows
from fairlead.records import Candidate, GateResult
from fairlead.spec.compress import VALUE
from fairlead.spec.project import Gate
from fairlead.stats.intervals import Interval
from fairlead.stats.value import Value


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model that could be served, measured."""

    variant: Variant
    exported: Export
    speed: Speed
    judged: Judged


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What models are judged by."""

    candidate: Candidate
    evaluation: Mapping[str, Any]
    """``evaluation.json`` of the model as trained."""
    rows: Mapping[str, LabelledRows]
    """train, valid and test."""
    gates: Sequence[Gate]
    value: Value | None
    seed: int


def lines_of(models: Sequence[Model], evidence: Evidence, rule_metric: str) -> list[Line]:
    """A line a model; the first is the model as trained."""
    original, variants = models[0], models[1:]
    compared = [gate.metric for gate in evidence.gates if gate.not_worse_than]
    wanted = dict.fromkeys([*metrics_shown(evidence), rule_metric, *compared])
    metrics = [name for name in wanted if name in original.judged.figures]
    judged = {one.variant.name: one.judged for one in variants}
    found = differences(judged, original.judged, metrics, evidence.rows["test"], evidence.seed)
    return [_line(original, original, {}, [])] + [
        _line(one, original, found[one.variant.name], _gates(one, found[one.variant.name], evidence))
        for one in variants
    ]


def metrics_shown(evidence: Evidence) -> tuple[str, ...]:
    """The objective of the search, and money where the project states it."""
    objective = str(evidence.evaluation["objective"])
    return (objective, VALUE) if evidence.value is not None and objective != VALUE else (objective,)


def _gates(one: Model, found: Mapping[str, Interval], evidence: Evidence) -> list[GateResult]:
    champion = evidence.evaluation.get("champion")
    return gates_of(evidence.gates, evidence.candidate, champion, one.judged.figures, found)


def _line(one: Model, original: Model, found: Mapping[str, Interval], gates: Sequence[GateResult]) -> Line:
    missed = [gate.reason for gate in gates if not gate.outcome.lets_through]
    output = one.judged.output
    return Line(
        name=one.variant.name,
        method=one.variant.method,
        says=one.variant.says,
        format=one.exported.format,
        bytes=one.exported.file.stat().st_size,
        speed=one.speed,
        figures=one.judged.figures,
        differences=found,
        decided_otherwise=decided_otherwise(one.judged, original.judged),
        threshold=output.threshold if len(output.classes) == 2 else None,
        gates=gates,
        refused=f"gate missed: {missed[0]}" if missed else "",
    )
