"""Whether the project's gates hold for a variant: they are judged again, on its own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.gates import ChampionComparison, Difference, judge
from fairlead.records import Candidate, GateResult
from fairlead.spec.metrics import METRICS
from fairlead.spec.project import Gate
from fairlead.stats.intervals import Interval


def gates_of(
    gates: Sequence[Gate],
    candidate: Candidate,
    champion: Mapping[str, Any] | None,
    figures: Mapping[str, float],
    differences: Mapping[str, Interval],
) -> list[GateResult]:
    """Every gate of the model stage, judged for a variant.

    Args:
        gates: From the project file.
        candidate: The uncompressed model, for the baseline's figures.
        champion: ``champion`` of the candidate's ``evaluation.json``.
        figures: The variant's metrics on the test rows.
        differences: Paired intervals of *variant minus uncompressed*.
    """
    compared = None if champion is None else against_champion(champion, figures, differences)
    return judge(
        [gate for gate in gates if METRICS[gate.metric].stage == "model"],
        figures,
        candidate.baseline,
        compared,
    )


def against_champion(
    champion: Mapping[str, Any], figures: Mapping[str, float], differences: Mapping[str, Interval]
) -> ChampionComparison:
    """The variant against the champion, without asking the champion again.

    *Variant minus champion* is *variant minus uncompressed* plus *uncompressed minus champion*. Both have intervals, and
    the sums of their ends are farther apart than the interval of the sum: a gate that passes here would pass.

    >>> known = {"roc_auc": {"this": 0.92, "champion": 0.9, "low": 0.01, "high": 0.03}}
    >>> record = {"version": "3", "rows": 900, "differences": known, "reason": ""}
    >>> found = against_champion(record, {"roc_auc": 0.91}, {"roc_auc": Interval(-0.02, 0.0)})
    >>> found.differences["roc_auc"]
    Difference(this=0.91, champion=0.9, low=-0.01, high=0.03)
    """
    found = {
        name: Difference(
            figures[name],
            known["champion"],
            _sum(known["low"], differences.get(name), "low"),
            _sum(known["high"], differences.get(name), "high"),
        )
        for name, known in champion["differences"].items()
        if name in figures
    }
    return ChampionComparison(champion["version"], champion["rows"], found, champion.get("reason", ""))


def _sum(end: float | None, difference: Interval | None, which: str) -> float | None:
    return None if end is None or difference is None else end + float(getattr(difference, which))
