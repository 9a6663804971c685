"""The prediction log: what is written, what is not, and that no request ever waits for it or fails because of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead.errors import ProjectError
from fairlead.monitor.segments import Seen, read_lines
from fairlead.serve.environment import Environment
from fairlead.serve.http import Answer, Request, Scored
from fairlead.serve.log.files import SegmentName, finish_dead, keep_within, writers
from fairlead.serve.log.prediction_log import LogSettings, PredictionLog
from fairlead.serve.log.privacy import Hasher, Privacy, subject_hasher
from fairlead.serve.log.records import Recorder
from fairlead.serve.log.writer import Bounds
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.rules import LogRules

WHO = {"slot": "blue", "bundle": "3f3f3f3f3f3f3f3f", "pod": "fraud-0"}
SALT = b"0123456789abcdef"
KEEP = LogRules(inputs={"amount": "keep", "country": "keep"})
ROW = {"amount": 12.5, "country": "DE"}
Start = Callable[..., PredictionLog]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def start(tmp_path: Path, metrics: Metrics) -> Iterator[Start]:
    """A log that writes to ``tmp_path/log`` at once; closed at the end."""
    logs: list[PredictionLog] = []

    def made(rules: LogRules = KEEP, fields: Collection[str] = (), **settings: Any) -> PredictionLog:
        usual = {"folder": tmp_path / "log", "wake_seconds": 0.005}
        log = PredictionLog(LogSettings(**usual | settings), rules, WHO, metrics, fields)
        logs.append(log)
        log.start()
        return log

    yield made
    for log in logs:
        log.close(1.0)


def ask(
    log: PredictionLog,
    identity: str = "a",
    rows: Any = (ROW,),
    at: float = 1.0,
    indent: int | None = None,
    **request: Any,
) -> None:
    """What the app tells the log after an answer."""
    body = json.dumps({"rows": list(rows)}, default=str, indent=indent).encode()
    scored = Scored(list(rows), np.tile([0.25, 0.75], (len(rows), 1)), body)
    log.observe(
        Request(body, [], identity, **request), "/predict", Answer(200, b"", scored=scored), at, 0.002
    )


def records(folder: Path) -> list[dict[str, Any]]:
    """All finished records, in order."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [dict(record) for record in read_lines(lines).records]


def logged(folder: Path, kind: str = "prediction") -> list[dict[str, Any]]:
    return [record for record in records(folder) if record["kind"] == kind]


def dropped(metrics: Metrics) -> Counter[str]:
    """Counts of ``fairlead_log_dropped_total`` by reason."""
    found: Counter[str] = Counter()
    for line in metrics.render()[0].decode().splitlines():
        if line.startswith("fairlead_log_dropped_total{"):
            reason = line.split('reason="')[1].split('"')[0]
            found[reason] += int(float(line.rsplit(" ", 1)[1]))
    return +found


