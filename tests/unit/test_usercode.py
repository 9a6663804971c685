"""The project's own functions, found by import path."""

import sys
from pathlib import Path

import pytest

from fairlead.errors import UserCodeError
from fairlead.usercode import load_function


@pytest.mark.parametrize(
    ("module", "code", "said"),
    [
        ("own_syntax", "def f(:\n", "importing the module raised SyntaxError"),
        ("own_raises", "raise RuntimeError('boom')\n", "importing the module raised RuntimeError: boom"),
        ("own_exits", "import sys\nsys.exit(3)\n", "importing the module raised SystemExit: 3"),
        ("own_needs", "import no_such_package_anywhere\n", "needs the package 'no_such_package_anywhere'"),
        ("own_lacks", "def g(): ...\n", "the module has no function 'f'"),
    ],
    ids=["syntax error", "raises", "is a script that exits", "needs a package", "has no such function"],
)
def test_code_that_cannot_be_used_is_said_to_be(tmp_path: Path, monkeypatch, module, code, said):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / f"{module}.py").write_text(code)
    with pytest.raises(UserCodeError, match=said):
        load_function(tmp_path, f"{module}:f")


def test_a_module_that_is_not_there_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(UserCodeError, match="there is no module 'nowhere'"):
        load_function(tmp_path, "nowhere:f")
