"""A room that is as bare as a task's pod: no network but loopback, nothing to write to but one folder, a user nobody knows."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER = 54321
"""Not in /etc/passwd, as on clusters that give each namespace users of its own."""

_SEAL = """
set -e
mount --make-rprivate /
ip link set lo up
mount --bind "$1" "$1"
if [ -n "$3" ]; then  # a folder that only its owner may enter holds this Python
    mkdir "$1/python"
    mount --bind "$2" "$1/python"
    mount -t tmpfs -o mode=755 none "$3"
    mkdir -p "$2"
    mount --bind "$1/python" "$2"
fi
mount -o remount,bind,ro /
echo sealed
exec sleep infinity
"""


@dataclass(frozen=True)
class Room:
    """Where commands are run."""

    folder: Path
    """The only folder that can be written."""
    enter: Sequence[str] = ()
    """Put before a command to run it inside."""
    leave_root: Sequence[str] = ()
    """Put before a command to run it as the unknown user."""

    @property
    def sealed(self) -> bool:
        return bool(self.enter)

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], *, as_root: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        """Run *command* inside with *environment* and nothing else of this process's."""
        temporary = self.folder / "tmp"
        base = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "HOME": "/",  # what a pod gives a user it does not know
            "TMPDIR": str(temporary),
        }
        whole = [*self.enter, *(() if as_root else self.leave_root), *command]
        return subprocess.run(
            whole,
            env={**base, **environment},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


def why_not_sealed() -> str:
    """Why no room can be sealed here; empty if one can."""
    if os.geteuid() != 0:
        return "only root can make a network and a mount namespace"
    missing = [name for name in ("unshare", "nsenter", "setpriv", "ip", "mount") if not shutil.which(name)]
    if missing:
        return f"{missing[0]} is not installed"
    allowed = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False)
    return "" if allowed.returncode == 0 else "namespaces are not allowed here"


@contextmanager
def sealed_room(folder: Path) -> Iterator[Room]:
    """A room in namespaces of its own, which lasts as long as the process that holds them."""
    (folder / "tmp").mkdir(mode=0o777)
    (folder / "tmp").chmod(0o777)
    holder = subprocess.Popen(
        [
            "unshare",
            "--mount",
            "--net",
            "sh",
            "-c",
            _SEAL,
            "sh",
            str(folder),
            sys.base_prefix,
            _closed_folder(),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "sealed\n"
        yield Room(
            folder,
            enter=("nsenter", "--mount", "--net", f"--target={holder.pid}", "--wd=/"),
            leave_root=(
                "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--inh-caps=-all",
                "--bounding-set=-all", "--no-new-privs",
            ),
        )  # fmt: skip
    finally:
        holder.kill()
        holder.communicate(timeout=20)


def _closed_folder() -> str:
    """The outermost folder above this Python that others may not enter; empty if there is none."""
    above = [*reversed(Path(sys.base_prefix).parents), Path(sys.base_prefix)]
    return next((str(folder) for folder in above if not folder.stat().st_mode & 0o001), "")


def wait_for_port(room: Room, port: int, seconds: float = 200) -> None:
    """Wait until something inside listens on *port* of loopback."""
    knock = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2).close()"
    until = time.monotonic() + seconds
    while room.run([sys.executable, "-c", knock], {}, as_root=True).returncode:
        assert time.monotonic() < until, f"nothing listens on port {port}"
        time.sleep(0.3)