def wait_until(true: Callable[[], Any], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


# ------------------------------------------------------------------------------------------------ records


WHOLE = {
    "every field is kept": (KEEP, ROW, None, True),
    "a field is dropped": (LogRules(inputs={"amount": "keep", "country": "drop"}), ROW, None, False),
    "a field has no rule": (LogRules(inputs={"amount": "keep"}), ROW, None, False),
    "inputs are not logged": (LogRules(), ROW, None, False),
    "rows are found by a subject": (LogRules(inputs=KEEP.inputs, subject="country"), ROW, None, False),
    "the body has line breaks": (KEEP, ROW, 1, False),
    "a text has a line break": (KEEP, {"country": "D\nE"}, None, True),
}


@pytest.mark.parametrize(("rules", "row", "indent", "whole"), WHOLE.values(), ids=WHOLE)
def test_a_body_is_kept_as_it_came_only_where_all_of_it_may_be_kept(
    start: Start, tmp_path: Path, rules: LogRules, row: dict[str, Any], indent: int | None, whole: bool
) -> None:
    log, apart = start(rules, ("amount", "country"), salt=SALT), start(rules, salt=SALT)
    ask(log, rows=[row] * 2, indent=indent)
    ask(apart, rows=[row] * 2, indent=indent)
    log.close()
    apart.close()
    lines = b"".join(path.read_bytes() for path in (tmp_path / "log").glob("*.jsonl"))
    assert lines.count(b'"asked":') == whole
    first, second = logged(tmp_path / "log")
    assert first["rows"] == second["rows"]  # the reader puts both into one form


def test_a_request_is_one_record_with_who_when_what_and_how_long(start: Start, tmp_path: Path) -> None:
    log = start()
    ask(log, "id-1", [ROW, {"amount": 3.0, "country": "AT"}], at=1795327971.5)
    log.close()
    assert logged(tmp_path / "log") == [{
        "kind": "prediction", "id": "id-1", "pod": "fraud-0", "epoch": log.epoch, "seq": 1, "at": 1795327971.5,
        "slot": "blue", "bundle": "3f3f3f3f3f3f3f3f", "route": "live", "seconds": 0.002,
        "rows": [
            {"inputs": {"amount": 12.5, "country": "DE"}, "answer": [0.25, 0.75]},
            {"inputs": {"amount": 3.0, "country": "AT"}, "answer": [0.25, 0.75]},
        ],
    }]  # fmt: skip


def test_numbers_are_counted_from_one_and_the_last_record_says_how_many(start: Start, tmp_path: Path) -> None:
    log = start()
    for number in range(5):
        ask(log, str(number))
    log.close()
    found = records(tmp_path / "log")
    assert [record["seq"] for record in found if record["kind"] == "prediction"] == [1, 2, 3, 4, 5]
    assert [(record["event"], record["seq"]) for record in found if record["kind"] == "worker"] == [
        ("begin", 0), ("end", 5)]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-11-22T06:12:51+00:00", 1795327971.0),
        ("2026-11-22T07:12:51+01:00", 1795327971.0),
        (1795327971, 1795327971.0),
    ],
    ids=["ISO", "ISO in another zone", "Unix time"],
)
def test_feedback_is_kept_with_its_time_in_seconds(
    start: Start, tmp_path: Path, given: object, kept: float
) -> None:
    log = start()
    assert log.feedback({"id": "a", "row": 2, "label": "yes", "at": given})
    log.close()
    [found] = logged(tmp_path / "log", "feedback")
    assert (found["id"], found["row"], found["label"], found["at"]) == ("a", 2, "yes", kept)


def test_feedback_without_a_time_became_known_when_it_came(start: Start, tmp_path: Path) -> None:
    log = start()
    log.feedback({"id": "a", "row": 0, "label": 3.5})
    log.close()
    [found] = logged(tmp_path / "log", "feedback")
    assert found["at"] == found["received"]


def test_a_pair_is_kept_as_the_shadow_says_it(start: Start, tmp_path: Path) -> None:
    log = start()
    log.pair(
        {"kind": "pair", "id": "a", "at": 5.0, "answers": [[0.1]], "other_answers": None, "flipped": None}
    )
    log.close()
    [found] = logged(tmp_path / "log", "pair")
    assert (found["seq"], found["at"], found["answers"], found["pod"]) == (1, 5.0, [[0.1]], "fraud-0")


def test_what_a_shadow_asked_is_not_logged(start: Start, tmp_path: Path) -> None:
    log = start()
    ask(log, route="shadow")
    ask(log, "b", route="preview")
    log.close()
    assert [(record["id"], record["seq"]) for record in logged(tmp_path / "log")] == [("b", 1)]


# ------------------------------------------------------------------------------------------------ privacy


@pytest.mark.parametrize(
    ("rules", "salt", "kept"),
    [
        (None, SALT, None),
        ({}, SALT, {}),
        ({"amount": "keep"}, None, {"amount": 5.0}),
        ({"amount": "drop", "card": "keep"}, None, {"card": "1234"}),
        ({"card": "hash"}, SALT, {"card": Hasher(SALT, "card")("1234")}),
        ({"amount": "keep", "card": "hash"}, None, {"amount": 5.0}),
        ({"name": "hash"}, SALT, {"name": None}),
        ({"other": "keep"}, SALT, {}),
    ],
    ids=["no rules", "empty rules", "kept", "dropped", "hashed", "hash without salt", "missing value", "no such field"],
)  # fmt: skip
def test_inputs_are_what_the_rules_let(rules: Any, salt: bytes | None, kept: object) -> None:
    row = {"amount": 5.0, "card": "1234", "name": None}
    [found] = Privacy(LogRules(inputs=rules), salt).rows([row], [[0.5]])
    assert found.get("inputs") == kept


