"""The command of a lightweight KFP component, taken apart and run inside the present process.

KFP compiles such a component to a shell command that writes the function's source to a file and starts
``python -m kfp.dsl.executor_main`` on it. A warm task does the same without the shell and the new interpreter.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TaskCommand:
    """What a lightweight component's command says."""

    source: str
    """The component function's source."""
    arguments: tuple[str, ...]
    """Arguments for ``executor_main``."""

    @property
    def function(self) -> str:
        """Name of the component function."""
        return self.arguments[self.arguments.index("--function_to_execute") + 1]


def parse_command(command: Sequence[str]) -> TaskCommand:
    """Take the command of a lightweight component apart.

    >>> parsed = parse_command(["sh", "-ec", "... executor_main ... ephemeral_component.py", "def f(): pass",
    ...                         "--executor_input", "{}", "--function_to_execute", "f"])
    >>> parsed.source, parsed.function
    ('def f(): pass', 'f')

    Raises:
        ValueError: It is not the command of a lightweight component as the pinned kfp compiles it.
    """
    for position, part in enumerate(command):
        if "ephemeral_component.py" in part and "executor_main" in part and position + 1 < len(command):
            parsed = TaskCommand(command[position + 1], tuple(command[position + 2 :]))
            if "--executor_input" in parsed.arguments and "--function_to_execute" in parsed.arguments:
                return parsed
    raise ValueError(
        "this is not the command of a lightweight component as kfp 2.17 compiles it; "
        "if kfp was upgraded, fairlead.runners.task must follow"
    )


def run_command(source: str, arguments: Sequence[str]) -> None:
    """Run the component in this process, through KFP's own executor. Called in a process of its own."""
    from kfp.dsl.executor_main import executor_main

    with tempfile.TemporaryDirectory(prefix="fairlead-task-") as folder:
        module = Path(folder) / "ephemeral_component.py"
        module.write_text(source, encoding="utf-8")
        sys.argv = ["executor_main", "--component_module_path", str(module), *arguments]
        executor_main()
