"""Servers of one model, side by side: requests a core, latency, memory, time to ready.

    python -m benchmarks.serving [--rounds 5] [--seconds 5] [--only NAME,…] [--features] [--json FILE]

Every round starts each server on one core, asks it whether it answers as the model does, and loads it from another core over
16 connections: one row a request, then 100 rows. Figures are medians over the rounds, with half of the
distance between the extremes.
"Requests a core" are those per second of processor time that the server's processes used, so the load tool and other work on
the machine count less. The bars are printed beside what they are about; the exit code is 1 if one is missed.

Needs two cores, `wrk` (apt-get install wrk) and, for gRPC, Go. The other servers are installed below ~/.cache/fairlead-bench.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import grpc
from benchmarks.serving import load, peers
from benchmarks.serving.figures import Figures, Table, markdown, measure, spread
from benchmarks.serving.load import Load
from benchmarks.serving.models import ROWS, Model, build
from benchmarks.serving.servers import FEATURES, GRPC, HTTP, REPOSITORY, Server, check, check_grpc, running

from fairlead.cli.show import say

PROTO = REPOSITORY / "components/fairlead/serve/v2/proto/open_inference.proto"
OURS, BARE, LIMIT = "fairlead with log", "fairlead", "limit"


def http_round(server: Server, model: Model, seconds: float, tables: dict[int, Table], half: Table) -> None:
    """One row and 100 rows; then one row at half of the rate that was reached."""
    with running(server, model) as run, tempfile.TemporaryDirectory() as scratch:
        for rows in ROWS:
            check(run, model, rows)
            body = model.body(server.body, rows)

            def drive(seconds: float, rate: float = 0.0, body: Path = body) -> Load:
                return load.wrk(run.url, body, seconds, Path(scratch), rate)

            figures = tables[rows].setdefault(server.name, Figures())
            measure(run, seconds, drive, figures)
            if rows == 1:
                rate = figures.rate[-1] / 2
                measure(run, seconds, partial(drive, rate=rate), half.setdefault(server.name, Figures()))


def grpc_round(server: Server, model: Model, seconds: float, tool: Path, figures: Table) -> None:
    """One row."""
    with running(server, model) as run, tempfile.TemporaryDirectory() as scratch:
        if server.name != "empty handler":
            check_grpc(run, model)
        body, address = model.body(server.body, 1), f"127.0.0.1:{run.port}"
        measure(
            run,
            seconds,
            lambda seconds: load.ghz(address, body, seconds, Path(scratch), PROTO, tool),
            figures.setdefault(server.name, Figures()),
        )


# ------------------------------------------------------------------------------------------------------ bars


@dataclass(frozen=True)
class Bar:
    """A promise, and whether it holds."""

    says: str
    value: float
    bound: float
    at_least: bool

    @property
    def holds(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def bars(tables: dict[int, Table], half: Table, calls: Table) -> list[Bar]:
    """Every promise. One whose servers were not measured is missed, and its value is not a number."""
    one, hundred = tables[1], tables[100]
    found: list[Bar] = []

    def ratio(says: str, figures: Table, ours: str, other: str, bound: float, *, at_least: bool) -> None:
        mine = figures[ours].a_core if ours in figures else math.nan
        theirs = figures[other].a_core if other in figures else math.nan
        found.append(Bar(says, mine / theirs if at_least else theirs / mine, bound, at_least))

    for other, bound in (("stock BentoML", 18), ("MLServer", 10), ("KServe SDK", 12), ("MLflow", 150)):
        ratio(f"one row, requests a core over {other}", one, OURS, other, bound, at_least=True)
    ratio("one row, processor time over the limit, everything on", one, OURS, LIMIT, 1.35, at_least=False)
    ratio("one row, processor time over the limit, log off", one, BARE, LIMIT, 1.1, at_least=False)
    ratio("100 rows, processor time over the limit", hundred, OURS, LIMIT, 1.25, at_least=False)
    ratio(
        "gRPC, processor time over an empty handler",
        calls,
        "fairlead gRPC",
        "empty handler",
        1.3,
        at_least=False,
    )
    ratio("gRPC, requests a core over MLServer", calls, "fairlead gRPC", "MLServer gRPC", 1.0, at_least=True)
    own, calm = one.get(OURS, Figures()), half.get(OURS, Figures())
    for says, values, bound in (
        ("one row at half load, p99 in ms", calm.p99_ms, 3.0),
        ("cold start to ready, s", own.ready_seconds, 3.0),
        ("worker, MiB", own.worker_mib, 200.0),
    ):
        found.append(Bar(says, statistics.median(values or [math.nan]), bound, at_least=False))
    return found


# ----------------------------------------------------------------------------------------------------- shown


def show(title: str, figures: Table) -> None:
    """A table of servers."""
    if not figures:
        return
    columns = (
        "server",
        "requests/s",
        "CPU µs a request",
        "p50 ms",
        "p99 ms",
        "worker MiB",
        "ready s",
        "failed",
    )
    rows = [
        (name, spread(one.rate), spread(one.cpu_us, 1), spread(one.p50_ms, 2), spread(one.p99_ms, 2),
         f"{statistics.median(one.worker_mib):.0f}", spread(one.ready_seconds, 1), str(one.wrong))
        for name, one in figures.items()
    ]  # fmt: skip
    say(f"\n{title}\n")
    markdown(columns, rows)


def show_bars(title: str, found: list[Bar]) -> int:
    """The promises; the number of those that are missed."""
    rows = [
        (bar.says, f"{bar.value:.2f}", f"{'>=' if bar.at_least else '<='} {bar.bound:g}", "holds" if bar.holds else "MISSED")
        for bar in found
    ]  # fmt: skip
    say(f"\n{title}\n")
    markdown(("promise", "measured", "bar", ""), rows)
    return sum(not bar.holds for bar in found)


# ------------------------------------------------------------------------------------------------------ main


def of_model(model: Model, arguments: argparse.Namespace, tool: Path | None) -> tuple[int, dict[str, object]]:
    """All rounds for one model: bars that were missed, and the figures."""
    wanted = [name.strip() for name in arguments.only.split(",") if name.strip()]
    known = FEATURES if arguments.features else (*HTTP, *(GRPC if tool is not None else ()))
    chosen = [server for server in known if not wanted or server.name in wanted]
    tables: dict[int, Table] = {rows: {} for rows in ROWS}
    half: Table = {}
    calls: Table = {}
    for number in range(arguments.rounds):
        for server in chosen:
            say(
                f"{model.name}, round {number + 1}: {server.name} ({server.says}); load average {os.getloadavg()[0]:.1f}"
            )
            try:
                if server.grpc and tool is not None:
                    grpc_round(server, model, arguments.seconds, tool, calls)
                else:
                    http_round(server, model, arguments.seconds, tables, half)
            except (RuntimeError, AssertionError, OSError, grpc.RpcError) as failure:
                say(f"  left out: {failure}")
            sys.stdout.flush()
    for rows, figures in tables.items():
        show(
            f"{model.name}, {rows} row{'s' if rows > 1 else ''}, 16 connections, server on one core", figures
        )
    show(f"{model.name}, 1 row, about half of that rate, 64 connections", half)
    show(f"{model.name}, 1 row over gRPC", calls)
    partly = bool(wanted) or arguments.features
    found = [bar for bar in bars(tables, half, calls) if not (partly and math.isnan(bar.value))]
    missed = show_bars(f"{model.name}: bars", found) if found else 0
    named = {f"{rows} rows": figures for rows, figures in tables.items()} | {"half": half, "grpc": calls}
    return missed, {kind: {name: asdict(one) for name, one in part.items()} for kind, part in named.items()}


def main() -> int:
    """Print all tables; the exit code says whether the bars hold."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load (default: %(default)s)")
    parser.add_argument("--models", default="forest,logistic", help="default: %(default)s")
    parser.add_argument("--only", default="", metavar="NAME,…", help="these servers; default: all")
    parser.add_argument(
        "--features", action="store_true", help="what each optional part of fairlead costs, instead"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures there")
    arguments = parser.parse_args()
    if missing := load.missing():
        say(f"missing: {', '.join(missing)}")
        return 2
    if (tool := peers.ghz()) is None:
        say("gRPC is left out: neither ghz nor Go is installed")
    missed, record = 0, {}
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-models-") as folder:
        for name in arguments.models.split(","):
            count, record[name] = of_model(build(name, Path(folder) / name), arguments, tool)
            missed += count
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=1) + "\n")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
