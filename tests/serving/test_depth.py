"""Depth of JSON without parsing it: the same as with."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serve.guards.depth import deeper_than, too_deep

texts = st.text(st.sampled_from('[]{}"\\a\n/u0é'), max_size=8)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def depth_of(document: Any) -> int:
    if isinstance(document, list):
        return 1 + max(map(depth_of, document), default=0)
    if isinstance(document, dict):
        return 1 + max(map(depth_of, document.values()), default=0)
    return 0


@given(documents, st.integers(0, 8))
def test_it_agrees_with_the_parser(document: Any, limit: int) -> None:
    body = orjson.dumps(document)
    assert deeper_than(body, limit) == too_deep(body, limit) == (depth_of(document) > limit)


@given(st.binary(max_size=60), st.integers(0, 4))
def test_it_takes_any_bytes(body: bytes, limit: int) -> None:
    assert deeper_than(body, limit) in (True, False)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 1000 + b"]" * 1000,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b'["]",' * 100 + b"1" + b"]" * 100,
        b'["\\"]",' * 100 + b"1" + b"]" * 100,
        b"[[]," * 100 + b"1" + b"]" * 100,
        b'[{"":' * 20 + b"1" + b"}]" * 20,
    ],
    ids=["open", "arrays", "objects", "hidden by strings", "by escaped quotes", "by siblings", "mixed"],
)
def test_a_body_that_is_too_deep_is_found(body: bytes) -> None:
    assert too_deep(body, 32)


def test_a_wide_body_is_not_a_deep_one() -> None:
    assert not too_deep(b'{"rows":[' + b",".join([b'{"a":[1,2],"b":"[[[["}'] * 5000) + b"]}", 32)


def test_ten_mebibytes_made_to_be_slow_are_looked_through_in_a_second() -> None:
    block = b"[" * 32 + b"]" * 32
    body = block * (10 * 2**20 // len(block))
    started = time.perf_counter()
    assert not deeper_than(body, 32)
    assert time.perf_counter() - started < 1
