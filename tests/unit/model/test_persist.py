"""Models on disk: no pickle, no foreign types, nothing half-written."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fairlead.errors import IntegrityError, UserCodeError
from fairlead.heldout import load_heldout, save_heldout
from fairlead.model.persist import copy_code, is_own, load, new_folder, save
from fairlead.model.preprocess import plain_numbers
from fairlead.schema import Batch

OWN = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self
    def transform(self, X):
        return 2 * X

def halved(X):
    return X / 2
"""
ROWS = np.array([[1.0], [3.0]])


class Foreign(StandardScaler):
    """Lives in a test, not in the project's folder."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with a package of its own."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path, name


def module_of(project):
    return __import__(project[1])


def test_a_type_of_the_projects_own_package_is_named_and_saved(project):
    own = module_of(project)
    saved = save(Pipeline([("own", own.Doubled().fit(ROWS))]), project[0])
    assert saved.trusted == (f"{project[1]}.Doubled",)
    assert saved.again.transform(ROWS).tolist() == [[2.0], [6.0]]


def test_a_function_of_the_projects_own_package_is_named_and_saved(project):
    saved = save(FunctionTransformer(module_of(project).halved).fit(ROWS), project[0])
    assert saved.trusted == (f"{project[1]}.halved",)
    assert saved.again.transform(ROWS).tolist() == [[0.5], [1.5]]


def test_a_model_with_own_types_is_loaded_from_the_copied_code(project, monkeypatch):
    root, name = project
    saved = save(module_of(project).Doubled().fit(ROWS), root)
    copy_code(root, root / "elsewhere" / "code")
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(root)])
    again = load(saved.content, saved.trusted, root / "elsewhere" / "code")
    assert again.transform(ROWS).tolist() == [[2.0], [6.0]]
    assert "elsewhere" in sys.modules[name].__file__


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        pytest.param(Foreign().fit(ROWS), "Foreign safely", id="a type from elsewhere"),
        pytest.param(FunctionTransformer(lambda X: X).fit(ROWS), "skops cannot save", id="a lambda"),
        pytest.param(FunctionTransformer(print), "print", id="a builtin"),
    ],
)
def test_what_skops_cannot_save_is_refused_by_name(pipeline, message, tmp_path):
    with pytest.raises(UserCodeError, match=message) as caught:
        save(pipeline, tmp_path)
    assert caught.value.hint


def test_a_file_with_a_type_its_record_does_not_name_is_not_opened(project):
    content = save(module_of(project).Doubled().fit(ROWS), project[0]).content
    with pytest.raises(IntegrityError, match="Doubled, which its record does not name"):
        load(content, [])


def test_a_standard_library_type_is_not_the_projects_own(tmp_path):
    assert not is_own("subprocess.Popen", tmp_path)


@pytest.mark.parametrize("folder", [".venv/lib", "venv/lib"])
def test_a_package_installed_in_an_environment_inside_the_project_is_not_its_own(
    tmp_path, monkeypatch, folder
):
    (tmp_path / folder / "installed_here").mkdir(parents=True)
    (tmp_path / folder / "installed_here" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / folder)
    assert not is_own("installed_here.Model", tmp_path)


def test_code_is_copied_without_caches_data_and_hidden_folders(tmp_path):
    for name in ("a.py", "pkg/b.py", "__pycache__/c.py", ".venv/d.py", "data/e.py", "pkg/notes.txt"):
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text("")
    copy_code(tmp_path / "from", tmp_path / "to")
    assert sorted(p.relative_to(tmp_path / "to").as_posix() for p in (tmp_path / "to").rglob("*.py")) == [
        "a.py",
        "pkg/b.py",
    ]


def test_a_vocabulary_cut_to_size_is_saved_as_plain_numbers(tmp_path):
    words = TfidfVectorizer(max_features=3).fit(["aa bb cc dd aa bb cc"])
    plain_numbers(words)
    assert {type(place) for place in words.vocabulary_.values()} == {int}
    assert save(words, tmp_path).again.transform(["aa"]).shape == (1, 3)


def test_a_folder_that_was_not_finished_is_never_seen(tmp_path):
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "c") as folder:
        shutil.copy(tmp_path / "absent", folder)
    assert not (tmp_path / "c").exists()


def test_a_finished_folder_replaces_what_was_there(tmp_path):
    for text in ("old", "new"):
        with new_folder(tmp_path / "c") as folder:
            (folder / f"{text}.txt").write_text(text)
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["new.txt"]


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param((), id="numbers only"),
        pytest.param((["a", "", "é\nx"],), id="one text"),
        pytest.param((["a"] * 3, ["北京", "b" * 10_000, "c"]), id="two texts, one long"),
    ],
)
def test_held_out_rows_come_back_as_they_were(texts, tmp_path):
    batch = Batch(
        np.array([[1.0], [np.nan], [3.0]], np.float32), tuple(np.array(t, dtype=object) for t in texts)
    )
    expected = np.array([[0.1], [0.2], [0.3]])
    save_heldout(tmp_path / "heldout.npz", batch, expected)
    again, answers = load_heldout(tmp_path / "heldout.npz")
    assert np.array_equal(again.numbers, batch.numbers, equal_nan=True)
    assert [text.tolist() for text in again.texts] == [text.tolist() for text in batch.texts]
    assert np.array_equal(answers, expected)


def test_held_out_rows_are_the_same_bytes_every_time(tmp_path):
    batch = Batch(np.zeros((2, 1), np.float32), (np.array(["a", "b"], dtype=object),))
    for name in ("one", "two"):
        save_heldout(tmp_path / name, batch, np.zeros((2, 1)))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
