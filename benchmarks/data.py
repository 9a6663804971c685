"""The data stage: how long the real invoices take, and how memory grows with rows.

    FAIRLEAD_TEST_DATA=/folder/with/real/sets python benchmarks/data.py [--rows 1000000 10000000]

Every line is one run of the whole stage in a process of its own: rows are read, checked, made uniform, cleared of exact
duplicates, divided by time, profiled, written, checked for leaks and put into a store. Peak memory is what the kernel
says of that process (`ru_maxrss`); disk is the largest size that the run's folder had, source excluded. The real set is
read from 305 CSV files; the generated ones (eight columns, one row in a hundred a duplicate) from Parquet. A missed bar
fails the run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

REAL = "online-retail-by-day.tar.gz"
SECONDS, GIBIBYTES, GROWTH = 20.0, 1.0, 1.2
PIECE = 250_000

INVOICES = """
apiVersion: fairlead.contract/v1
columns:
  InvoiceNo: {type: text, use: identifier, pattern: "[A-Z]?[0-9]{6}"}
  StockCode: {type: text, use: identifier, case: upper}
  Description: {type: text, missing: allow}
  Quantity: {type: integer}
  InvoiceDate: {type: datetime}
  UnitPrice: {type: number, unit: GBP, minimum: 0}
  CustomerID: {type: integer, use: identifier, missing: allow}
  Country: {type: category, unknown: other, values: [United Kingdom, Germany, France, EIRE, Spain, Netherlands]}
rows:
  - {rule: "Quantity != 0", because: nothing was bought or returned}
"""

GENERATED = """
apiVersion: fairlead.contract/v1
columns:
  id: {type: text, use: identifier}
  at: {type: datetime}
  customer: {type: integer, use: identifier}
  amount: {type: number, minimum: 0}
  distance: {type: number, missing: allow}
  items: {type: integer, minimum: 1}
  channel: {type: category, values: [shop, web, phone]}
  bought: {type: boolean}
