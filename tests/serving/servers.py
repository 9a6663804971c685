"""Servers as processes of their own: plain ones, and Bentos. Their logs are files, since pipes fill up."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from tests.serving.hostile_cases import GOOD, Target

START_SECONDS = 120
SERVICE = """\
from pathlib import Path

from fairlead.serve.service import service_of

svc = service_of(Path(__file__).resolve().parent / "bundle")
"""
"""``service.py`` of a Bento."""


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for(found: Callable[[], Any], *, seconds: float = START_SECONDS, says: Callable[[], str]) -> Any:
    """What *found* returns as soon as it is true; fails with what *says* returns after *seconds*."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, says()
        time.sleep(0.05)
    return result


class Server:
    """``python -m fairlead.serve``; it can be started again, as by a supervisor."""

    def __init__(
        self,
        folder: Path,
        log: Path,
        settings: Mapping[str, str] | None = None,
        *options: str,
        **process: Any,
    ) -> None:
        """Serve *folder* with *settings* and command-line *options*; *process* goes to ``Popen``."""
        self._folder = folder
        self._log = log
        self._settings = settings or {}
        self._options = options
        self._process = process
        self._port = 0
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self) -> None:
        """Start, on the port it had before if there was one, and wait until it is ready."""
        command = [sys.executable, "-m", "fairlead.serve", str(self._folder), "--port", str(self._port)]
        begun = len(self.log())
        with self._log.open("a") as output:
            self.process = subprocess.Popen(
                [*command, *self._options],
                stdout=output,
                stderr=output,
                env=os.environ | self._settings,
                **self._process,
            )

        def ready() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log()[begun:]
            return re.search(r"serving .* on http://(\S+):(\d+)", self.log()[begun:])

        found = wait_for(ready, says=lambda: self.log()[begun:])
        self._port = int(found[2])
        spoken = re.findall(r"serving gRPC on (\S+)", self.log()[begun:])
        self.target = Target(found[1], self._port, self.process.pid, *spoken)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.target.host}:{self.target.port}"

    def answers(self) -> bool:
        """Whether an ordinary request is answered."""
        return self.target.send(GOOD) == "200"

    def log(self) -> str:
        """All it said."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def metric(self, name: str) -> float:
        """The sum of the series whose text begins so."""
        text = httpx.get(f"{self.url}/metrics").text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    def stop(self) -> None:
        """End it, however it is."""
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()


class Bento:
    """``bentoml serve`` of a bundle, in a folder of its own."""

    def __init__(self, bundle: Path, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """Copy *bundle* into *folder* as a build does, serve it with *settings*, and wait until it is ready."""
        shutil.copytree(bundle, folder / "bundle")
        (folder / "service.py").write_text(SERVICE)
        self._folder = folder.resolve()
        self._settings = settings or {}
        self.port, self.own_port = free_port(), free_port()
        self.url, self.own_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.own_port}"
        self.start()

    def start(self) -> None:
        """Start, on the same ports each time, and wait until it is ready."""
        place = ["--host", "127.0.0.1", "--port", str(self.own_port)]
        environment = os.environ | {
            "BENTOML_HOME": str(self._folder / "home"),
            "BENTOML_DO_NOT_TRACK": "true",
            "FAIRLEAD_HOST": "127.0.0.1",
            "FAIRLEAD_PORT": str(self.port),
        }
        with (self._folder / "log").open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bentoml", "serve", "service:svc", *place],
                cwd=self._folder,
                env=environment | dict(self._settings),
                stdout=output,
                stderr=output,
            )
        try:
            wait_for(self._ready, says=self.log)
        except BaseException:
            self.kill()
            raise

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log()
        return self.ready()

    def ready(self) -> bool:
        """What ``/readyz`` says now, over a new connection."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def log(self) -> str:
        """All it said."""
        return (self._folder / "log").read_text(errors="replace")

    def workers(self) -> list[int]:
        """Numbers of the processes that listen on the lane's port."""
        inodes = _listening(self.port)
        return [pid for pid in _working_in(self._folder) if _sockets(pid) & inodes]

    def stop(self) -> None:
        """End it in order."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)

    def kill(self) -> None:
        """Kill all its processes at once, as a lost node does."""
        while found := _working_in(self._folder):
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()


def _working_in(folder: Path) -> list[int]:
    """The processes whose working directory this is: BentoML's workers are in sessions of their own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if path.readlink() == folder:
                found.append(int(path.parent.name))
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return sorted(found)


def _listening(port: int) -> set[str]:
    """Inodes of sockets that listen on a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return {one[9] for one in fields if one[3] == "0A" and int(one[1].rpartition(":")[2], 16) == port}


def _sockets(pid: int) -> set[str]:
    """Inodes of a process's sockets."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            target = path.readlink().name
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
