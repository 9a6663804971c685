"""A whole ``fairlead run`` of the fraud example beside a plain scikit-learn script with the same fits and metrics.

The script has no contract, report, export, tracking or registry; what fairlead adds is the difference. Both are timed as whole
commands, one after the other, on the same data.

    python benchmarks/training.py [ROWS] [ROUNDS]
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fairlead.cli.examples import copy_example
from fairlead.cli.show import say, table
from fairlead.model.learning import sizes

RATIO, SLACK = 1.25, 10.0
HERE = Path(__file__).parent


def timed(command: list[str], folder: Path) -> float:
    """Wall seconds of a command that must succeed."""
    started = time.monotonic()
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(ended.stdout[-2000:] + ended.stderr[-2000:])
    return time.monotonic() - started


def same_work(folder: Path) -> dict[str, object]:
    """The fits of the last run, for the plain script."""
    [*_, run] = sorted((folder / ".fairlead" / "runs").iterdir())
    lines = [
        line
        for path in run.glob("fairlead-training-*/for-loop-*/search/trials")
        for line in path.read_text().splitlines()
    ]
    trials = sorted((json.loads(line) for line in lines), key=lambda trial: trial["number"])
    [found] = run.glob("fairlead-training-*/data/dataset/dataset.json")
    return {
        "trials": trials,
        "folds": len(trials[0]["fold_values"]),
        "learning_rows": sizes(json.loads(found.read_text())["rows"]["train"]),
    }


def main() -> int:
    """Print the table; the exit code says whether the bar holds."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    fairlead = [sys.executable, "-m", "fairlead.cli.main", "run"]
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "fraud"
        copy_example("fraud", folder)
        timed([sys.executable, "generate.py", "--rows", str(rows)], folder)
        for _ in range(rounds):
            shutil.rmtree(
                folder / ".fairlead", ignore_errors=True
            )  # nothing is reused: database, snapshot, bundle
            ours.append(timed(fairlead, folder))
            work = folder / "work.json"
            work.write_text(json.dumps(same_work(folder)))
            theirs.append(
                timed([sys.executable, str(HERE / "plain_fraud.py"), str(folder / "data"), str(work)], folder)
            )
    mine, plain = statistics.median(ours), statistics.median(theirs)
    allowed = RATIO * plain + SLACK
    table(f"fraud, {rows:,} rows, median of {rounds} rounds", ("what", "seconds", "bar"),
          [("fairlead run", mine, f"<= {allowed:.1f} ({RATIO} × plain + {SLACK:.0f} s)"),
           ("plain scikit-learn script", plain, ""), ("ratio", mine / plain, "")])  # fmt: skip
    say("every round: " + ", ".join(f"{a:.1f} / {b:.1f}" for a, b in zip(ours, theirs, strict=True)))
    return int(mine > allowed)


if __name__ == "__main__":
    sys.exit(main())
