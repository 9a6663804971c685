"""The content-addressed store and the project archive."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.adapters import archives
from fairlead.adapters.store import FolderStore
from fairlead.errors import IntegrityError, NotFound, ProjectError, ServiceError

PROJECT = """
apiVersion: fairlead/v1
name: small
problem: {statement: find it, owner: me}
data: {source: {kind: csv, uri: x.csv}, target: y}
model: {task: classification, candidates: [logistic]}
"""
CONTRACT = "apiVersion: fairlead.contract/v1\ncolumns: {x: {type: number}, y: {type: boolean}}\n"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "features").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "fairlead.yaml").write_text(PROJECT)
    (root / "contract.yaml").write_text(CONTRACT)
    (root / "features" / "more.py").write_text("x = 1\n")
    (root / "data" / "generate.py").write_text("")
    return root


def folder_with(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_text(content)
    return path


def test_what_was_put_can_be_got(store, tmp_path):
    store.put("bundles", "d1", folder_with(tmp_path / "in", a="1"))
    store.get("bundles", "d1", tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "1"


def test_putting_an_object_twice_keeps_the_first(store, tmp_path):
    store.put("bundles", "d1", folder_with(tmp_path / "in", a="1"))
    store.put("bundles", "d1", folder_with(tmp_path / "other", a="2"))
    assert (store.path("bundles", "d1") / "a").read_text() == "1"


def test_an_object_that_is_not_there_is_named(store, tmp_path):
    with pytest.raises(NotFound, match="has no bundles d1"):
        store.get("bundles", "d1", tmp_path / "out")


def test_a_copy_that_fails_half_way_leaves_no_object(store, tmp_path, monkeypatch):
    source = folder_with(tmp_path / "in", a="1", b="2")

    def full(_source: str, target: str) -> None:
        if target.endswith("b"):
            raise OSError(28, "No space left on device", target)
        Path(target).write_text("1")

    monkeypatch.setattr("fairlead.adapters.store._link_or_copy", full)
    with pytest.raises(ServiceError, match="free some space"):
        store.put("bundles", "d1", source)
    assert not store.has("bundles", "d1")
    assert list((store.root / "bundles").iterdir()) == []


def test_a_kill_during_a_put_leaves_nothing_that_is_read_and_the_next_put_succeeds(store, tmp_path):
    source = folder_with(tmp_path / "in", a="1", b="2")
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom fairlead.adapters import store\n"
        "def die(source, target):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "store._link_or_copy = die\n"
        "store.FolderStore(Path(sys.argv[1])).put('bundles', 'd1', Path(sys.argv[2]))\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(store.root), str(source)], check=False)
    assert killed.returncode == -9
    assert not store.has("bundles", "d1")
    store.put("bundles", "d1", source)
    assert sorted(path.name for path in store.path("bundles", "d1").iterdir()) == ["a", "b"]


def test_the_archive_holds_project_contract_and_code_and_no_data(project, store, tmp_path):
    workspace = archives.unpack(archives.push(project, store, tmp_path / "scratch"), tmp_path / "unpacked")
    files = sorted(
        str(path.relative_to(workspace.root)) for path in workspace.root.rglob("*") if path.is_file()
    )
    assert files == ["contract.yaml", "fairlead.yaml", "features/more.py"]
    assert workspace.project.name == "small"


def test_the_same_content_is_the_same_archive_whatever_its_times_and_modes(project):
    before = archives.pack(project)
    os.utime(project / "fairlead.yaml", (1, 1))
    (project / "fairlead.yaml").chmod(0o600)
    assert archives.pack(project) == before


def test_changed_code_is_another_archive(project):
    before = archives.pack(project)
    (project / "features" / "more.py").write_text("x = 2\n")
    assert archives.pack(project) != before


def test_an_archive_whose_digest_does_not_match_is_refused(project, store, tmp_path):
    value = archives.push(project, store, tmp_path / "scratch")
    path = Path(value.rpartition("@")[0])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError, match="was asked for") as caught:
        archives.unpack(value, tmp_path / "unpacked")
    assert "push again" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("somewhere/project.tar", ProjectError, "must be an archive with its digest"),
        (f"/nowhere/project.tar@sha256:{'0' * 64}", NotFound, "no project archive at /nowhere/project.tar"),
    ],
    ids=["no digest", "no file"],
)
def test_a_project_value_that_cannot_be_used_is_explained(value, error, message, tmp_path):
    with pytest.raises(error, match=message):
        archives.unpack(value, tmp_path)


def test_the_digest_in_the_value_is_that_of_the_file(project, store, tmp_path):
    path, _, digest = archives.push(project, store, tmp_path / "scratch").rpartition("@sha256:")
    assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest


def test_files_that_do_not_fit_together_are_refused_before_anything_is_packed(project):
    (project / "contract.yaml").write_text(CONTRACT.replace("y:", "z:"))
    with pytest.raises(ProjectError, match=r"data\.target is 'y', which the contract does not have"):
        archives.pack(project)
