"""Where counts are kept: in memory, and in a folder that worker processes share."""

from __future__ import annotations

import errno
import logging
import math
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import ServiceError
from fairlead.serve.metrics.counters import (
    CELLS,
    SIZE,
    TEXT_BYTES,
    Counter,
    Reading,
    Series,
    Store,
    condensed,
    read,
    total,
)
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.metrics.workers import DEAD_FILES, FOLDED, SUFFIX, Folder


def count(name: str = "a_total", labels: str = "") -> Series:
    return Series("counter", name, "Help.", labels)


def sums(folder: Folder) -> dict[str, float]:
    return {f"{one.series.name}{{{one.series.labels}}}": one.value for one in total(folder.read())}


def files(path: Path) -> list[Path]:
    return sorted(path.glob(f"*{SUFFIX}"))


class Worker:
    """What a worker does with its counts."""

    def __init__(self, path: Path) -> None:
        self.folder = Folder(path)
        self.store = Store()
        self.folder.join(self.store)

    def add(self, series: Series, n: float = 1.0) -> None:
        self.store.cells[self.store.add(series)] += n

    def die(self) -> None:
        """The kernel frees the lock; the file stays as it is."""
        self.folder.leave()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    """Start a worker on the test's folder; it ends with the test."""
    started: list[Worker] = []

    def one() -> Worker:
        started.append(Worker(tmp_path))
        return started[-1]

    yield one
    for worker in started:
        worker.die()


# -------------------------------------------------------------------------------------------------- a store


def test_a_series_is_registered_once() -> None:
    store = Store()
    assert store.add(count()) == store.add(count()) != store.add(count(labels='x="1"'))


def test_threads_that_race_for_one_cell_lose_nothing() -> None:
    counter = Counter(Store(), count())

    def run() -> None:
        for _ in range(100_000):
            counter.add()

    was = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(was)
    assert counter._store.read()[0].value == 400_000


def test_a_full_store_counts_on_without_the_new_series_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    with caplog.at_level(logging.WARNING):
        cells = {store.add(count(labels=f'x="{number}"')) for number in range(CELLS)}
    assert len(caplog.records) == 1
    assert max(cells) < CELLS
    known = len(store.read())
    assert 1_000 < known < CELLS
    store.cells[store.add(count(labels='x="0"'))] += 5
    assert [one.value for one in store.read()[:2]] == [5, 0]


def test_a_histogram_with_too_many_edges_is_refused() -> None:
    with pytest.raises(ValueError, match="has 500 edges"):
        Store().add(Series("histogram", "h", "Help.", edges=tuple(map(float, range(500)))))


@pytest.mark.parametrize("kept", range(0, 43, 6))
def test_a_line_that_was_cut_off_is_not_read(kept: int) -> None:
    store = Store()
    store.add(count("a_total"))
    end = store._end
    store.add(count("b_total"))
    block = bytearray(store._block)
    block[end + kept : TEXT_BYTES] = bytes(TEXT_BYTES - end - kept)
    assert [one.series.name for one in read(memoryview(block))] == ["a_total"]


def test_histograms_with_other_edges_add_up_at_the_edges_they_share() -> None:
    one = Reading(
        Series("histogram", "h", "Help.", edges=(1.0, 2.0)), [3.0], 50.0, {1.0: 1, 2.0: 2, float("inf"): 3}
    )
    other = Reading(Series("histogram", "h", "Help.", edges=(1.5, 2.0)), [4.0], 40.0, {1.5: 10, 2.0: 20})
    [both] = total([([one], True), ([other], False)])
    assert (both.value, both.created) == (7.0, 40.0)
    assert both.buckets == {1.0: 1, 1.5: 10, 2.0: 22, float("inf"): 3}


def test_a_reading_survives_json() -> None:
    store = Store()
    first = store.add(Series("histogram", "h", "Help.", 'x="1"', (-1.0, 0.1), signed=True))
    store.cells[first + 3] += 2
    [reading] = store.read()
    assert Reading.from_json(orjson.loads(orjson.dumps(reading.to_json()))) == reading


# ------------------------------------------------------------------------------------------------ a folder


