"""``fairlead log``: ship, show, forget, as a person and as a sidecar calls them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fairlead.serve.http import Answer, Request, Scored
from fairlead.serve.log.prediction_log import LogSettings, PredictionLog
from fairlead.serve.metrics.registry import Metrics
from fairlead.serve.rules import LogRules

SALT = b"0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A prediction log of ten requests of two people, with a label for one."""
    log = started_log(tmp_path / "log")
    for number in range(10):
        ask(log, number)
    log.feedback({"id": "request-3", "row": 0, "label": "yes"})
    log.close()
    return tmp_path / "log"


def started_log(folder: Path) -> PredictionLog:
    rules = LogRules(inputs={"amount": "keep", "card": "hash"}, subject="card")
    log = PredictionLog(
        LogSettings(folder, salt=SALT), rules, {"slot": "blue", "bundle": "3f", "pod": "p"}, Metrics()
    )
    log.start()
    return log


def ask(log: PredictionLog, number: int) -> None:
    scored = Scored([{"amount": 1.5, "card": 4000 + number % 2}], np.array([[0.5, 0.5]]))
    request = Request(b"{}", [], f"request-{number}")
    log.observe(request, "/predict", Answer(200, b"", scored=scored), time.time(), 0.001)


def fairlead(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fairlead.cli.main", "log", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_log_is_shipped_shown_and_a_person_forgotten(folder: Path, tmp_path: Path) -> None:
    target, salt = tmp_path / "target", tmp_path / "salt"
    salt.write_bytes(SALT)
    shipped = fairlead("ship", folder, target, "--once")
    assert (shipped.returncode, json.loads(shipped.stdout)["records"]) == (0, 13)
    shown = fairlead("show", target).stdout
    assert "10.0%" in shown
    assert "1 labels for 1 rows" in shown
    assert "0 records lost in 0 gaps" in shown
    forgotten = fairlead("forget", target, "--subject", "4001", "--salt-file", salt)
    assert "removed 5 predictions, 1 labels and 0 pairs" in forgotten.stdout
    assert (
        "removed 0 predictions" in fairlead("forget", target, "--subject", "4001", "--salt-file", salt).stdout
    )


def test_an_empty_target_is_said(tmp_path: Path) -> None:
    assert fairlead("show", tmp_path / "none").stdout.strip() == f"{tmp_path / 'none'} holds no log"


@pytest.mark.parametrize(
    ("content", "says"), [(b"short", "holds 5 bytes"), (None, "No such file")], ids=["too short", "not there"]
)
def test_a_salt_that_cannot_be_used_is_said(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "salt").write_bytes(content)
    result = fairlead("forget", tmp_path, "--subject", "1", "--salt-file", tmp_path / "salt")
    assert result.returncode != 0
    assert says in result.stderr
    assert "Traceback" not in result.stderr


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A shipper that finds nothing due, beside a server that writes."""
    command = [sys.executable, "-m", "fairlead.cli.main", "log", "ship", tmp_path / "log", tmp_path / "target",
               "--every", "0.1", "--age", "3600"]  # fmt: skip
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_a_sidecar_that_is_told_to_end_waits_for_the_server_and_ships_its_last_records(
    tmp_path: Path, sidecar: subprocess.Popen[str]
) -> None:
    log = started_log(tmp_path / "log")
    ask(log, 1)
    until = time.monotonic() + 20
    while not (tmp_path / "log" / ".shipper").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)  # it handles signals from before its first look
    sidecar.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert sidecar.poll() is None, "the server still writes"
    ask(log, 2)
    log.close()
    said, _ = sidecar.communicate(timeout=20)
    assert sidecar.returncode == 0
    assert json.loads(said.splitlines()[-1])["records"] == 4


PROJECT = """
apiVersion: fairlead/v1
name: small
problem: {statement: find it, owner: me}
data: {source: {kind: csv, uri: rows.csv}, target: y}
model: {task: classification, candidates: [logistic]}
serve: {log: {inputs: {x: keep, z: hash}, sample: 0.5}}
"""
CONTRACT = """
apiVersion: fairlead.contract/v1
columns: {x: {type: number}, y: {type: boolean}, z: {type: text}}
"""


def test_the_plan_says_what_a_log_will_weigh(tmp_path: Path) -> None:
    (tmp_path / "fairlead.yaml").write_text(PROJECT)
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    (tmp_path / "rows.csv").write_text("x,y,z\n1,true,a\n2,false,b\n")
    command = [sys.executable, "-m", "fairlead.cli.main", "plan", "-C", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "0.22 GB a day at 100 requests a second, with 2 field(s) of input (1.3 GB as lines" in said
