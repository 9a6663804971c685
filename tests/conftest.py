"""What tests share: folders of real data, free ports, an MLflow server, small projects."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from hypothesis import HealthCheck, settings

from fairlead import telemetry

telemetry.switch_off()

# One commit gives one outcome: the suite tries the same examples each time. New ones are looked for by hand.
# How long an example takes says nothing on a machine that does other work as well.
_SLOW = [HealthCheck.too_slow]
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=_SLOW)
settings.register_profile(
    "new", derandomize=False, deadline=None, suppress_health_check=_SLOW, max_examples=1000, print_blob=True
)
settings.load_profile("same")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data sets; tests that need it skip where it is not given."""
    folder = os.environ.get("FAIRLEAD_TEST_DATA")
    if not folder:
        pytest.skip("FAIRLEAD_TEST_DATA is not set: no folder with the real data sets")
    return Path(folder)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow tracking server with its own database and artifact store; gives its URL."""
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")],
            stdout=log, stderr=log, env={**os.environ, **telemetry.OFF, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )  # fmt: skip
    try:
        wait_for(f"{url}/health", server, folder / "log")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path, seconds: float = 90) -> None:
    """Wait until *url* answers; fail with the end of *log* if *process* ends or the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(url, timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"{url} did not answer:\n{log.read_text()[-3000:]}")
