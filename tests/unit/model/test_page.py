"""The model's page: what it says, and that it says it for every task."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from tests.unit.model.evaluations import EVALUATED, two_classes_evaluated

from fairlead.gates import ChampionComparison, Difference, judge
from fairlead.model.evaluation import ThresholdChoice
from fairlead.model.importance import FieldImportance
from fairlead.model.learning import LearningPoint, LearningVerdict
from fairlead.model.page import ModelReport, compose, render
from fairlead.model.trials import Trial
from fairlead.spec.project import Gate

GOOD = Gate(metric="roc_auc", at_least=0.5)
BAD = Gate(metric="roc_auc", at_least=0.99)


def report(evaluated=two_classes_evaluated, gates=(GOOD,), champion=None, **changes) -> ModelReport:
    evaluation = replace(evaluated(), champion=champion)
    results = judge(gates, evaluation.figures, evaluation.baseline, champion)
    return replace(
        ModelReport("fraud", "Stop fraud.", "logistic", {"C": 0.5}, evaluation, results), **changes
    )


def text(html: str) -> str:
    """What a person reads, without styles and tags."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def sections(html: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", html)


FULL = {
    "importance": [FieldImportance("amount", 0.2, 0.01), FieldImportance("hour", 0.1, 0.02)],
    "learning": [LearningPoint(100, 0.9, 0.6), LearningPoint(1000, 0.8, 0.7)],
    "verdict": LearningVerdict("over-fit", True, "Over-fit: much better on its own rows."),
    "trials": [
        Trial(0, "logistic", {"C": 1.0}, 0.7, (0.7,), 1.5),
        Trial(1, "trees", {}, 0.8, (0.8,), 2.0),
        Trial(2, "trees", {}, None, (), 0.1, "ValueError in fold 2"),
    ],
    "digests": {"dataset": "ab" * 32, "project": "cd" * 32},
}


@pytest.mark.parametrize("evaluated", EVALUATED.values(), ids=EVALUATED.keys())
def test_every_task_has_a_page_and_it_is_the_same_every_time(evaluated) -> None:
    made = report(evaluated, gates=())
    assert render(made) == render(made)
    assert f"{made.evaluation.rows:,} test rows" in text(render(made))


@pytest.mark.parametrize(
    ("task", "section"),
    [
        ("two classes", "What it is worth"),
        ("many classes", "Classes"),
        ("regression", "Residuals"),
        ("forecast", "Series"),
        ("clustering", "What the clusters are"),
    ],
)
def test_what_only_one_task_has_gets_a_section(task: str, section: str) -> None:
    assert section in sections(render(report(EVALUATED[task], gates=())))


def test_the_sections_of_a_full_page_in_order() -> None:
    assert sections(render(report(**FULL))) == [
        "Verdict", "What it is worth", "Metrics", "Pictures", "Slices", "What it leans on", "Learning",
        "Search", "What it is made of",
    ]  # fmt: skip


def test_what_is_not_known_has_no_section() -> None:
    found = sections(render(report()))
    assert not {"What it leans on", "Learning", "Search"} & set(found)


@pytest.mark.parametrize(
    ("gates", "verdict"),
    [
        ((GOOD,), "May be registered: the one gate let it through"),
        ((GOOD, GOOD), "May be registered: 2 gates let it through"),
        ((GOOD, BAD), "Is not registered: 1 of 2 gates not passed"),
        ((BAD,), "Is not registered: the one gate is not passed"),
        ((), "May be registered: not judged"),
    ],
    ids=["one passed", "all passed", "one failed", "the only one failed", "none"],
)
def test_the_verdict_comes_first(gates, verdict: str) -> None:
    read = text(render(report(gates=gates)))
    assert verdict in read
    assert read.index(verdict) < read.index("test rows, with intervals")


def test_a_failed_gate_is_shown_with_its_reason() -> None:
    html = render(report(gates=(BAD,)))
    assert '<span class="badge bad">failed</span>' in html
    assert "roc_auc is 0.8293, at least 0.99 is asked" in text(html)


def test_a_gate_that_cannot_be_measured_is_shown_as_bad() -> None:
    assert '<span class="badge bad">not measurable</span>' in render(
        report(gates=(Gate(metric="r2", at_least=0),))
    )


def test_money_is_shown_with_its_currency_and_the_reason_of_the_threshold() -> None:
    read = text(render(report()))
    assert "EUR per 1,000 predictions, on the test rows." in read
    assert "worth most on 1,500 validation rows" in read


def test_the_champion_stands_beside_the_model() -> None:
    champion = ChampionComparison("7", 1500, {"roc_auc": Difference(0.88, 0.8123, 0.0456, 0.0789)})
    read = text(render(report(champion=champion)))
    assert "champion (version 7)" in read
    assert "0.8123 0.0456 to 0.0789" in read


def test_why_a_champion_was_not_compared_is_said() -> None:
    champion = ChampionComparison("7", 1500, {}, "it has other classes")
    assert "The champion (version 7) was not compared: it has other classes." in text(
        render(report(champion=champion))
    )


def test_trials_come_best_first_and_failed_ones_last_with_their_reason() -> None:
    html = render(report(**FULL))
    read = text(html[html.index('id="search"') :])
    assert read.index("trees 0.8") < read.index("logistic 0.7") < read.index("failed: ValueError in fold 2")
    assert "3 parameter sets" in read
    assert "1 failed." in read


def test_digests_are_on_the_page() -> None:
    assert "ab" * 32 in render(report(**FULL))


def test_the_verdict_on_learning_is_on_the_page() -> None:
    assert "Over-fit: much better on its own rows." in text(render(report(**FULL)))


def test_pictures_come_with_the_page_in_its_order() -> None:
    composed = compose(report(**FULL))
    assert [figure.name for figure in composed.pictures] == [
        "threshold_value", "confusion", "roc", "precision_recall", "calibration", "lift", "importance",
        "learning_curve", "trials",
    ]  # fmt: skip
    assert composed.html.count("<img") == len(composed.pictures)


def test_without_money_the_threshold_has_a_section_of_its_own() -> None:
    plain = replace(two_classes_evaluated(), threshold=ThresholdChoice(0.5, "problem.value is not set", 10))
    figures = {name: one for name, one in plain.metrics.items() if name != "value_per_1000"}
    made = replace(report(), evaluation=replace(plain, metrics=figures))
    assert "Threshold" in sections(render(made))


def test_names_from_the_project_are_escaped() -> None:
    assert "<script>" not in render(report(project="<script>", statement="<script>", candidate="<script>"))
