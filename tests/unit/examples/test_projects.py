"""Every example's project file and contract are valid, fit each other, and name only what exists."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.spec import load_contract, load_project
from fairlead.spec.consistency import check_consistent
from fairlead.usercode import load_function

NAMES = ("demand", "fraud", "segments", "spam")


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run_generator(example: Path, out: Path, rows: int, hash_seed: str) -> None:
    command = [
        sys.executable,
        str(example / "generate.py"),
        "--out",
        str(out),
        "--rows",
        str(rows),
        "--seed",
        "1",
    ]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True)


def test_all_examples_are_known_to_this_test(examples: Path) -> None:
    assert tuple(sorted(path.parent.name for path in examples.glob("*/fairlead.yaml"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_project_file_is_valid_and_named_after_its_folder(examples: Path, name: str) -> None:
    assert load_project(examples / name / "fairlead.yaml").name == name


@pytest.mark.parametrize("name", NAMES)
def test_project_file_and_contract_fit_each_other(examples: Path, name: str) -> None:
    project = load_project(examples / name / "fairlead.yaml")
    check_consistent(project, load_contract(examples / name / project.data.contract))


@pytest.mark.parametrize("name", NAMES)
def test_readme_and_table_of_examples_mention_it(examples: Path, name: str) -> None:
    assert (examples / name / "README.md").exists()
    assert f"[{name}]({name}/)" in (examples / "README.md").read_text(encoding="utf-8")


def test_feature_factories_can_be_imported(examples: Path) -> None:
    project = load_project(examples / "segments" / "fairlead.yaml")
    assert project.model.features is not None
    assert hasattr(load_function(examples / "segments", project.model.features)(None), "fit_transform")


@pytest.mark.parametrize("name", NAMES)
def test_generator_gives_the_same_bytes_in_any_process(examples: Path, name: str, tmp_path: Path) -> None:
    for hash_seed in ("1", "2"):
        run_generator(examples / name, tmp_path / hash_seed, 500, hash_seed)
    first = content_of(tmp_path / "1")
    assert first
    assert first == content_of(tmp_path / "2")


@pytest.mark.parametrize(("name", "folder"), [("spam", "mails"), ("demand", "invoices")])
def test_committed_data_is_what_the_generator_writes(
    examples: Path, name: str, folder: str, tmp_path: Path
) -> None:
    command = [sys.executable, str(examples / name / "generate.py"), "--out", str(tmp_path / folder)]
    subprocess.run(command, check=True, capture_output=True)
    assert content_of(tmp_path / folder) == content_of(examples / name / folder)


@pytest.mark.parametrize("name", ["demand", "fraud", "spam"])
def test_generator_refuses_to_replace_a_folder_of_other_files(
    examples: Path, name: str, tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    command = [sys.executable, str(examples / name / "generate.py"), "--out", str(tmp_path), "--rows", "500"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "thesis.tex" in done.stderr
    assert (tmp_path / "thesis.tex").exists()