def test_equal_values_of_two_fields_have_different_hashes() -> None:
    assert Hasher(SALT, "sender")("4711") != Hasher(SALT, "receiver")("4711")


def test_another_salt_gives_another_hash() -> None:
    assert Hasher(SALT, "a")("4711") != Hasher(SALT + b"!", "a")("4711")


def test_a_subject_is_hashed_for_deletion_even_if_its_field_is_dropped() -> None:
    privacy = Privacy(LogRules(inputs={"card": "drop"}, subject="card"), SALT)
    [found] = privacy.rows([{"card": 1234}], [[0.5]])
    assert found == {"subject": subject_hasher(SALT)("1234"), "inputs": {}, "answer": [0.5]}


def test_what_cannot_be_hashed_is_said_at_the_start(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    start(LogRules(inputs={"card": "hash"}, subject="card"))
    assert "card is to be hashed, but there is no salt: it is dropped" in caplog.text
    assert "rows cannot be deleted by card" in caplog.text


def test_a_callers_name_is_only_kept_hashed(start: Start, tmp_path: Path) -> None:
    log = start(salt=SALT)
    ask(log, caller="eve@example.org")
    log.close()
    [found] = logged(tmp_path / "log")
    assert found["caller"] == Hasher(SALT, "caller")("eve@example.org")


def test_no_value_of_a_dropped_field_reaches_the_disk(start: Start, tmp_path: Path) -> None:
    log = start(
        LogRules(inputs={"amount": "keep", "name": "drop", "card": "hash"}, subject="card"), salt=SALT
    )
    ask(
        log,
        rows=[{"amount": 1.0, "name": "Eve Example", "card": "4111-1111", "more": "secret"}],
        caller="eve",
    )
    log.close()
    text = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir())
    assert [word for word in (b"Eve", b"4111", b"secret", b'"eve"') if word in text] == []


# ----------------------------------------------------------------------------------------------- settings


def test_without_a_folder_there_is_no_log() -> None:
    assert LogSettings.from_environment(Environment({})) is None


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "salt").write_bytes(SALT + b"\n")
    found = LogSettings.from_environment(Environment({
        "FAIRLEAD_LOG_FOLDER": "/var/log/fairlead", "FAIRLEAD_LOG_QUEUE": "7", "FAIRLEAD_LOG_RATE": "100",
        "FAIRLEAD_LOG_KEEP_BYTES": "1000", "FAIRLEAD_LOG_SALT_FILE": str(tmp_path / "salt"),
    }))  # fmt: skip
    assert found is not None
    assert (found.queue, found.rate, found.bounds.keep_bytes, found.salt) == (7, 100.0, 1000, SALT)


def test_a_salt_that_can_be_tried_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "salt").write_text("short\n")
    given = {"FAIRLEAD_LOG_FOLDER": "/x", "FAIRLEAD_LOG_SALT_FILE": str(tmp_path / "salt")}
    with pytest.raises(ProjectError, match="holds 5 bytes, but a salt has at least 16"):
        LogSettings.from_environment(Environment(given))


# --------------------------------------------------------------------------------------- what is left out


def test_a_full_queue_drops_counts_and_leaves_gaps(start: Start, tmp_path: Path, metrics: Metrics) -> None:
    log = start(queue=3, wake_seconds=60.0)
    for number in range(10):
        ask(log, str(number))
    log.close()
    assert dropped(metrics) == {"queue": 7}
    assert [(gap.first, gap.last) for gap in gaps_of(tmp_path / "log")] == [(4, 10)]


def test_the_queue_is_bounded_in_bytes_too(start: Start, tmp_path: Path, metrics: Metrics) -> None:
    log = start(queue_bytes=40_000, wake_seconds=60.0)
    for number in range(20):
        ask(log, str(number), [ROW] * 50)
    log.close()
    kept = logged(tmp_path / "log")
    assert dropped(metrics)["queue"] == 20 - len(kept) > 0
    assert 30_000 < sum(len(json.dumps(record, separators=(",", ":"))) for record in kept) < 40_000


def test_a_large_request_counts_by_its_body_until_its_line_is_made(
    start: Start, tmp_path: Path, metrics: Metrics
) -> None:
    log = start(queue_bytes=600_000, wake_seconds=60.0)
    for number in range(5):
        ask(
            log, str(number), [ROW] * 800
        )  # 240 kB of body and rows: too large to be made into a line at once
    log.close()
    assert [len(record["rows"]) for record in logged(tmp_path / "log")] == [800, 800]
    assert dropped(metrics) == {"queue": 3}


