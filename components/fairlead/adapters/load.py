"""A bundle under load: its server in one process tree, the generator in another, each on CPUs of its own where there are two."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from fairlead.adapters.bentos import free_port, serve_command
from fairlead.errors import IntegrityError, ServiceError
from fairlead.records import LoadRound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HOST = "127.0.0.1"
PATH = "/predict"
EXAMPLES = "attestations/examples.json"

READY_SECONDS = 120.0
"""For a server to become ready: 3 s, on a busy machine half a minute."""
STOP_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1


class Loaded:
    """A running server that is sent requests. Fulfils :class:`fairlead.records.LoadTarget`."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        port: int,
        bodies: Sequence[str],
        generator_cpus: Sequence[int],
    ) -> None:
        """Send *bodies* in turn to *port*, from *generator_cpus* (empty: from any)."""
        self._process = process
        self.pid = process.pid
        """Of the server's first process."""
        self._port = port
        self._bodies = list(bodies)
        self._cpus = list(generator_cpus)
        self.machine: Mapping[str, Any] = machine()

    def drive(self, due: NDArray[np.float64], patience: float) -> LoadRound:
        """Send a request at each of the times *due*; see :class:`fairlead.records.LoadTarget`."""
        import numpy as np

        with tempfile.TemporaryDirectory(prefix="fairlead-load-") as scratch:
            plan = self._plan(Path(scratch), patience)
            np.save(plan["due"], due)
            before = cpu_seconds(self._process.pid)
            at, resident = self._generate(Path(scratch), plan)
            after = cpu_seconds(self._process.pid)
            with np.load(plan["result"]) as result:
                noticed, done = result["noticed"], result["done"]
        return LoadRound(
            due=due,
            noticed=noticed,
            done=done,
            cpu_seconds=after - before,
            memory_bytes=memory_bytes(self._process.pid),
            memory_at=np.array(at),
            memory_samples=np.array(resident, dtype=np.float64),
        )

    def _plan(self, scratch: Path, patience: float) -> dict[str, Any]:
        """What the generator is to do."""
        return {
            "host": HOST,
            "port": self._port,
            "path": PATH,
            "bodies": self._bodies,
            "due": str(scratch / "due.npy"),
            "result": str(scratch / "result.npz"),
            "patience": patience,
            "cpus": self._cpus,
        }

    def _generate(self, scratch: Path, plan: Mapping[str, Any]) -> tuple[list[float], list[int]]:
        """Run the generator to its end; sample the server's memory meanwhile."""
        file = scratch / "plan.json"
        file.write_text(json.dumps(plan), encoding="utf-8")
        command = [sys.executable, "-m", "fairlead.adapters.generator", str(file)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as generator:
            try:
                samples = self._watch(generator)
            finally:
                generator.kill()  # no more than a name if it has ended by itself
            said = generator.stderr.read() if generator.stderr else ""
        if self._process.poll() is not None:
            raise ServiceError(f"the server ended under load, exit code {self._process.returncode}")
        if generator.wait() != 0:
            last = said.strip().rpartition("\n")[2] or "it gave no reason"
            raise ServiceError(f"the load generator ended: {last}")
        return samples

    def _watch(self, generator: subprocess.Popen[str]) -> tuple[list[float], list[int]]:
        """Times and resident bytes of the server, one a second until the generator or the server ends."""
        at: list[float] = []
        resident: list[int] = []
        begin = time.monotonic()
        while self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                generator.wait(1.0)
                break
            at.append(time.monotonic() - begin)
            resident.append(resident_bytes(self._process.pid))
        return at, resident


@contextlib.contextmanager
def serving(bundle: Path) -> Iterator[Loaded]:
    """Serve *bundle* with BentoML on free ports of this machine until the context ends.

    ``FAIRLEAD_*`` variables of the environment hold for the server, so that what is measured is what will be deployed.

    Args:
        bundle: A bundle's folder.

    Raises:
        IntegrityError: The bundle has no example rows.
        ServiceError: The server does not become ready, or refuses the examples; or this system has no ``/proc``.
    """
    if not Path("/proc/self/stat").exists():
        raise ServiceError(
            "CPU time and memory of processes are read from /proc, which this system does not have"
        )
    bodies = example_bodies(bundle)
    port = free_port()
    command, more = serve_command(bundle, port=port, host=HOST)
    server_cpus, generator_cpus = divide_cpus()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **more},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - one call into the C library, no locks
        )
        try:
            if server_cpus:
                os.sched_setaffinity(process.pid, server_cpus)  # inherited by what it starts
            _wait_until_ready(process, port, log)
            _try(port, bodies)
            yield Loaded(process, port, bodies, generator_cpus)
        finally:
            _stop(process)


