"""Lines to records, and what is missing of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.monitor.segments import Gap, Seen, read_lines

NUMBERS = st.sets(st.integers(1, 60))


def ranges_of(gaps: list[Gap]) -> list[tuple[int, int]]:
    return [(gap.first, gap.last) for gap in gaps]


@pytest.mark.parametrize(
    ("begun", "numbers", "end", "gaps"),
    [
        (True, [1, 2, 3], 3, []),
        (True, [1, 2, 5], 5, [(3, 4)]),
        (True, [3], 3, [(1, 2)]),
        (False, [3], 3, []),
        (True, [1, 2], 4, [(3, 4)]),
        (True, [1, 2], None, []),
        (True, [], 2, [(1, 2)]),
        (True, [], 0, []),
        (True, [3, 1, 2, 2, 3], 3, []),
    ],
    ids=["whole", "in the middle", "at the begin", "begin deleted", "at the end", "still runs", "all", "no request", "any order"],
)  # fmt: skip
def test_gaps_are_numbers_that_no_record_has(
    begun: bool, numbers: list[int], end: int | None, gaps: list[tuple[int, int]]
) -> None:
    seen = Seen()
    if begun:
        seen.event("p", "e", "begin", 0)
    for number in numbers:
        seen.add("p", "e", number)
    if end is not None:
        seen.event("p", "e", "killed", end)
    assert ranges_of(seen.gaps()) == gaps


@given(NUMBERS, st.integers(0, 60), st.randoms(use_true_random=False))
def test_gaps_and_records_together_are_all_numbers_in_any_order(numbers, end, random) -> None:
    last = max(numbers | {end})
    shuffled = [*numbers, *numbers]
    random.shuffle(shuffled)
    seen = Seen()
    seen.event("p", "e", "end", last)
    for number in shuffled:
        seen.add("p", "e", number)
    seen.event("p", "e", "begin", 0)
    missing = [number for gap in seen.gaps() for number in range(gap.first, gap.last + 1)]
    assert sorted([*missing, *numbers]) == list(range(1, last + 1))


def test_what_was_deleted_on_purpose_is_no_gap() -> None:
    seen = Seen()
    for number in (1, 3):
        seen.add("p", "e", number)
    seen.event("p", "e", "forgotten", 2)
    assert seen.gaps() == []


def test_workers_are_told_apart() -> None:
    seen = Seen()
    for pod, epoch, number in (("a", "1", 1), ("a", "2", 3), ("b", "1", 2), ("a", "1", 3), ("b", "1", 4)):
        seen.add(pod, epoch, number)
    assert seen.gaps() == [Gap("a", "1", 2, 2), Gap("b", "1", 3, 3)]


def test_a_worker_without_an_end_is_named() -> None:
    seen = Seen()
    seen.add("a", "1", 1)
    seen.event("b", "1", "end", 0)
    assert seen.unfinished() == [("a", "1")]


@given(st.binary(max_size=200))
def test_any_bytes_are_records_or_torn_lines(content: bytes) -> None:
    good = json.dumps({"kind": "worker", "seq": 1}).encode()
    reading = read_lines([good, *content.split(b"\n")])
    assert len(reading.records) == 1
    assert reading.torn == sum(bool(line.strip()) for line in content.split(b"\n"))