def test_a_record_larger_than_the_queue_is_kept_when_nothing_else_waits(start: Start, tmp_path: Path) -> None:
    log = start(queue_bytes=10, wake_seconds=60.0)
    ask(log)
    log.close()
    assert len(logged(tmp_path / "log")) == 1


def test_beyond_the_rate_records_are_dropped_and_counted(
    start: Start, tmp_path: Path, metrics: Metrics
) -> None:
    log = start(rate=10.0)
    for number in range(100):
        ask(log, str(number), at=1000.0 + number * 0.01)  # one second
    log.close()
    assert 10 <= len(logged(tmp_path / "log")) <= 20
    assert len(logged(tmp_path / "log")) + dropped(metrics)["rate"] == 100


def test_sampling_leaves_no_gap_and_draws_by_request(start: Start, tmp_path: Path) -> None:
    log = start(LogRules(sample=0.25))
    for number in range(2000):
        ask(log, f"request-{number}")
    log.close()
    found = logged(tmp_path / "log")
    assert 400 < len(found) < 600
    assert [record["seq"] for record in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize(
    "row",
    [{"amount": 2**70, "country": ""}, {"amount": 1.0, "country": "\ud800"}],
    ids=["integer", "surrogate"],
)
def test_a_row_that_is_no_json_is_one_lost_record(
    start: Start, tmp_path: Path, metrics: Metrics, row: dict[str, Any]
) -> None:
    log = start()
    ask(log, "a", [row])
    ask(log, "b")
    log.close()
    assert [record["id"] for record in logged(tmp_path / "log")] == ["b"]
    assert dropped(metrics) == {"encode": 1}


@pytest.mark.parametrize(
    "given", [{}, {"id": "a"}, {"id": "a", "label": 1, "row": "x"}, {"id": "a", "label": 1, "row": -1}]
)
def test_feedback_that_is_none_ends_nothing(
    start: Start, tmp_path: Path, metrics: Metrics, given: dict[str, Any]
) -> None:
    log = start()
    log.feedback(given)
    ask(log)
    log.close()
    assert dropped(metrics) == {"encode": 1}
    assert len(logged(tmp_path / "log")) == 1


def test_after_closing_records_are_counted_and_not_kept(start: Start, metrics: Metrics) -> None:
    log = start()
    log.close()
    assert not log.feedback({"id": "a", "label": 1})
    assert dropped(metrics) == {"closed": 1}


# ---------------------------------------------------------------------------------------------- segments


@pytest.mark.parametrize(
    "bounds", [Bounds(segment_bytes=600), Bounds(segment_seconds=0.02)], ids=["size", "age"]
)
def test_segments_are_finished_by(start: Start, tmp_path: Path, bounds: Bounds) -> None:
    log = start(bounds=bounds)
    for number in range(12):
        ask(log, str(number))
        time.sleep(0.01)
    log.close()
    names = sorted(path.name for path in (tmp_path / "log").iterdir())
    parsed = [SegmentName.parse(name) for name in names]
    assert len(names) > 2
    assert [name.first for name in parsed if name] == sorted(name.first for name in parsed if name)
    assert {(name.pod, name.epoch) for name in parsed if name} == {("fraud-0", log.epoch)}
    assert [record["seq"] for record in logged(tmp_path / "log")] == list(range(1, 13))


def test_an_unfinished_segment_does_not_look_like_a_finished_one(start: Start, tmp_path: Path) -> None:
    log = start()
    ask(log)
    wait_until(lambda: any(path.stat().st_size > 200 for path in (tmp_path / "log").glob("*.open")))
    assert not list((tmp_path / "log").glob("*.jsonl"))
    assert log.epoch


def test_the_oldest_segments_are_deleted_beyond_the_bound_and_counted(
    start: Start, tmp_path: Path, metrics: Metrics
) -> None:
    log = start(bounds=Bounds(segment_bytes=1, keep_bytes=1500))
    for number in range(30):
        ask(log, str(number))
        wait_until(lambda: not log._queue)
        time.sleep(0.006)
    log.close()
    kept = logged(tmp_path / "log")
    assert sum(path.stat().st_size for path in (tmp_path / "log").iterdir()) <= 1500
    assert [record["seq"] for record in kept] == list(range(31 - len(kept), 31))
    assert dropped(metrics)["kept"] == 30 - len(kept) + 1  # and the record of the worker's begin


def test_keeping_within_a_bound_counts_lines(tmp_path: Path) -> None:
    for number, lines in enumerate((3, 2, 1)):
        (tmp_path / SegmentName(1e9 + number, "p", "e", number).text(".jsonl")).write_bytes(
            b"12345678\n" * lines
        )
    assert keep_within(tmp_path, 27) == 3
    assert len(list(tmp_path.iterdir())) == 2


# ----------------------------------------------------------------------------------------- a disk in trouble


def test_a_folder_that_cannot_be_made_stops_no_request_and_is_tried_again(
    start: Start, tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.serve.log.prediction_log._RETRY_SECONDS", 0.01)
    (tmp_path / "log").write_text("a file where the folder should be")
    log = start(queue=4)
    for number in range(10):
        ask(log, str(number))
    wait_until(lambda: dropped(metrics)["disk"] == 6)
    (tmp_path / "log").unlink()
    wait_until(lambda: not log._queue)
    log.close()
    assert [record["seq"] for record in logged(tmp_path / "log")] == [1, 2, 3, 4]
    assert [(gap.first, gap.last) for gap in gaps_of(tmp_path / "log")] == [(5, 10)]


FULL_DISK = """
import resource, sys, time
from pathlib import Path
import fairlead.serve.log.prediction_log as module
from tests.serving.test_prediction_log import ask, KEEP, WHO, dropped
from fairlead.serve.metrics.registry import Metrics
module._RETRY_SECONDS = 0.01
metrics = Metrics()
log = module.PredictionLog(module.LogSettings(folder=Path(sys.argv[1]), wake_seconds=0.005), KEEP, WHO, metrics)
log.start()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
slowest = 0.0
for number in range(3000):
    began = time.perf_counter()
    ask(log, str(number))
    slowest = max(slowest, time.perf_counter() - began)
    if number % 100 == 0:
        time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.close(20)
print(sum(dropped(metrics).values()), slowest)
"""


def test_files_that_may_not_grow_lose_nothing_and_break_no_line(tmp_path: Path) -> None:
    """RLIMIT_FSIZE: a write past 20 kB fails with EFBIG in the middle of a line, as on a full disk."""
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), "20000"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lost = int(ran.stdout.split()[0])
    reading = read_lines(line for path in tmp_path.glob("*.jsonl") for line in path.read_bytes().splitlines())
    numbers = sorted(record["seq"] for record in reading.records if record["kind"] == "prediction")
    assert reading.torn == 0
    assert len(numbers) == len(set(numbers)) == 3000 - lost
    assert lost == 0


def test_a_full_disk_is_waited_for(tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tmpfs of 256 kB, really full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)], capture_output=True, check=False
    ).returncode:
        pytest.skip("no right to mount a small tmpfs")
    monkeypatch.setattr("fairlead.serve.log.prediction_log._RETRY_SECONDS", 0.01)
    try:
        (disk / "ballast").write_bytes(b"x" * 160_000)
        log = PredictionLog(LogSettings(disk / "log", wake_seconds=0.005, queue=500), KEEP, WHO, metrics)
        log.start()
        for number in range(3000):
            ask(log, str(number))
            if number % 50 == 0:
                time.sleep(0.002)
        wait_until(lambda: dropped(metrics)["disk"] > 0)
        (disk / "ballast").unlink()
        wait_until(lambda: not log._queue)
        ask(log, "after")
        log.close(10)
        found = logged(disk / "log")
        assert found[-1]["id"] == "after"
        assert len(found) + sum(dropped(metrics).values()) == 3001
        assert sum(gap.records for gap in gaps_of(disk / "log")) == sum(dropped(metrics).values())
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_folder_that_is_removed_under_the_writer_is_made_again(
    start: Start, tmp_path: Path, metrics: Metrics
) -> None:
    import shutil

    log = start(bounds=Bounds(segment_seconds=0.03))
    ask(log, "a")
    wait_until(lambda: not log._queue)
    shutil.rmtree(tmp_path / "log")
    wait_until(lambda: dropped(metrics)["removed"])
    ask(log, "b")
    log.close()
    assert [record["id"] for record in logged(tmp_path / "log")] == ["b"]


