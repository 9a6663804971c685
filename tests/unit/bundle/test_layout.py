from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead import telemetry
from fairlead.bundle.digest import file_digest
from fairlead.bundle.layout import PACKAGES, requirements_of, serving_files, source_files, write_source

Sources = Callable[[str], Path]


def names_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def manifest_of(source: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((source / "bundle" / "manifest.json").read_text())
    return manifest


def test_the_bundle_folder_holds_model_schema_reference_and_manifest(source_of: Sources) -> None:
    assert names_below(source_of("linear") / "bundle") == {
        "manifest.json", "model.onnx", "schema.json", "serving.json", "reference/profile.json", "reference/predictions.json",
    }  # fmt: skip


def test_the_namespace_root_has_no_init(source_of: Sources) -> None:
    assert not (source_of("linear") / "fairlead" / "__init__.py").exists()


def test_only_serving_code_travels(source_of: Sources) -> None:
    assert {path.name for path in (source_of("linear") / "fairlead").iterdir()} == {
        "serve",
        "schema",
        "errors.py",
        "telemetry.py",
    }
    assert not list(source_of("linear").rglob("__pycache__"))


def test_the_manifest_states_the_digest_of_every_file(source_of: Sources) -> None:
    source = source_of("linear")
    manifest = manifest_of(source)
    stated = {**{f"bundle/{name}": sha for name, sha in manifest["files"].items()}, **manifest["code"]}
    assert stated.keys() == names_below(source) - {"bundle/manifest.json"}
    assert all(file_digest(source / name) == sha for name, sha in stated.items())


def test_the_projects_own_code_is_inside_a_bundle_that_needs_it(source_of: Sources) -> None:
    source = source_of("custom")
    assert (source / "bundle" / "code" / "logs_of_project.py").is_file()
    assert manifest_of(source)["trusted"] == ["logs_of_project.Logs", "sklearn.tree._tree.Tree"]


@pytest.mark.parametrize("kind", ["linear", "categorical", "custom", "text"])
def test_no_file_of_a_bundle_is_a_pickle(source_of: Sources, kind: str) -> None:
    """By name, and by content: a pickle starts with its protocol, and skops' and numpy's arrays may hold none."""
    source = source_of(kind)
    assert not [name for name in names_below(source) if name.endswith((".pkl", ".pickle", ".joblib", ".pyc"))]
    for path in (path for path in source.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert not content.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")), path
        assert b"|O" not in content, path  # numpy's mark of an array of objects, which is kept as a pickle


@pytest.mark.parametrize("kind", ["linear", "categorical", "custom"])
def test_the_code_inside_is_enough_to_load_and_ask_the_model(source_of: Sources, kind: str) -> None:
    """In an interpreter whose third-party packages come without what an editable install adds to the path."""
    script = (
        "import sys; sys.path[:0] = [sys.argv[1]]; sys.path.append(sys.argv[2])\n"
        "import fairlead.serve.loading as loading\n"
        "model = loading.load(__import__('pathlib').Path(sys.argv[1], 'bundle'))\n"
        "rows = model.encode(loading.example_columns(model.schema))\n"
        "print(len(model.answers(rows)))\n"
        "ours = [module.__file__ for name, module in sys.modules.items() if name.startswith('fairlead.')]\n"
        "print(*[file for file in ours if file and not file.startswith(sys.argv[1])])"
    )
    source = source_of(kind)
    site = sysconfig.get_path("purelib")
    command = [sys.executable, "-P", "-S", "-B", "-c", script, str(source), site]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "1\n\n", done.stderr  # one answer; no module from anywhere else


def test_serving_code_is_listed_in_order() -> None:
    names = [name for name, _ in serving_files()]
    assert names == sorted(names)
    assert {"fairlead/errors.py", "fairlead/schema/__init__.py", "fairlead/serve/service.py"} <= set(names)


def test_a_bundle_switches_off_usage_statistics(source_of: Sources) -> None:
    source = source_of("linear")
    stated = yaml.safe_load((source / "bentofile.yaml").read_text())["envs"]
    assert {one["name"]: one["value"] for one in stated} == telemetry.OFF
    assert (source / "fairlead" / "telemetry.py").is_file()


@pytest.mark.parametrize("format_name", list(PACKAGES))
def test_requirements_are_the_installed_versions(format_name: Any) -> None:
    pins = requirements_of(format_name)
    assert pins.pop("python") == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert pins == {name: version(name) for name in PACKAGES[format_name]}


def test_an_onnx_bundle_needs_no_scikit_learn() -> None:
    assert "scikit-learn" not in requirements_of("onnx")


def test_writing_twice_gives_the_same_files(
    make: Any, candidate_of: Callable[[str], Any], tmp_path: Path
) -> None:
    exported = make.export_candidate(candidate_of("linear"), tmp_path / "model")
    for name in ("one", "two"):
        write_source(make.contents_of(candidate_of("linear"), exported), tmp_path / name)
    assert source_files(tmp_path / "one") == source_files(tmp_path / "two")
    assert manifest_of(tmp_path / "one") == manifest_of(tmp_path / "two")


def test_byte_code_does_not_count(make: Any, candidate_of: Callable[[str], Any], tmp_path: Path) -> None:
    exported = make.export_candidate(candidate_of("linear"), tmp_path / "model")
    write_source(make.contents_of(candidate_of("linear"), exported), tmp_path / "source")
    before = source_files(tmp_path / "source")
    (tmp_path / "source" / "fairlead" / "__pycache__").mkdir()
    (tmp_path / "source" / "fairlead" / "__pycache__" / "errors.cpython-311.pyc").write_bytes(b"code")
    assert source_files(tmp_path / "source") == before
