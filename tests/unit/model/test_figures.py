"""Every picture is drawn, is valid SVG, says what it shows, and is the same every time."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from tests.unit.model.evaluations import EVALUATED, many_classes_evaluated, two_classes_evaluated

from fairlead.model import figures
from fairlead.report import Figure

TRAINING = {
    "learning curve": lambda: figures.learning_curve(
        [100, 300, 1000], [0.9, 0.8, 0.75], [0.5, 0.6, 0.7], "roc_auc"
    ),
    "importance": lambda: figures.importance(["amount", "hour"], [0.2, -0.01], [0.01, 0.02], "roc_auc"),
    "trials": lambda: figures.trials({"logistic": [(0, 0.7), (2, 0.8)], "trees": [(1, 0.75)]}, "roc_auc"),
    "one size": lambda: figures.learning_curve([100], [0.9], [0.5], "mae"),
    "a flat search": lambda: figures.trials({"logistic": [(0, 0.5)]}, "roc_auc"),
}


def words(figure: Figure) -> str:
    return " ".join(
        element.text or "" for element in ET.fromstring(figure.image).iter() if "text" in element.tag
    )


def assert_readable(figure: Figure) -> None:
    assert ET.fromstring(figure.image).tag.endswith("svg")
    assert figure.alt
    assert figure.caption
    assert figure.filename.endswith(".svg")


@pytest.mark.parametrize("evaluated", EVALUATED.values(), ids=EVALUATED.keys())
def test_every_picture_of_an_evaluation_is_readable(evaluated) -> None:
    for figure in figures.pictures(evaluated()):
        assert_readable(figure)


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("two classes", ["confusion", "roc", "precision_recall", "calibration", "lift"]),
        ("many classes", ["confusion"]),
        ("regression", ["residuals", "predicted_actual"]),
        ("forecast", ["forecast_examples", "error_by_step", "residuals"]),
        ("clustering", ["cluster_sizes"]),
    ],
)
def test_each_task_has_the_pictures_people_expect(task: str, names: list[str]) -> None:
    assert [figure.name for figure in figures.pictures(EVALUATED[task]())] == names


@pytest.mark.parametrize("draw", TRAINING.values(), ids=TRAINING.keys())
def test_every_picture_of_training_is_readable(draw) -> None:
    assert_readable(draw())


@pytest.mark.parametrize("draw", TRAINING.values(), ids=TRAINING.keys())
def test_pictures_are_the_same_every_time(draw) -> None:
    assert draw().image == draw().image


def test_pictures_of_an_evaluation_are_the_same_every_time() -> None:
    evaluation = two_classes_evaluated()
    assert figures.pictures(evaluation) == figures.pictures(evaluation)


def test_the_threshold_picture_marks_the_chosen_one() -> None:
    choice = two_classes_evaluated().threshold
    [figure] = figures.threshold_value(choice, "EUR")
    assert "chosen: 0.076" in words(figure)
    assert "EUR per 1,000 predictions" in words(figure)


def test_without_money_there_is_no_threshold_picture() -> None:
    from fairlead.model.evaluation import ThresholdChoice

    assert figures.threshold_value(ThresholdChoice(0.5, "no money", 10), "") == ()


@pytest.mark.parametrize(("classes", "wide"), [(3, False), (12, True), (40, True)])
def test_a_large_confusion_matrix_takes_the_whole_width(classes: int, wide: bool) -> None:
    detail = many_classes_evaluated(classes).classes
    assert figures.confusion(detail.classes, detail.confusion).wide is wide


def test_names_in_a_picture_are_text_and_escaped() -> None:
    figure = figures.importance(["a<b & c"], [1.0], [0.1], "mae")
    assert "a<b & c" in words(figure)
