"""A real S3 server for tests: versitygw with its POSIX back end on a temporary folder, listening on 127.0.0.1 only."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

REGION = "test-region-1"
"""Not the default one: versitygw refuses requests signed for another, so forgetting the region is noticed."""
ACCESS, SECRET = "tester", "not-a-secret"
BUCKET = "models"


@dataclass
class S3Server:
    """A server that can be killed and started again on the same port, with what it holds."""

    executable: str
    root: Path
    port: int
    prefix: Sequence[str] = ()
    """Put before the command, to run it elsewhere (in a network namespace)."""
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def folder(self, bucket: str = BUCKET) -> Path:
        """Where the server keeps the bucket's objects, each a file."""
        return self.root / "data" / bucket

    def start(self) -> None:
        for name in ("data", "meta"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.folder().mkdir(exist_ok=True)
        environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, self.executable, "--port", f"127.0.0.1:{self.port}", "--region", REGION,
                 "posix", "--sidecar", str(self.root / "meta"), str(self.root / "data")],
                stdout=log, stderr=log, env=environment,
            )  # fmt: skip
        if not self.prefix:
            self.wait()

    def wait(self, seconds: float = 20) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process is not None and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"versitygw did not start:\n{(self.root / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Kill it, as a node that goes away would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=20)
            self.process = None


@contextmanager
def running(executable: str, root: Path, port: int) -> Iterator[S3Server]:
    server = S3Server(executable, root, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
