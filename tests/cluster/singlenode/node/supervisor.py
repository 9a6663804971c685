"""Starts the components of the node, and starts again what died."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

from ..places import State
from ..processes import Word, succeeds

RESTART_SECONDS = 1.0  # between the end of a component and its next start: no busy loop when it cannot start
TURN_SECONDS = 0.1


class Supervisor:
    """The running components of one node.

    Attributes:
        commands: The command line of each component ever started, by name.
    """

    def __init__(self, state: State) -> None:
        self.commands: dict[str, Sequence[Word]] = {}
        self._state = state
        # The Popen objects are kept: subprocess itself reaps the child of a forgotten one, and its end is missed.
        self._running: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}
        self._due: dict[str, float] = {}

    def start(self, name: str, command: Sequence[Word]) -> None:
        """Start the component *name*; its output goes to its log, its process number to a file."""
        self.commands[name] = command
        with (self._state.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "KUBECONFIG": str(self._state.kubeconfig)},
            )  # fmt: skip
        self._running[process.pid] = name, process
        (self._state.pids / name).write_text(str(process.pid))

    def turn(self) -> None:
        """Notice what ended since the last turn, start what is due, and pause."""
        self._reap()
        for name in [name for name, at in self._due.items() if at <= time.monotonic()]:
            del self._due[name]
            self.start(name, self.commands[name])
        time.sleep(TURN_SECONDS)

    def _reap(self) -> None:
        """Collect every child that ended: components, and what containers leave to process 1."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                name, process = self._running.pop(pid)
                process.returncode = os.waitstatus_to_exitcode(
                    status
                )  # so that it does not wait for it again
                say(f"{name} ended with {process.returncode}; starting it again")
                self._due[name] = time.monotonic() + RESTART_SECONDS


def say(text: str) -> None:
    """Write a line to the node's log."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def wait_for(what: str, *command: Word) -> None:
    """Return when *command* has succeeded, or after a minute, and say which."""
    for _ in range(600):
        if succeeds(*command):
            return say(f"{what}: there")
        time.sleep(0.1)
    return say(f"{what}: did not come")
