"""Load from real tools: wrk for HTTP, ghz for gRPC, pinned to another core than the server."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

LOAD_CORE = "1"
CONNECTIONS = 16

_LUA = """
local file = io.open("{body}", "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "application/json"
{pace}
done = function(summary, latency, requests)
  local wrong = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('\\nJSON {{"requests": %d, "microseconds": %d, "wrong": %d, "p50": %f, "p99": %f}}\\n',
    summary.requests, summary.duration, wrong + summary.errors.status,
    latency:percentile(50), latency:percentile(99)))
end
"""
_PACE = """
local mean = {mean}
delay = function() return math.floor(-mean * math.log(1 - math.random()) + 0.5) end
"""


@dataclass(frozen=True)
class Load:
    """What a load tool saw."""

    requests: int
    seconds: float
    wrong: int
    """Answers other than 2xx, and broken connections."""
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def wrk(url: str, body: Path, seconds: float, scratch: Path, rate: float = 0.0) -> Load:
    """As many requests as 16 connections bring about; with *rate*, about so many a second from 64 that pause at random."""
    connections = CONNECTIONS if not rate else 4 * CONNECTIONS
    script = scratch / "post.lua"
    pace = _PACE.format(mean=1000 * connections / rate) if rate else ""
    script.write_text(_LUA.format(body=body, pace=pace))
    command = ["taskset", "-c", LOAD_CORE, _tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds:g}s"]
    said = _run([*command, "--timeout", "10s", "-s", str(script), url])
    found = json.loads(said.rpartition("JSON ")[2])
    microseconds = found["microseconds"]
    return Load(found["requests"], microseconds / 1e6, found["wrong"], found["p50"] / 1e3, found["p99"] / 1e3)


def ghz(address: str, body: Path, seconds: float, scratch: Path, proto: Path, tool: Path) -> Load:
    """Calls of ModelInfer over 16 connections."""
    out = scratch / "ghz.json"
    command = ["taskset", "-c", LOAD_CORE, str(tool), "--insecure", "--proto", str(proto), "-B", str(body)]
    command += ["--call", "inference.GRPCInferenceService.ModelInfer", "-c", str(CONNECTIONS)]
    command += ["--connections", str(CONNECTIONS), "-z", f"{seconds:g}s", "--duration-stop", "wait"]
    _run([*command, "-O", "json", "-o", str(out), address])
    found = json.loads(out.read_text())
    share = {point["percentage"]: point["latency"] / 1e6 for point in found["latencyDistribution"] or []}
    right = (found.get("statusCodeDistribution") or {}).get("OK", 0)
    return Load(
        found["count"], found["total"] / 1e9, found["count"] - right, share.get(50, 0), share.get(99, 0)
    )


def missing() -> list[str]:
    """Tools that are not here, and where they come from."""
    wanted = {"wrk": "apt-get install wrk", "taskset": "apt-get install util-linux"}
    return [f"{tool} ({source})" for tool, source in wanted.items() if shutil.which(tool) is None]


def _tool(name: str) -> str:
    return shutil.which(name) or name


def _run(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{command[3]}: {ended.stdout[-500:]}{ended.stderr[-500:]}")
    return ended.stdout
