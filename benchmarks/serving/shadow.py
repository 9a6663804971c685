"""What a shadow costs the caller: one server that copies every request to another that is well, hung or dead.

    python -m benchmarks.serving.shadow [--rounds 5] [--seconds 5] [--rate 2000]

The same rate of one-row requests goes to a server without a shadow, and with each kind of target. The server has one core, the
load tool and the target share the other. Printed are the caller's latencies, the processor time, and what the server counted.
The bar: with the default rate of copies, and with a hung or a dead target at any rate, the caller's median is within a tenth, or
0.1 ms, of that without a shadow, and no request fails. A target in good health that gets every copy is shown, because it costs.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import statistics
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.serving import load
from benchmarks.serving.figures import Figures, markdown, measure, spread
from benchmarks.serving.models import Model, build
from benchmarks.serving.servers import ALONE, Running, running, with_settings

from fairlead.cli.show import say

TARGETS = {
    "none": {},
    "well": {},
    "well, every request": {"FAIRLEAD_SHADOW_RATE": "0"},
    "hung": {"FAIRLEAD_SHADOW_RATE": "0"},
    "dead": {"FAIRLEAD_SHADOW_RATE": "0"},
}
"""The other server, and settings: by default 100 copies a second are made at most."""


@contextlib.contextmanager
def target(kind: str, model: Model) -> Iterator[str]:
    """The address of another server of this kind; empty for none."""
    if kind == "none":
        yield ""
    elif kind.startswith("well"):
        with running(ALONE, model, core=load.LOAD_CORE) as other:
            yield f"http://127.0.0.1:{other.port}"
    else:
        with hung() as port:
            if kind == "hung":
                yield f"http://127.0.0.1:{port}"
        if kind == "dead":
            yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def hung() -> Iterator[int]:
    """A port that accepts connections and reads what comes, and never answers."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    kept: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                kept.append(listening.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in kept:
            connection.close()


def counted(run: Running) -> dict[str, int]:
    """What the server says of its copies."""
    with urllib.request.urlopen(f"http://127.0.0.1:{run.port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found = {}
    for line in text.splitlines():
        if line.startswith("fairlead_shadow_"):
            series, _, value = line.rpartition(" ")
            reason = re.search(r'reason="(\w+)"', series)
            found[reason[1] if reason else series.split("_")[2]] = int(float(value))
    return {name: value for name, value in found.items() if value}


def main() -> int:
    """Print the table; the exit code says whether the bar holds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.shadow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=2000.0, help="requests a second (default: %(default)g)")
    arguments = parser.parse_args()
    if missing := load.missing():
        say(f"missing: {', '.join(missing)}")
        return 2
    figures = {kind: Figures() for kind in TARGETS}
    said: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-models-") as folder:
        model = build("forest", Path(folder) / "forest")
        body = model.body("named", 1)
        for _ in range(arguments.rounds):
            for kind, more in TARGETS.items():
                with target(kind, model) as url:
                    server = with_settings(ALONE, FAIRLEAD_SHADOW_URL=url, FAIRLEAD_SHADOW_SAMPLE="1", **more)
                    with running(server, model) as run:
                        measure(
                            run,
                            arguments.seconds,
                            lambda seconds, run=run: load.wrk(
                                run.url, body, seconds, Path(folder), arguments.rate
                            ),
                            figures[kind],
                        )
                        said[kind] = counted(run)
    rows = [
        (kind, spread(one.rate), spread(one.p50_ms, 2), spread(one.p99_ms, 2), spread(one.cpu_us, 1), str(one.wrong),
         ", ".join(f"{name} {count:,}" for name, count in said[kind].items()))
        for kind, one in figures.items()
    ]  # fmt: skip
    markdown(("target", "requests/s", "p50 ms", "p99 ms", "CPU µs a request", "failed", "counted"), rows)
    return int(not all(holds(figures["none"], figures[kind]) for kind in ("well", "hung", "dead")))


def holds(alone: Figures, shadowed: Figures) -> bool:
    """Whether the caller notices nothing."""
    before, after = statistics.median(alone.p50_ms), statistics.median(shadowed.p50_ms)
    return not shadowed.wrong and after <= max(1.1 * before, before + 0.1)


if __name__ == "__main__":
    sys.exit(main())
