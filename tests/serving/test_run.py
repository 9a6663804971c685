"""The server as a process: it starts, refuses to start, and stops in order."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

ROW = {
    "amount": 12.5,
    "count": 3,
    "abroad": False,
    "country": "DE",
    "channel": "app",
    "at": "2024-05-01T10:30:00",
}


def refused(*arguments: str) -> tuple[int, str]:
    """Exit code and last words of a server that does not start."""
    command = [sys.executable, "-m", "fairlead.serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def test_a_port_in_use_is_said_with_the_way_out(fraud_folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, said = refused(str(fraud_folder), "--port", str(port))
    assert code == 8
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in said
    assert "--port" in said
    assert "Traceback" not in said


def test_a_folder_that_is_no_bundle_ends_the_process(tmp_path: Path) -> None:
    code, said = refused(str(tmp_path), "--port", "0")
    assert (code, "no bundle at" in said, "Traceback" in said) == (9, True, False)


def test_a_changed_model_is_never_served(bundle_of: Callable[..., Path], fraud_folder: Path) -> None:
    from fairlead.serve.loading import read_schema

    folder = bundle_of(read_schema(fraud_folder), b"model", "onnx")
    (folder / "model.onnx").write_bytes(b"other")
    code, said = refused(str(folder), "--port", "0")
    assert (code, "does not have the digest" in said, "Traceback" in said) == (7, True, False)


def test_an_answer_does_not_wait_for_an_acknowledgement(fraud: httpx.Client) -> None:
    """Nagle's algorithm and a delayed acknowledgement would make it 40 ms."""
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        fraud.post("/predict", json={"rows": [ROW]})
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.03


def test_after_sigterm_requests_are_taken_while_it_says_that_it_is_not_ready(
    serve: Callable[..., Any], fraud_folder: Path
) -> None:
    served = serve(fraud_folder, "--drain", "1.5")
    served.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 1
    while httpx.get(f"{served.url}/readyz").status_code == 200:
        assert time.monotonic() < deadline
    assert httpx.post(f"{served.url}/predict", json={"rows": [ROW]}).status_code == 200
    served.process.wait(timeout=10)


def test_without_a_drain_sigterm_ends_the_process(serve: Callable[..., Any], fraud_folder: Path) -> None:
    served = serve(fraud_folder)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(timeout=10) in (0, -signal.SIGTERM)


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGTERM] * 2, [signal.SIGINT]])
def test_a_server_that_is_told_to_stop_ends_without_a_complaint(
    serve: Callable[..., Any], fraud_folder: Path, signals: list[signal.Signals]
) -> None:
    process = serve(fraud_folder, "--drain", "0.2").process
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)

    assert process.wait(timeout=10) == 0
    assert "Traceback" not in process.stderr.read()
