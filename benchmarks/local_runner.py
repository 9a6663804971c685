"""What the local runner costs a stage, beside KFP's own SubprocessRunner.

Both run the same pipeline of empty tasks on KFP's local orchestrator; every task imports what the model stage imports, as a
real one does. Printed is the wall time a task, after the warm server's one-time warm-up, and that warm-up beside the cold
imports it saves.

    python benchmarks/local_runner.py [TASKS]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fairlead.adapters.settings import Settings
from fairlead.cli.show import say, table
from fairlead.runners.local import RunnerName, TaskEnded, run_flow
from fairlead.runners.warm import PRELOAD, WarmServer

BARS = {"overhead": 0.15, "ratio": 15.0}
IMPORTS = f"import {', '.join(PRELOAD)}"


def chain(tasks: int):
    """A pipeline of *tasks* empty tasks, one after the other."""
    # Not at the top: a warm task loads this script again, and there kfp has only what a task needs.
    from empty_task import empty
    from kfp import dsl

    @dsl.pipeline(name="overhead")
    def overhead() -> int:
        last = empty(number=0)
        for _ in range(tasks - 1):
            last = empty(number=last.output)
        return last.output

    return overhead


def seconds_a_task(runner: RunnerName, tasks: int, server: WarmServer | None = None) -> float:
    """Wall time of the whole pipeline, by task."""
    ended: list[TaskEnded] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_environment({}, Path(folder))
        started = time.monotonic()
        run_flow(chain(tasks), {}, settings, Path(folder), ended.append, runner, server)
        return (time.monotonic() - started) / tasks


def main() -> int:
    """Print the table; the exit code says whether the bars hold."""
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    started = time.monotonic()
    server = WarmServer()
    with tempfile.TemporaryDirectory() as folder:
        server.call(time.time, environment={}, log=Path(folder) / "log")
    warm_up = time.monotonic() - started
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, env={**os.environ, "_KFP_RUNTIME": "true"})
    cold_imports = time.monotonic() - started
    seconds_a_task("local", 1, server)  # compiles kfp's own modules once
    warm, cold = seconds_a_task("local", tasks, server), seconds_a_task("reference", tasks)
    table(
        f"overhead a task, {tasks} tasks, this machine",
        ("runner", "seconds a task", "bar"),
        [("fairlead local", warm, f"<= {BARS['overhead']}"), ("KFP SubprocessRunner", cold, ""),
         ("ratio", cold / warm, f">= {BARS['ratio']:.0f}")],
    )  # fmt: skip
    say(f"warm-up, once a run: {warm_up:.1f} s; the same imports in a cold interpreter: {cold_imports:.1f} s")
    return int(warm > BARS["overhead"] or cold / warm < BARS["ratio"])


if __name__ == "__main__":
    sys.exit(main())
