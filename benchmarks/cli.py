"""How long ``fairlead --help`` takes, beside an empty interpreter and the command lines it replaces.

python benchmarks/cli.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from fairlead.cli.show import table

BAR = 0.3
BIN = Path(sys.executable).parent
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "fairlead --help": [str(BIN / "fairlead"), "--help"],
    "kfp --help": [str(BIN / "kfp"), "--help"],
    "bentoml --help": [str(BIN / "bentoml"), "--help"],
    "mlflow --help": [str(BIN / "mlflow"), "--help"],
}


def main() -> int:
    """Run the commands in turn, so that a slower moment meets all of them, and print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    quiet = {**os.environ, "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true"}
    for _ in range(runs + 1):
        for name, command in COMMANDS.items():
            started = time.monotonic()
            subprocess.run(command, check=True, capture_output=True, env=quiet)
            taken[name].append(time.monotonic() - started)
    medians = {name: statistics.median(times[1:]) for name, times in taken.items()}
    ours = medians["fairlead --help"]
    table(f"start time in seconds, median of {runs} after one warm-up", ("command", "seconds", "of ours", "bar"),
          [(name, value, f"{value / ours:.1f} ×", f"< {BAR}" if name.startswith("fairlead") else "")
           for name, value in medians.items()])  # fmt: skip
    return int(ours >= BAR)


if __name__ == "__main__":
    sys.exit(main())