def test_workers_that_register_in_another_order_add_up(start: Callable[[], Worker]) -> None:
    one, other = start(), start()
    one.add(count("a_total"), 1)
    one.add(count("b_total"), 10)
    other.add(count("b_total"), 20)
    other.add(count("a_total"), 2)
    assert sums(one.folder) == sums(other.folder) == {"a_total{}": 3, "b_total{}": 30}


def test_what_was_counted_before_joining_is_kept(tmp_path: Path) -> None:
    store, folder = Store(), Folder(tmp_path)
    counter = Counter(store, count())
    counter.add(4)
    folder.join(store)
    counter.add()
    assert sums(folder) == {"a_total{}": 5}
    folder.leave()


def test_gauges_are_those_of_the_living_and_counters_those_of_all(start: Callable[[], Worker]) -> None:
    gauge, least = Series("gauge", "g", "Help."), Series("least", "l", "Help.")
    one, other = start(), start()
    for number, worker in enumerate((one, other), start=1):
        worker.add(count(), number)
        worker.add(gauge, number)
        worker.add(least, number)
    assert sums(one.folder) == {"a_total{}": 3, "g{}": 3, "l{}": 1}
    one.die()
    assert sums(other.folder) == {"a_total{}": 3, "g{}": 2, "l{}": 2}


def test_files_of_dead_workers_are_folded_when_there_are_more_than_a_few(
    tmp_path: Path, start: Callable[[], Worker]
) -> None:
    for expected in (*range(1, DEAD_FILES + 2), 1, 2):
        worker = start()
        assert len(files(tmp_path)) == expected
        worker.add(count())
        worker.die()
    assert sums(worker.folder) == {"a_total{}": DEAD_FILES + 3}


def test_files_of_the_living_are_never_folded(tmp_path: Path, start: Callable[[], Worker]) -> None:
    living = [start() for _ in range(DEAD_FILES + 3)]
    assert len(files(tmp_path)) == len(living)
    assert not (tmp_path / FOLDED).exists()


def folded_halfway(path: Path) -> Folder:
    """A folder as it is when the one who folds is killed before it deletes what it folded."""
    for number in range(DEAD_FILES + 1):
        worker = Worker(path)
        worker.add(count(), 10**number)
        worker.die()
    kept = path.with_name("kept")
    shutil.copytree(path, kept)
    Worker(path).die()  # folds
    for file in files(kept):
        shutil.copy(file, path)
    return Folder(path)


def test_a_kill_while_folding_counts_nothing_twice(tmp_path: Path) -> None:
    folder = folded_halfway(tmp_path / "counts")
    assert sums(folder) == {"a_total{}": 11_111}


def test_the_next_worker_clears_up_after_a_kill(tmp_path: Path) -> None:
    folded_halfway(tmp_path / "counts")
    (tmp_path / "counts" / "17-ab.new").write_bytes(b"half")
    (tmp_path / "counts" / f"{FOLDED}.new").write_bytes(b"half")
    worker = Worker(tmp_path / "counts")
    assert sums(worker.folder) == {"a_total{}": 11_111}
    assert not list((tmp_path / "counts").glob("*.new"))
    worker.die()
    assert len(files(tmp_path / "counts")) == 2  # this worker's, and that of the one that folded


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(0, 9), st.integers(0, 4), st.floats(0, 1e6)),
        st.tuples(st.just("kill"), st.integers(0, 9)),
        st.tuples(st.just("start")),
    ),
    max_size=60,
)


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_whatever_is_counted_and_killed_the_sums_are_exact_and_never_fall(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    path = tmp_path_factory.mktemp("counts")
    living = [Worker(path)]
    ever = [*living]  # kept, so that no id is given twice
    counted: defaultdict[str, Tally[int]] = defaultdict(
        Tally
    )  # by series and worker, whether it lives or not
    for what, *numbers in steps:
        if what == "start" or not living:
            living.append(Worker(path))
            ever.append(living[-1])
        elif what == "kill":
            living.pop(numbers[0] % len(living)).die()
        else:
            which, series, n = numbers
            worker = living[which % len(living)]
            worker.add(count(labels=f's="{series}"'), n)
            counted[f'a_total{{s="{series}"}}'][id(worker.store)] += n
        assert sums(Folder(path)) == {name: math.fsum(each.values()) for name, each in counted.items()}
    for worker in living:
        worker.die()
    shutil.rmtree(path)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20))
