"""What a person sees while something runs: one line a stage in a terminal, JSON lines elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from fairlead.adapters.progress import Event
from fairlead.runners.events import to_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from fairlead.runners.events import TaskEnded, TaskStarted


def installed(command: str) -> str:
    """How to call a command that is installed with this one: by name where the shell finds it, else by its path."""
    return command if shutil.which(command) else str(Path(sys.executable).with_name(command))


def say(text: str = "") -> None:
    """Print one line of result."""
    print(text)  # noqa: T201


def console(stream: TextIO | None = None) -> Console:
    """A console on *stream*, by default standard output as it is now: a run redirects it to a log later."""
    from rich.console import Console

    return Console(file=stream or sys.stdout, highlight=False)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, whole_names: bool = False
) -> None:
    """Print a table. Numbers are set to the right; with *whole_names* the first column is never broken over lines."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = [[_cell(value) for value in row] for row in rows]
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(columns):
        numeric = bool(shown) and all(isinstance(row[position], (int, float)) for row in shown)
        justify: Literal["left", "right"] = "right" if numeric else "left"
        drawn.add_column(column, justify=justify, overflow="fold", no_wrap=whole_names and position == 0)
    for row in shown:
        drawn.add_row(*(Text(number(value) if isinstance(value, float) else str(value)) for value in row))
    on = console()
    on.print(Text(title, style="bold"), soft_wrap=True)
    on.print(drawn)


def number(value: float) -> str:
    """Four significant digits, without an exponent for the sizes people meet.

    >>> number(0.98765432), number(1234567.0), number(0.0)
    ('0.9877', '1234567', '0')
    """
    return f"{value:.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _cell(value: Any) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def watcher() -> TerminalWatcher | LineWatcher:
    """The watcher that fits standard output."""
    return TerminalWatcher(console()) if sys.stdout.isatty() else LineWatcher(sys.stdout)


class LineWatcher:
    """JSON lines: for log collectors and scripts."""

    def __init__(self, stream: TextIO) -> None:
        """Write to *stream*."""
        self._stream = stream

    def __call__(self, event: TaskStarted | TaskEnded | Event) -> None:
        """Write one event. Bars are left out: a log needs no animation."""
        if isinstance(event, Event) and event.kind == "bar":
            return
        print(to_line(event), file=self._stream, flush=True)

    def __enter__(self) -> LineWatcher:
        return self

    def __exit__(self, *_: object) -> None:
        return


class TerminalWatcher:
    """Rich lines: a spinner a running task, bars for long work, one line a task that has ended."""

    def __init__(self, on: Console) -> None:
        """Draw on the console *on*."""
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = on
        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=on,
            transient=True,
        )
        self._running: dict[str, TaskID] = {}
        self._notes: dict[str, str] = {}

    def __enter__(self) -> TerminalWatcher:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: TaskStarted | TaskEnded | Event) -> None:
        """Draw one event."""
        from fairlead.runners.events import TaskEnded, TaskStarted

        if isinstance(event, TaskStarted):
            self._running[event.task] = self._progress.add_task(event.task, total=None)
        elif isinstance(event, TaskEnded):
            self._ended(event)
        elif event.kind == "note":
            self._notes[event.stage] = event.text
            self._console.print(f"    [dim]{event.stage:<8}[/dim] {_escaped(event.text)}")
        elif event.stage in self._running:
            self._progress.update(
                self._running[event.stage],
                description=f"{event.stage}: {_escaped(event.text)}",
                completed=event.done,
                total=event.total,
            )

    def _ended(self, event: TaskEnded) -> None:
        running = self._running.pop(event.task, None)
        if running is not None:
            self._progress.remove_task(running)
        mark = "[red]✗[/red]" if event.failed else "[green]✓[/green]"
        self._console.print(f"  {mark} [bold]{event.task:<10}[/bold] {event.seconds:6.1f} s")


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
