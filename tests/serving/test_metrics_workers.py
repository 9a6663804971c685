"""Real worker processes that count in one folder, are killed, and are asked while they count."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fairlead.serve.metrics.workers import FOLDED

ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}

WORKER = '''
"""Counts as fast as it can, and answers each line of standard input with a scrape. It notes what it has counted."""
import mmap, os, sys, threading, time
from pathlib import Path
from fairlead.serve.metrics.registry import Metrics

folder, journal = map(Path, sys.argv[1:])
journal.write_bytes(bytes(16))
with journal.open("r+b") as file:
    noted = memoryview(mmap.mmap(file.fileno(), 16)).cast("Q")
metrics = Metrics(folder=folder)
metrics.open()
metrics.ready = True
going = threading.Event()
going.set()


def count():
    number = 0
    while going.is_set():
        number += 1
        noted[0] = number
        metrics.observe("/predict", "live", 200 if number % 10 else 503, 0.001 * (number % 100))
        noted[1] = number
        if number % 100 == 0:
            time.sleep(0.001)  # or the test would be about the machine


thread = threading.Thread(target=count, daemon=True)
thread.start()
for line in sys.stdin:
    if line == "stop\\n":
        going.clear()
        thread.join()
    sys.stdout.write(metrics.render()[0].decode() + "# done\\n")
    sys.stdout.flush()
os._exit(0)
'''

Counts = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass
class Worker:
    """A worker process and its note of what it counted."""

    process: subprocess.Popen[str]
    journal: Path

    def ask(self, what: str = "scrape") -> Counts:
        """All series that this worker answers with."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        lines = list(
            takewhile(lambda line: line != "# done\n", self.process.stdout)
        )  # ends if the process does
        return {
            (one.name, frozenset(one.labels.items())): one.value
            for family in text_string_to_metric_families("".join(lines))
            for one in family.samples
        }

    def counted(self) -> tuple[int, int]:
        """How many observations it had begun, and how many it had ended."""
        begun, ended = memoryview(self.journal.read_bytes()).cast("Q").tolist()
        return begun, ended


class Workers:
    """All of a test's workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all: list[Worker] = []

    def start(self) -> Worker:
        journal = self._folder / f"journal-{len(self.all)}"
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(self._folder / "counts"), str(journal)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.all.append(Worker(process, journal))
        return self.all[-1]


pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    found = Workers(tmp_path)
    yield found
    for worker in found.all:
        worker.process.kill()
        worker.process.communicate()


def requests(counts: Counts, name: str = "fairlead_requests_total") -> float:
    return sum(value for (named, _), value in counts.items() if named == name)


def is_count(name: str) -> bool:
    return name.endswith(("_total", "_bucket", "_count", "_sum"))


def falls(before: Counts, after: Counts) -> list[str]:
    return [
        f"{key}: {value} to {after.get(key)}"
        for key, value in before.items()
        if is_count(key[0]) and after.get(key, -1.0) < value
    ]


def test_no_counter_falls_and_none_is_lost_when_workers_are_killed_under_load(
    workers: Workers, tmp_path: Path
) -> None:
    serving = [workers.start() for _ in range(3)]
    counts = serving[0].ask()
    for scrape in range(100):
        if scrape % 16 == 6:  # six times, so that files of dead workers are folded on the way
            victim = serving.pop(scrape % 3)
            victim.process.kill()
            victim.process.wait()
            serving.append(workers.start())
        now = serving[scrape % 3].ask()
        assert falls(counts, now) == []
        counts = now
    assert (tmp_path / "counts" / FOLDED).exists()
    for worker in serving:
        worker.ask("stop")
    answers = {requests(worker.ask()) for worker in serving}
    begun, ended = map(sum, zip(*(worker.counted() for worker in workers.all), strict=True))
    assert len(answers) == 1
    assert ended <= min(answers) <= begun  # equal, but for a worker that was killed between count and note
    assert begun - ended <= 6
    assert ended > 10_000


def test_gauges_are_those_of_the_living(workers: Workers) -> None:
    one, other = workers.start(), workers.start()
    other.ask()
    ready = ("fairlead_ready", frozenset[tuple[str, str]]())
    memory = ("process_resident_memory_bytes", frozenset[tuple[str, str]]())
    both = one.ask()
    assert both[ready] == 1
    other.process.kill()
    other.process.wait()
    alone = one.ask()
    assert alone[ready] == 1
    assert alone[memory] < 0.8 * both[memory]


def test_workers_that_start_and_scrape_at_once_agree(workers: Workers) -> None:
    started = [workers.start() for _ in range(4)]
    for worker in started:
        worker.ask("stop")
    answers = {requests(worker.ask(), "fairlead_request_seconds_count") for worker in started}
    assert len(answers) == 1
    starts = {requests(worker.ask(), "fairlead_worker_starts_total") for worker in started}
    assert starts == {4}


# --------------------------------------------------------------------------------------------- whole servers


class Load:
    """Requests to several servers, one after the other, until it is told to stop."""

    def __init__(self, urls: list[str]) -> None:
        self.urls = urls
        self.answered = 0
        self.lost = 0
        self._going = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with httpx.Client(timeout=10) as client:
            while self._going:
                time.sleep(0.005)  # or the test would be about the machine
                for url in list(self.urls):
                    try:
                        self.answered += (
                            client.post(f"{url}/predict", json={"rows": [ROW]}).status_code == 200
                        )
                    except httpx.TransportError:
                        self.lost += 1  # the server was killed: the request may have been counted

    def stop(self) -> None:
        self._going = False
        self._thread.join()


def scraped(url: str) -> Counts:
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=10).text)
    return {
        (one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples
    }


def predictions(counts: Counts) -> float:
    wanted = {("endpoint", "/predict"), ("code", "200")}
    return sum(
        v for (name, labels), v in counts.items() if name.endswith("requests_total") and wanted <= labels
    )


def test_servers_of_a_pod_answer_with_its_sums_while_one_is_killed(
    serve: Callable[..., Any], fraud_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRLEAD_METRICS_FOLDER", str(tmp_path / "counts"))
    servers = [serve(fraud_folder) for _ in range(3)]
    load = Load([server.url for server in servers])
    try:
        counts: Counts = {}
        for scrape in range(100):
            if scrape == 50:
                victim = servers.pop(1)
                load.urls.remove(victim.url)
                victim.process.kill()
                victim.process.wait()
            now = scraped(servers[scrape % len(servers)].url)
            assert falls(counts, now) == []
            counts = now
    finally:
        load.stop()
    sums = {predictions(scraped(server.url)) for server in servers}
    assert len(sums) == 1
    assert load.answered <= min(sums) <= load.answered + load.lost
    assert load.answered > 50
