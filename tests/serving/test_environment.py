"""Settings from the environment: what is read, and how a wrong one is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.errors import ProjectError
from fairlead.serve.environment import Environment

Read = Callable[[Environment], Any]

READ: dict[str, tuple[str, Read, Any]] = {
    "text": (" a ", lambda env: env.text("X"), "a"),
    "no text": ("", lambda env: env.text("X", "b"), "b"),
    "number": ("0.5", lambda env: env.number("X", 1.0, low=0), 0.5),
    "no number": (" ", lambda env: env.number("X", 1.0, low=0), 1.0),
    "whole number": ("7", lambda env: env.whole("X", 1, low=0), 7),
    "true": ("Yes", lambda env: env.flag("X", default=False), True),
    "false": ("0", lambda env: env.flag("X", default=True), False),
    "no flag": ("", lambda env: env.flag("X", default=True), True),
    "words": ("a, b,,", lambda env: env.words("X"), ("a", "b")),
    "path": ("/a/b", lambda env: env.path("X"), Path("/a/b")),
    "no path": ("", lambda env: env.path("X"), None),
}

REFUSED: dict[str, tuple[str, Read, str]] = {
    "no number": ("many", lambda env: env.number("X", 1.0, low=0), "must be a number from 0 up"),
    "not a number": ("nan", lambda env: env.number("X", 1.0, low=0), "must be a number from 0 up"),
    "infinite": ("inf", lambda env: env.number("X", 1.0, low=0), "must be a number from 0 up"),
    "too small": ("-1", lambda env: env.number("X", 1.0, low=0, high=1), "must be a number from 0 to 1"),
    "not whole": ("1.5", lambda env: env.whole("X", 1, low=0), "must be a whole number from 0 up"),
    "too large": (
        "99999",
        lambda env: env.whole("X", 1, low=0, high=9),
        "must be a whole number from 0 to 9",
    ),
    "neither true nor false": ("maybe", lambda env: env.flag("X", default=True), "must be true or false"),
    "unknown word": ("a,z", lambda env: env.words("X", known=frozenset("ab")), "must be one of a, b"),
    "relative path": ("log", lambda env: env.path("X"), "must be an absolute path"),
    "no such file": ("/no/such/file", lambda env: env.file("X"), "must be a file that can be read"),
}


@pytest.mark.parametrize(("value", "read", "expected"), READ.values(), ids=READ)
def test_a_setting_is_read(value: str, read: Read, expected: Any) -> None:
    assert read(Environment({"X": value})) == expected


@pytest.mark.parametrize(("value", "read", "rule"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_setting_is_told_by_name_value_rule_and_way_out(value: str, read: Read, rule: str) -> None:
    with pytest.raises(ProjectError) as raised:
        read(Environment({"X": value}))

    assert f"environment variable X is {value.rsplit(',', maxsplit=1)[-1]!r}, {rule}" in raised.value.message
    assert raised.value.hint.startswith("Leave it out for the default")


@pytest.mark.parametrize("name", ["text", "whole number", "path"])
def test_a_setting_that_is_not_there_has_its_default(name: str) -> None:
    _, read, _ = READ[name]

    assert read(Environment({})) in ("", 1, None)
