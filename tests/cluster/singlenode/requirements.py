"""Whether this machine can run a cluster at all, asked before anything is built."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from .failures import Unavailable
from .pins import DEBIAN_PACKAGES
from .processes import Word, run, succeeds

MEMORY = 3 << 30  # bytes that must be available: the node alone takes 1 GiB, a model's pods the same again
GO = (1, 26)


def require() -> None:
    """Return if a cluster can run here.

    Raises:
        Unavailable: it cannot; the message is one line that says why.
    """
    for reason in (_no_linux, _no_root, _no_go, _no_packages, _no_memory, _no_namespaces):
        if why := reason():
            raise Unavailable(f"no cluster on this machine: {why}")


def missing_packages() -> list[str]:
    """The Debian packages that are not installed here, told by a file of each."""
    return sorted(
        {
            package
            for file, package in DEBIAN_PACKAGES.items()
            if not any(Path("/").glob(file.lstrip("/"))) and not shutil.which(Path(file).name)
        }
    )


def go_version(words: str) -> tuple[int, int]:
    """Major and minor version in what `go version` prints.

    >>> go_version("go version go1.26.8 linux/amd64")
    (1, 26)
    """
    major, minor = words.split()[2].removeprefix("go").split(".")[:2]
    return int(major), int("".join(filter(str.isdigit, minor)))


def available_memory(meminfo: str) -> int:
    """Bytes that processes can still get, by the text of /proc/meminfo.

    >>> available_memory("MemTotal: 8 kB\\nMemAvailable: 4 kB\\n")
    4096
    """
    sizes = dict(line.split(":", 1) for line in meminfo.splitlines())
    return int(sizes["MemAvailable"].split()[0]) * 1024


def _no_linux() -> str:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"needs Linux on x86_64, this is {sys.platform} on {platform.machine()}"
    return ""


def _no_root() -> str:
    return "needs root (namespaces, mounts, network)" if os.geteuid() else ""


def _no_go() -> str:
    if not shutil.which("go"):
        return f"needs Go {GO[0]}.{GO[1]} or later, there is no `go` on the PATH"
    found = go_version(run("go", "version"))
    return f"needs Go {GO[0]}.{GO[1]} or later, found {found[0]}.{found[1]}" if found < GO else ""


def _no_packages() -> str:
    missing = missing_packages()
    if missing and not shutil.which("apt-get"):
        return f"needs these programs, and has no apt-get to install them: {' '.join(missing)}"
    return ""


def _no_memory() -> str:
    free = available_memory(Path("/proc/meminfo").read_text())
    return (
        f"needs {MEMORY >> 30} GiB of memory, {free / (1 << 30):.1f} GiB are available"
        if free < MEMORY
        else ""
    )


def _no_namespaces() -> str:
    probe: list[Word] = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
    if not succeeds(*probe, "mount", "-t", "tmpfs", "tmpfs", "/run"):
        return "it does not allow new network, mount and process namespaces (a container without privileges?)"
    return ""