"""


@dataclass(frozen=True)
class Measured:
    """One run of the stage."""

    name: str
    rows: int
    duplicates: int
    seconds: float
    peak_gib: float
    disk_mb: float
    hashes: str


# ------------------------------------------------------------------------------------------------ projects


def write_project(folder: Path, contract: str, **entries: Any) -> None:
    data = {**entries, "clean": {"duplicates": "drop"}, "split": {"method": "time"}}
    task = "classification" if "target" in entries else "clustering"
    (folder / "contract.yaml").write_text(contract)
    (folder / "fairlead.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "fairlead/v1",
                "name": "benchmark",
                "problem": {"statement": "How fast is the data stage?", "owner": "benchmarks"},
                "data": data,
                "model": {"task": task, "candidates": ["any"]},
            }
        )
    )


def generate(path: Path, rows: int) -> None:
    """Seeded rows in pieces; one in a hundred repeats an earlier one of its piece."""
    start = np.datetime64("2020-01-01", "us").astype(int).item()
    with pq.ParquetWriter(path, piece(0, 1, start).schema) as writer:
        for first in range(0, rows, PIECE):
            writer.write_table(piece(first, min(PIECE, rows - first), start))


def piece(first: int, rows: int, start: int) -> pa.Table:
    random = np.random.default_rng(first)
    number = np.arange(first, first + rows)
    missing = random.random(rows) < 0.02
    table = pa.table(
        {
            "id": pa.array(np.char.add("t", number.astype("U12"))),
            "at": pa.array((start + number * 3_000_000).astype("datetime64[us]")),
            "customer": pa.array(random.integers(0, 500_000, rows)),
            "amount": pa.array(np.round(random.lognormal(3, 1, rows), 2)),
            "distance": pa.array(random.gamma(2, 10, rows), mask=missing),
            "items": pa.array(random.integers(1, 9, rows)),
            "channel": pa.array(np.array(["shop", "web", "phone"])[random.integers(0, 3, rows)]),
            "bought": pa.array(random.random(rows) < 0.1),
        }
    )
    again = np.where((number % 100 == 99) & (np.arange(rows) > 50), np.arange(rows) - 50, np.arange(rows))
    return table.take(pa.array(again))


# ------------------------------------------------------------------------------------------------ measuring


def measure(name: str, project: Path) -> Measured:
    """Run the stage on *project* in a process of its own, and watch its folder."""
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder, watched(Path(folder)) as largest:
        command = [sys.executable, __file__, "--run", str(project), folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
        disk = largest() / 1e6
    found = json.loads(done.stdout.splitlines()[-1])
    return Measured(
        name,
        found["read"],
        found["duplicates"],
        found["seconds"],
        found["peak"] / 2**30,
        disk,
        found["hashes"],
    )


@contextmanager
def watched(folder: Path) -> Iterator[Callable[[], int]]:
    """The largest size that *folder* has while the block runs, looked at four times a second."""
    stop, sizes = threading.Event(), [0]

    def watch() -> None:
        while not stop.wait(0.25):
            sizes.append(size_of(folder))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: max(sizes)
    finally:
        stop.set()
        watcher.join()


def size_of(folder: Path) -> int:
    """Bytes on disk; a file that is linked twice counts once."""
    found = {}
    for path in folder.rglob("*"):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        found[stat.st_ino] = stat.st_blocks * 512
    return sum(found.values())


class Quiet:
    """A tracker and a progress that keep the notes and nothing else."""

    run_id = "benchmark"

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    @contextmanager
    def bar(self, _text: str, _total: int | None) -> Iterator[Callable[[int], None]]:
        yield lambda _steps: None

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args, **_named: None


def run_stage(project_folder: Path, out: Path) -> None:
    """In the child: run the stage and print the figures as JSON. Imports are not part of the time."""
    from fairlead.adapters.sources import open_source
    from fairlead.adapters.store import FolderStore
    from fairlead.data import stage
    from fairlead.records import Workspace
    from fairlead.spec import load_contract, load_project

    project, contract = (
        load_project(project_folder / "fairlead.yaml"),
        load_contract(project_folder / "contract.yaml"),
    )
    quiet: Any = Quiet()
    workspace = Workspace(project_folder, project, contract, "", project_folder)
    source = open_source(project.data.source, project_folder)
    began = time.perf_counter()
    made = stage.run(
        workspace, source, FolderStore(out / "store"), quiet, quiet, out / "dataset", out / "page.html"
    )
    seconds = time.perf_counter() - began
    rows = json.loads((Path(made.path) / "report.json").read_bytes())["rows"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    hashes = next(note for note in quiet.notes if "of hashes" in note).partition(" of")[0]
    print(
        json.dumps(
            {
                "read": rows["read"],
                "duplicates": rows["duplicates"],
                "seconds": seconds,
                "peak": peak,
                "hashes": hashes,
            }
        )
    )


# -------------------------------------------------------------------------------------------------- tables


def real_invoices() -> Measured | None:
    where = os.environ.get("FAIRLEAD_TEST_DATA")
    if not where or not (Path(where) / REAL).is_file():
        print(f"skipped the real invoices: FAIRLEAD_TEST_DATA names no folder with {REAL}")
        return None
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        project = Path(folder)
        with tarfile.open(Path(where) / REAL) as archive:
            archive.extractall(project / "invoices", filter="data")
        write_project(project, INVOICES, source={"kind": "csv", "uri": "invoices"}, time="InvoiceDate")
        return measure("real invoices (CSV)", project)


def generated(rows: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        project = Path(folder)
        generate(project / "rows.parquet", rows)
        write_project(
            project, GENERATED, source={"kind": "parquet", "uri": "rows.parquet"}, time="at", target="bought"
        )
        return measure("generated (Parquet)", project)


def show(runs: list[Measured]) -> None:
    print(
        f"{'data':<22}{'rows':>12}{'duplicates':>12}{'seconds':>9}{'rows/s':>10}{'peak GiB':>10}{'disk MB':>9}{'hashes':>12}"
    )
    for run in runs:
        print(f"{run.name:<22}{run.rows:>12,}{run.duplicates:>12,}{run.seconds:>9.1f}{run.rows / run.seconds:>10,.0f}"
              f"{run.peak_gib:>10.2f}{run.disk_mb:>9,.0f}{run.hashes:>12}")  # fmt: skip


def bars(real: Measured | None, made: list[Measured]) -> list[tuple[str, float, float]]:
    """What is measured, how much, and at most how much it may be."""
    found = []
    if real:
        found += [
            ("real invoices: seconds", real.seconds, SECONDS),
            ("real invoices: peak GiB", real.peak_gib, GIBIBYTES),
        ]
    if len(made) > 1:
        few, many = made[0], made[-1]
        found.append(
            (f"peak of {many.rows:,} rows over that of {few.rows:,}", many.peak_gib / few.peak_gib, GROWTH)
        )
    return found


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--rows", type=int, nargs="*", default=[1_000_000, 10_000_000], help="sizes of generated data"
    )
    options.add_argument("--run", nargs=2, type=Path, metavar=("PROJECT", "OUT"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.run:
        run_stage(*chosen.run)
        return 0
    real = real_invoices()
    made = [generated(rows) for rows in chosen.rows]
    show([*([real] if real else []), *made])
    print()
    missed = 0
    for what, value, bar in bars(real, made):
        missed += value > bar
        print(f"{'missed' if value > bar else 'met':<8}{what}: {value:.2f}, at most {bar:g}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
