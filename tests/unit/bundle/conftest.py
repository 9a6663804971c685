"""Candidates for the tests of the bundle stage, made once for each kind."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MAKE = Path(__file__).with_name("make_candidate.py")


@pytest.fixture(scope="session")
def make() -> ModuleType:
    """The module ``make_candidate``, which is also a script."""
    spec = importlib.util.spec_from_file_location("make_candidate", MAKE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_candidate"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def candidate_of(make: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The candidate of a kind; written once."""
    made: dict[str, Any] = {}

    def candidate(kind: str) -> Any:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            made[kind] = make.write_candidate(make.KINDS[kind](folder), folder)
        return made[kind]

    return candidate


@pytest.fixture(scope="session")
def source_of(
    make: ModuleType, candidate_of: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The source folder of a kind's bundle; written once, not to be changed."""
    made: dict[str, Path] = {}

    def source(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(f"{kind}-source")
            exported = make.export_candidate(candidate_of(kind), folder / "model")
            make.write_source(make.contents_of(candidate_of(kind), exported), folder / "source")
            made[kind] = folder / "source"
        return made[kind]

    return source