# --------------------------------------------------------------------------------------------------- kills

WRITER = """
import sys, time
from pathlib import Path
from fairlead.serve.log.writer import Bounds
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.log.prediction_log import LogSettings, PredictionLog
from tests.serving.test_prediction_log import ask, KEEP, WHO
bounds = Bounds(segment_bytes=20_000, segment_seconds=0.05)
log = PredictionLog(LogSettings(Path(sys.argv[1]), wake_seconds=0.002, bounds=bounds), KEEP, WHO, Metrics())
log.start()
number = 0
while True:
    number += 1
    ask(log, str(number))
    print(number, flush=True)
"""


def gaps_of(folder: Path) -> list[Any]:
    seen = Seen()
    for record in records(folder):
        if record["kind"] == "worker":
            seen.event(record["pod"], record["epoch"], record["event"], record["seq"])
        else:
            seen.add(record["pod"], record["epoch"], record["seq"])
    return seen.gaps()


def killed_writer(folder: Path, after: float) -> int:
    """Kill -9 a process that logs as fast as it can; the last request it had logged for sure."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()  # it runs
        time.sleep(after)
        os.kill(process.pid, signal.SIGKILL)
        said = (first + process.stdout.read()).splitlines()
    return int(said[-1] if len(said) == 1 or said[-1] else said[-2])


def test_of_a_killed_writer_nothing_is_lost_but_what_the_gaps_say(tmp_path: Path) -> None:
    drawn = random.Random(7)
    for kill in range(4):
        folder = tmp_path / str(kill)
        given_out = killed_writer(folder, drawn.uniform(0.0, 0.4))
        assert writers(folder) == 0
        finish_dead(folder)
        assert {path.suffix for path in folder.iterdir()} == {".jsonl"}
        numbers = {record["seq"] for record in logged(folder)}
        missing = {number for gap in gaps_of(folder) for number in range(gap.first, gap.last + 1)}
        last = max(numbers | missing)
        assert numbers | missing == set(range(1, last + 1))
        assert not numbers & missing
        assert last - given_out in (0, 1), "what was given out last is known to the record"


def test_the_next_worker_finishes_what_a_killed_one_left(start: Start, tmp_path: Path) -> None:
    killed_writer(tmp_path / "log", 0.1)
    assert list((tmp_path / "log").glob("*.worker"))
    start().close()
    assert {path.suffix for path in (tmp_path / "log").iterdir()} == {".jsonl"}
    events = Counter(record["event"] for record in records(tmp_path / "log") if record["kind"] == "worker")
    assert events == {"begin": 2, "killed": 1, "end": 1}


def test_a_living_writers_segment_is_left_alone(start: Start, tmp_path: Path) -> None:
    log = start()
    ask(log)
    wait_until(lambda: not log._queue)
    folder = str(tmp_path / "log")
    script = f"from pathlib import Path; from fairlead.serve.log.files import *; print(finish_dead(Path({folder!r})))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "0"
    assert len(list((tmp_path / "log").glob("*.open"))) == 1


@pytest.mark.parametrize(
    "torn", [b"", b'{"kind": "prediction", "seq": 2, "id', b'{"kind"'], ids=["whole", "torn", "short"]
)
def test_a_torn_last_line_costs_one_record(tmp_path: Path, torn: bytes) -> None:
    line = b'{"kind": "prediction", "pod": "p", "epoch": "e", "seq": 1, "rows": []}\n'
    (tmp_path / SegmentName(1e9, "p", "e1", 1).text(".open")).write_bytes(line + torn)
    (tmp_path / "p_e1.worker").write_bytes((2).to_bytes(8, "little"))
    assert finish_dead(tmp_path) == 1
    [path] = tmp_path.iterdir()
    reading = read_lines(path.read_bytes().splitlines())
    assert [record["seq"] for record in reading.records] == [1, 2]
    assert reading.torn == bool(torn)


def test_a_record_names_the_trace_of_its_request() -> None:
    recorder = Recorder({"pod": "p", "epoch": "e", "slot": "", "bundle": "b"}, Privacy(LogRules(), None))
    parent = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    made = [
        recorder.prediction(1, 0.0, "a", "live", "", Scored([{}], np.zeros((1, 1))), 0.1, headers)
        for headers in ([parent], [])
    ]

    assert [record.get("trace") for record in made] == ["0af7651916cd43dd8448eb211c80319c", None]
