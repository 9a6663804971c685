"""The second half of ``fairlead demo``: a good version is released, a bad one is taken back, under steady traffic."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from fairlead.cli.options import Place
from fairlead.cli.show import say

RATE = 150.0
"""Requests a second: two processors share them with three servers and the sender."""
PLAN = """
release:                        # for a demonstration: short looks, a wide margin, two steps
  profile: demo
  steps: [10, 50]
  guards: {errors: {margin: {ratio: 1.25, add: 0.01}}}
"""
GOOD = (("fairlead.yaml", "\nrelease:", "\nserve: {objective: {p99_ms: 40}}\n\nrelease:"),)
"""File, text and what takes its place: the same model promises to be quicker. Any change of a bundle is released like this."""
BAD = (
    (
        "contract.yaml",
        "values: [DE, CZ, AT, HU], case: upper, unknown: other",
        "values: [DE, CZ, AT], case: upper",
    ),
    ("fairlead.yaml", "    - {metric: roc_auc, not_worse_than: champion, margin: 0.005}\n", ""),
)
"""The contract has lost a country, whose customers are refused; and the gate is gone that compares with the champion."""
ENDED_SECONDS = 180.0
"""For a release to end."""


def release_two_versions(place: Place) -> None:
    """Serve by two slots, train two more versions, and release one after the other."""
    from fairlead.local.traffic import Traffic

    with serving_releases(place) as port, Traffic("127.0.0.1", port, live_rows(place), RATE) as traffic:
        say("a version that promises 40 ms in place of 50:")
        _train_and_release(place, GOOD)
        answered = dict(traffic.statuses)
        say(
            "\na version whose contract has lost a country, and with the gate taken out that would have said so:"
        )
        _train_and_release(place, BAD)
    say(f"\nanswers while the good one was released: {_counted(answered)}")
    say(
        f"answers in all: {_counted(traffic.statuses)}  (422: rows that no version takes, and what the bad one refused)"
    )


def _train_and_release(place: Place, changes: Sequence[tuple[str, str, str]]) -> None:
    from fairlead.cli.release import candidate_of, one_line, release_of

    for file, before, after in changes:
        path = place.root / file
        path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    _train(place)
    release, started, shown = release_of(place), time.monotonic(), ""
    candidate = candidate_of(place, "challenger")
    release.desire(candidate)
    while time.monotonic() - started < ENDED_SECONDS:
        journal = release.journal()
        if (line := one_line(journal)) != shown:
            shown = line
            say(f"  {time.monotonic() - started:5.1f} s  {line}")
        ended = journal.live_revision() if journal.failure is None else journal.failure.revision
        if journal.release is None and ended == candidate.revision:
            say(f"  {journal.outcomes[-1].what.value}: {journal.outcomes[-1].why}")
            return
        time.sleep(0.25)
    say(f"  not ended after {ENDED_SECONDS:.0f} s; `fairlead release status -C {place.root}` says why")


def _train(place: Place) -> None:
    """``fairlead run``, as a command of its own: what it says goes to a file.

    Raises:
        ServiceError: It failed.
    """
    from fairlead.errors import ServiceError

    started, log = time.monotonic(), place.state / "demo-run.log"
    with log.open("wb") as output:
        done = subprocess.run(
            [_program(), "run", "-C", str(place.root)],
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        raise ServiceError(
            f"the run ended with exit code {done.returncode}", hint=f"Its last words are in {log}."
        )
    say(f"  trained, judged by its gates and registered in {time.monotonic() - started:.0f} s")


@contextmanager
def serving_releases(place: Place) -> Iterator[int]:
    """``fairlead serve --releases`` for as long as the context lasts; gives its port.

    Raises:
        ServiceError: It is not ready within a minute.
    """
    from fairlead.adapters.bentos import free_port, wait_until_ready

    port, log = free_port(), place.state / "serving.log"
    command = [
        sys.executable,
        "-m",
        "fairlead.cli.main",
        "serve",
        "--releases",
        "-C",
        str(place.root),
        "--port",
        str(port),
    ]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", server, log, 60.0)
        say(f"two slots behind http://127.0.0.1:{port}, {RATE:g} requests a second")
        yield port
    finally:
        server.terminate()
        server.wait(60)


def _program() -> str:
    """The command line that is installed with this interpreter."""
    return str(Path(sys.executable).with_name("fairlead"))


def live_rows(place: Place, most: int = 2000) -> list[dict[str, Any]]:
    """Rows as callers send them: the newest transactions, as far as the served schema knows their fields."""
    import pyarrow.parquet as pq

    from fairlead.cli.serve import bundle_folder

    examples = bundle_folder(place, None) / "attestations" / "examples.json"
    names = list(json.loads(examples.read_text(encoding="utf-8"))["rows"][0])
    newest = max((place.root / place.project().data.source.uri).glob("*.parquet"))
    rows = pq.read_table(newest, columns=names).slice(0, most).to_pylist()
    return [{name: _plain(value) for name, value in row.items() if value is not None} for row in rows]


def add_plan(root: Path) -> None:
    """Write how to release into the project file, once."""
    file = root / "fairlead.yaml"
    text = file.read_text(encoding="utf-8")
    if "\nrelease:" not in text:
        file.write_text(text + PLAN, encoding="utf-8")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _counted(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} × {status}" for status, count in sorted(statuses.items()))
