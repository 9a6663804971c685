from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"


def load_generator(example: str) -> ModuleType:
    """The generator of *example*, under a name of its own: all four are called ``generate``."""
    name = f"example_{example}_generate"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / example / "generate.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def fraud() -> ModuleType:
    return load_generator("fraud")


@pytest.fixture(scope="session")
def spam() -> ModuleType:
    return load_generator("spam")


@pytest.fixture(scope="session")
def demand() -> ModuleType:
    return load_generator("demand")


@pytest.fixture(scope="session")
def segments() -> ModuleType:
    return load_generator("segments")
