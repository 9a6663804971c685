"""The shape of the tree itself."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("root", ["components/fairlead", "pipelines/fairlead"])
def test_a_namespace_root_has_no_init_file(root: str) -> None:
    # One PEP 420 namespace over two folders: an __init__.py in either would hide the other.
    assert not (ROOT / root / "__init__.py").exists()
