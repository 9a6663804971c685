"""The whole look for something smaller, on real candidates with real exports."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from fairlead.bundle.compress.distil import students
from fairlead.bundle.compress.measure import speed
from fairlead.bundle.compress.table import record_of, section, text_table, tried_of
from fairlead.bundle.compress.trial import compressed
from fairlead.bundle.compress.variants import NothingToDo
from fairlead.bundle.exports import export, read_trained
from fairlead.errors import IntegrityError
from fairlead.heldout import LabelledRows, load_labelled, save_labelled
from fairlead.records import Candidate
from fairlead.report import page
from fairlead.schema import Batch, Schema
from fairlead.serve.backends import open_backend
from fairlead.spec.compress import Compress
from fairlead.spec.project import Gate

Candidates = Callable[[str], Any]


def clock() -> Callable[[], float]:
    """A clock that moves by a millisecond whenever it is looked at."""
    ticks = itertools.count()
    return lambda: next(ticks) / 1000


class Notes(list[str]):
    def note(self, text: str) -> None:
        self.append(text)


def labelled(made: Any) -> dict[str, LabelledRows]:
    """The same division as ``make_candidate`` makes."""
    cut = len(made.rows) * 3 // 4
    actual = np.asarray(made.target, dtype=np.float64)
    parts = {"train": slice(0, cut), "valid": slice(cut // 2, cut), "test": slice(cut, None)}
    return {name: LabelledRows(made.rows.take(part), actual[part]) for name, part in parts.items()}


@pytest.fixture(scope="module")
def regressor(make: Any, tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """A forest of diabetes with the rows to judge others by."""
    folder = tmp_path_factory.mktemp("regressor")
    made = make.forest_regressor()
    candidate: Candidate = make.write_candidate(made, folder)
    save_labelled(folder / "labelled.npz", labelled(made))
    (folder / "evaluation.json").write_text(json.dumps({"objective": "mae", "champion": None}))
    return candidate


def look(candidate: Candidate, folder: Path, settings: Compress | None, gates: tuple[Gate, ...] = ()) -> Any:
    project = SimpleNamespace(
        serve=SimpleNamespace(compress=settings),
        problem=SimpleNamespace(value=None),
        model=SimpleNamespace(gates=gates, search=SimpleNamespace(seed=0)),
    )
    workspace: Any = SimpleNamespace(project=project)
    (folder / "as_trained").mkdir(parents=True)
    exported = export(
        read_trained(Path(candidate.path), candidate.trusted), folder / "as_trained", open_backend
    )
    notes: Any = Notes()
    found = compressed(workspace, candidate, exported, open_backend, notes, folder / "smaller", clock())
    return SimpleNamespace(before=exported, candidate=found[0], exported=found[1], notes=notes)


@pytest.fixture(scope="module")
def taken(regressor: Candidate, tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = Compress(choose="smallest within 20 % of mae")
    return look(regressor, tmp_path_factory.mktemp("taken"), settings)


def test_a_smaller_model_takes_the_place_of_the_trained_one(taken: Any, regressor: Candidate) -> None:
    assert taken.exported.file.stat().st_size < taken.before.file.stat().st_size
    assert taken.candidate.name.startswith("test+")
    assert taken.candidate.metrics["mae"] != regressor.metrics.get("mae")


def test_the_served_file_answers_as_the_reference_says(taken: Any) -> None:
    folder = Path(taken.candidate.path)
    schema = Schema.from_json((folder / "schema.json").read_bytes())
    answer = open_backend(taken.exported.format, taken.exported.file, schema, taken.exported.trusted)
    cut = 442 * 3 // 4
    given = answer(Batch(load_diabetes(scaled=False).data.astype(np.float32)[cut:]))[:, 0]
    profile = json.loads((folder / "profile.json").read_bytes())["predictions"]["columns"]["prediction"]
    assert profile["numbers"]["count"] == len(given)
    assert profile["numbers"]["mean"] == pytest.approx(given.mean(), rel=1e-6)


def test_the_trained_model_and_its_folder_stay_as_they_are(taken: Any, regressor: Candidate) -> None:
    assert Candidate.open(regressor.path).name == "test"
    assert not (Path(regressor.path) / "compression.json").exists()
    assert taken.before.file.is_file()


def test_every_variant_has_a_price_whether_it_is_taken_or_not(taken: Any) -> None:
    tried = tried_of(json.loads((Path(taken.candidate.path) / "compression.json").read_bytes()))
    names = {line.name for line in tried.lines}
    assert names == {
        "as trained",
        "trees-10",
        "trees-5",
        "leaves-50%",
        "leaves-25%",
        "student-60x16",
        "student-30x8",
    }
    assert all(line.bytes and line.speed.one_row and line.figures["mae"] for line in tried.lines)
    assert all("mae" in line.differences for line in tried.lines[1:])
    assert "nothing to quantise" in tried.nothing["quantise"]
    assert tried_of(record_of(tried)) == tried


def test_the_table_is_shown_and_is_on_a_page(taken: Any) -> None:
    tried = tried_of(json.loads((Path(taken.candidate.path) / "compression.json").read_bytes()))
    assert "\n".join(taken.notes) == text_table(tried)
    assert any(line.startswith("compressed: ") for line in taken.notes)
    html = page("Bundle", "about it", [section(tried)])
    assert "student-30x8" in html
    assert "<svg" in html or "image/svg" in html


def test_the_whole_evaluation_is_called_what_it_is(taken: Any) -> None:
    folder = Path(taken.candidate.path)
    assert (folder / "evaluation-uncompressed.json").is_file()
    assert not (folder / "evaluation.json").exists()


def test_a_variant_that_misses_a_gate_is_not_served(regressor: Candidate, tmp_path: Path) -> None:
    settings = Compress(methods=("prune",), choose="smallest within 90 % of mae")
    found = look(regressor, tmp_path, settings, (Gate(metric="mae", at_most=1.0),))
    assert found.exported is found.before
    tried = tried_of(json.loads((Path(found.candidate.path) / "compression.json").read_bytes()))
    assert tried.decision.outcome == "kept as it is"
    assert all(line.refused.startswith("gate missed: mae is") for line in tried.lines[1:])


def test_without_the_setting_nothing_happens(candidate_of: Candidates, tmp_path: Path) -> None:
    candidate = candidate_of("linear")
    found = look(candidate, tmp_path, None)
    assert (found.candidate, found.exported, found.notes) == (candidate, found.before, [])


def test_a_candidate_without_rows_to_judge_by_is_refused(candidate_of: Candidates, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"labelled\.npz"):
        look(candidate_of("linear"), tmp_path, Compress())


def test_clusterings_are_left_alone(candidate_of: Candidates, tmp_path: Path) -> None:
    found = look(candidate_of("kmeans"), tmp_path, Compress())
    assert found.exported is found.before
    assert "no truth" in found.notes[0]


def test_labelled_rows_come_back(tmp_path: Path) -> None:
    texts = (np.array(["École", ""], dtype=object),)
    rows = LabelledRows(
        Batch(np.array([[1.0], [np.nan]], np.float32), texts),
        np.array(["a", "b"], dtype=object),
        np.array(["x", "x"], dtype=object),
        np.array([1.0, 2.0]),
    )
    save_labelled(tmp_path / "labelled.npz", {"train": rows, "test": rows})
    again = load_labelled(tmp_path / "labelled.npz")["test"]
    assert again.batch.texts[0].tolist() == ["École", ""]
    np.testing.assert_array_equal(again.batch.numbers, rows.batch.numbers)
    assert again.actual.tolist() == ["a", "b"]
    assert again.groups is not None
    assert again.groups.tolist() == ["x", "x"]
    assert again.scale is not None
    assert again.scale.tolist() == [1.0, 2.0]


def test_a_student_learns_probabilities_and_not_labels(make: Any) -> None:
    made = make.smooth()
    rows = made.rows.as_array()
    made.estimator.fit(rows, made.target)
    teacher = made.estimator.predict_proba(rows)
    large, small = (one.estimator for one in students(made.estimator, "classification", rows))
    errors = [np.abs(model.predict_proba(rows) - teacher).mean() for model in (large, small)]
    assert errors[0] < errors[1] < 0.15


def test_a_linear_model_has_no_smaller_student(make: Any) -> None:
    made = make.linear()
    made.estimator.fit(made.rows.as_array(), made.target)
    with pytest.raises(NothingToDo, match="nothing is smaller than LogisticRegression"):
        list(students(made.estimator, "classification", made.rows.as_array()))


def test_time_is_taken_a_call_for_one_row_and_for_a_hundred() -> None:
    sizes: list[int] = []

    def answer(batch: Batch) -> Any:
        sizes.append(len(batch))
        return np.zeros((len(batch), 1))

    found = speed(answer, Batch(np.zeros((30, 2), np.float32)), clock())
    assert set(sizes) == {1, 100}
    assert found.one_row == pytest.approx(0.001)
