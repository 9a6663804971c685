from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.bundle.digest import bundle_digest, file_digest, files_below, lock_digest

MAKE = Path(__file__).with_name("make_candidate.py")
FILES = {"bundle/model.onnx": "11", "fairlead/serve/app.py": "22"}


def digest(**changes: object) -> str:
    facts = {"files": FILES, "dataset": "d", "lock": "l", "format_version": 1} | changes
    return bundle_digest(facts.pop("files"), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"files": FILES | {"bundle/model.onnx": "12"}}, id="model"),
        pytest.param({"files": FILES | {"fairlead/serve/app.py": "23"}}, id="serving code"),
        pytest.param({"files": FILES | {"bundle/code/mine.py": "33"}}, id="project code"),
        pytest.param({"dataset": "e"}, id="dataset"),
        pytest.param({"lock": "m"}, id="pins"),
        pytest.param({"format_version": 2}, id="layout"),
    ],
)
def test_what_changes_predictions_or_runtime_changes_the_digest(changes: dict[str, object]) -> None:
    assert digest(**changes) != digest()


def test_a_pin_changes_the_lock() -> None:
    assert lock_digest({"numpy": "2.4.6"}) != lock_digest({"numpy": "2.4.7"})


def test_files_are_listed_by_path_with_their_sha256(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"")
    assert list(files_below(tmp_path)) == ["a", "b/c"]
    assert files_below(tmp_path)["b/c"].startswith("ba7816bf8f01cfea")


def test_a_file_larger_than_a_piece_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"\x00" * (1 << 20) + b"\x01")
    (tmp_path / "small").write_bytes(b"\x00" * (1 << 20))
    assert file_digest(tmp_path / "large") != file_digest(tmp_path / "small")


KINDS = ("linear", "categorical", "custom", "text")
CHANGED = ("linear:changed", "categorical:changed", "custom:changed")


def start(folder: Path, hash_seed: str, *kinds: str) -> subprocess.Popen[str]:
    # What malloc returns is filled with another byte in each process, so that bytes nobody wrote show.
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "MALLOC_PERTURB_": hash_seed}
    command = [sys.executable, "-W", "ignore", str(MAKE), str(folder), *kinds]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[str]]]:
    """Kind to format and digest, from two processes with different hash seeds, working in different folders."""
    processes = [
        start(tmp_path_factory.mktemp("one"), "1", *KINDS, *CHANGED),
        start(tmp_path_factory.mktemp("two"), "77", *reversed(KINDS)),
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    return [{line.split()[0]: line.split()[1:] for line in output.splitlines()} for output in outputs]


@pytest.mark.slow
@pytest.mark.xdist_group("bundle digests")
@pytest.mark.parametrize(
    ("kind", "written_as"),
    [("linear", "onnx"), ("text", "onnx"), ("categorical", "treelite"), ("custom", "skops")],
)
def test_the_same_inputs_give_the_same_digest_in_any_process(
    printed: list[dict[str, list[str]]], kind: str, written_as: str
) -> None:
    one, two = (output[kind] for output in printed)
    assert one[0] == written_as
    assert one == two


@pytest.mark.slow
@pytest.mark.xdist_group("bundle digests")
@pytest.mark.parametrize("kind", ["linear", "categorical", "custom"])
def test_one_changed_training_value_gives_another_digest(
    printed: list[dict[str, list[str]]], kind: str
) -> None:
    assert printed[0][kind][1] != printed[0][f"{kind}:changed"][1]