def example_bodies(bundle: Path) -> list[str]:
    """Request bodies of one row each: the bundle's example rows.

    Raises:
        IntegrityError: There are none.
    """
    try:
        rows = json.loads((bundle / EXAMPLES).read_bytes())["rows"]
    except (OSError, ValueError, KeyError) as cause:
        raise IntegrityError(f"{bundle / EXAMPLES} has no example rows to send: {cause}") from cause
    if not rows:
        raise IntegrityError(f"{bundle / EXAMPLES} has no example rows to send")
    return [json.dumps({"rows": [row]}) for row in rows]


def divide_cpus() -> tuple[list[int], list[int]]:
    """CPUs of the server and of the generator: one each, or none where this process may use only one or cannot choose."""
    if not hasattr(os, "sched_setaffinity"):
        return [], []
    cpus = sorted(os.sched_getaffinity(0))
    return ([cpus[0]], [cpus[-1]]) if len(cpus) > 1 else ([], [])


def machine() -> dict[str, Any]:
    """Where a measurement was made, for ``capacity.json``."""
    server, generator = divide_cpus()
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "server_cpus": len(server) or None,
        "generator_cpus": len(generator) or None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


# ---------------------------------------------------------------------------------------------- the server's life


def end_with_parent() -> None:
    """Have this process told to end (SIGTERM) when its parent dies, however it dies: a killed load test leaves no server."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Any) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServiceError(f"the server ended before it was ready: {_last_words(log)}")
        try:
            with urlopen(f"http://{HOST}:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            pass
        time.sleep(0.1)
    raise ServiceError(f"the server was not ready after {READY_SECONDS:.0f} s: {_last_words(log)}")


def _try(port: int, bodies: Sequence[str]) -> None:
    """Send every body once: under load a refusal would only be counted."""
    for body in bodies:
        request = Request(f"http://{HOST}:{port}{PATH}", body.encode(), {"content-type": "application/json"})
        try:
            with urlopen(request, timeout=30):  # noqa: S310
                pass
        except HTTPError as refusal:
            said = refusal.read(300).decode(errors="replace")
            raise ServiceError(f"the server answered {refusal.code} to an example row: {said}") from refusal
        except OSError as cause:
            raise ServiceError(f"the server did not answer an example row: {cause}") from cause


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its own session, so nobody else is in the group
    process.wait()


def _last_words(log: Any) -> str:
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return " ".join(lines[-3:]) or "it said nothing"


# ------------------------------------------------------------------------------------------------- what it uses


def process_tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += parents.get(found[-1], [])
    return found


def _stat(pid: int) -> list[str]:
    """Fields of ``/proc/PID/stat`` from the third (state) on; none if the process has ended."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return []


def cpu_seconds(root: int) -> float:
    """User and system time of a process tree so far, with that of children that have ended."""
    ticks = os.sysconf("SC_CLK_TCK")
    times = [_stat(pid)[11:15] for pid in process_tree(root)]
    return sum(int(value) for four in times for value in four) / ticks


def resident_bytes(root: int) -> int:
    """Resident memory of a process tree; pages that processes share are counted for each. Cheap."""
    total = 0
    for pid in process_tree(root):
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return total * os.sysconf("SC_PAGE_SIZE")


def memory_bytes(root: int) -> int:
    """Memory of a process tree with shared pages counted once, which is about what a container is charged for.

    Where the system does not say (``smaps_rollup``), resident memory.
    """
    total = 0
    for pid in process_tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        except OSError:
            return resident_bytes(root)
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total