def test_condensed_values_have_exactly_the_same_sum(values: list[float]) -> None:
    kept = condensed(values)
    assert sum(map(Fraction, kept)) == sum(map(Fraction, values))
    assert math.fsum(kept) == math.fsum(values)


def test_many_deaths_do_not_make_the_folded_file_grow(start: Callable[[], Worker], tmp_path: Path) -> None:
    sizes = []
    for number in range(60):
        worker = start()
        worker.add(count(), 0.1 * number)
        worker.die()
        sizes += [(tmp_path / FOLDED).stat().st_size] if (tmp_path / FOLDED).exists() else []
    assert max(sizes) - min(sizes) < 60


# -------------------------------------------------------------------------------------- metrics in a folder


def test_a_process_that_only_imports_is_no_worker(tmp_path: Path) -> None:
    Metrics(folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceError, match="FAIRLEAD_METRICS_FOLDER cannot be used"):
        Metrics(folder=tmp_path / "file").open()


TOO_LARGE = """
import resource, signal, sys
from pathlib import Path
from fairlead.serve.metrics.counters import Store
from fairlead.serve.metrics.workers import Folder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
Folder(Path(sys.argv[1])).join(Store())
"""


def test_a_file_that_cannot_be_written_in_full_raises_and_is_not_left_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TOO_LARGE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "OSError: [Errno 27]" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


class Full(Folder):
    """A folder on a disk that is full."""

    def join(self, store: Store) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_on_a_full_disk_a_worker_serves_and_counts_apart(
    tmp_path: Path, start: Callable[[], Worker], caplog: pytest.LogCaptureFixture
) -> None:
    other = start()
    other.add(count(), 3)
    apart = Metrics()
    apart._folder = Full(tmp_path)
    apart.open()
    apart.counter("a_total", "Help.").add(4)
    assert series(apart, "a_total") == "a_total 7"
    assert sums(other.folder) == {"a_total{}": 3}
    assert "No space left" in caplog.text


def test_the_pod_is_ready_if_all_its_workers_are(tmp_path: Path) -> None:
    one, other = Metrics(folder=tmp_path), Metrics(folder=tmp_path)
    for metrics in (one, other):
        metrics.open()
    one.ready = True
    assert "\nfairlead_ready 0\n" in one.render()[0].decode()
    other.ready = True
    assert "\nfairlead_ready 1\n" in one.render()[0].decode()
    one.ready = False
    one.close()
    assert "\nfairlead_ready 1\n" in other.render()[0].decode()
    other.close()


def series(metrics: Metrics, name: str) -> str:
    [line] = [line for line in metrics.render()[0].decode().splitlines() if line.startswith(name)]
    return line


def test_the_start_is_that_of_the_oldest_living_worker_whoever_is_asked(tmp_path: Path) -> None:
    one, other = Metrics(folder=tmp_path), Metrics(folder=tmp_path)
    first = series(one, "process_start_time_seconds")
    second = series(other, "process_start_time_seconds")
    for metrics in (one, other):
        metrics.open()
    assert series(one, "process_start") == series(other, "process_start") == first
    assert series(one, "fairlead_pod_info") == series(other, "fairlead_pod_info")
    one.close()
    assert series(other, "process_start") == second > first
    other.close()


def test_each_start_of_a_worker_is_counted_once(tmp_path: Path) -> None:
    for number in range(1, DEAD_FILES + 4):
        metrics = Metrics(folder=tmp_path)
        metrics.open()
        assert series(metrics, "fairlead_worker_starts_total").endswith(f" {number}")
        metrics.close()


def test_gauges_of_other_workers_are_read_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.serve.metrics.registry.REFRESH_SECONDS", 0.01)
    one, other = Metrics(folder=tmp_path), Metrics(folder=tmp_path)
    read = threading.Event()

    def waiting() -> float:
        read.set()
        return 7.0

    one.gauge("fairlead_queue", "What waits.", waiting)
    for metrics in (one, other):
        metrics.open()
    assert read.wait(5)
    one._closed.set()
    one._refresh()
    assert series(other, "fairlead_queue") == "fairlead_queue 7"
    one.close()
    other.close()


def test_a_file_is_as_large_as_it_says(tmp_path: Path, start: Callable[[], Worker]) -> None:
    start()
    assert [path.stat().st_size for path in files(tmp_path)] == [SIZE]
